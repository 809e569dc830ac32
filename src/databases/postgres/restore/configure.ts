import { join } from 'node:path/posix';
import type { BackupHeader } from '../../../archive/format.ts';
import { settingLines } from '../server-settings.ts';
import { makeConfigurationSafe, readSetting, type ConfigurationChange } from './configuration.ts';
import type { RestorePlace } from './place/place.ts';

export interface ConfigureOutcome {
  changes: ConfigurationChange[];
  warnings: string[];
}

/**
 * Makes the configuration that came with the backup one that a copy may run with, before any server is started on
 * it. What was there is kept beside each file as `<file>.archived`. Repeating it changes nothing more.
 */
export async function configureCluster(
  place: RestorePlace,
  root: string,
  tablespaces: ReadonlyMap<number, string>,
): Promise<ConfigureOutcome> {
  const changes: ConfigurationChange[] = [];
  const warnings: string[] = [];
  const main = await place.readText(join(root, 'postgresql.conf'));
  if (main === null) {
    // Debian keeps it in /etc: then it is not part of a backup, and the server's defaults are what is known.
    await place.writeText(join(root, 'postgresql.conf'), '# clona: the backup held no postgresql.conf\n');
    warnings.push('the backup held no postgresql.conf: the restored cluster has default settings');
  }
  await makeFileSafe(place, root, 'postgresql.conf', changes, new Set());
  await makeFileSafe(place, root, 'postgresql.auto.conf', changes, new Set());
  if ((await place.readText(join(root, 'pg_hba.conf'))) === null) {
    await place.writeText(join(root, 'pg_hba.conf'), 'local all all peer\n');
    warnings.push('the backup held no pg_hba.conf: only local users of the same name may log in');
  }
  if ((await place.readText(join(root, 'pg_ident.conf'))) === null)
    await place.writeText(join(root, 'pg_ident.conf'), '');
  await appendOverrides(place, root, warnings);
  await rewriteTablespaceMap(place, root, tablespaces);
  for (const name of ['standby.signal', 'recovery.signal', 'postmaster.pid', 'postmaster.opts']) {
    await place.remove(join(root, name));
  }
  return { changes, warnings };
}

async function makeFileSafe(
  place: RestorePlace,
  root: string,
  file: string,
  changes: ConfigurationChange[],
  seen: Set<string>,
): Promise<void> {
  if (seen.has(file)) return;
  seen.add(file);
  const text = await place.readText(join(root, file));
  if (text === null) return;
  const safe = makeConfigurationSafe(text, file);
  if (safe.changes.length > 0) {
    await place.writeText(join(root, `${file}.archived`), text);
    await place.writeText(join(root, file), safe.text);
    changes.push(...safe.changes);
  }
  const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/') + 1) : '';
  for (const { kind, path } of safe.includes) {
    const named = folder + path;
    if (kind === 'file') await makeFileSafe(place, root, named, changes, seen);
    else {
      for (const name of (await place.list(join(root, named))) ?? []) {
        if (name.endsWith('.conf')) await makeFileSafe(place, root, `${named}/${name}`, changes, seen);
      }
    }
  }
}

const overridesBegin = '# clona: a restored copy archives nothing, follows no one and subscribes to nothing';

/** postgresql.auto.conf is read last, so it also overrules what an included file says. */
async function appendOverrides(place: RestorePlace, root: string, warnings: string[]): Promise<void> {
  const path = join(root, 'postgresql.auto.conf');
  const [before = ''] = ((await place.readText(path)) ?? '').split(overridesBegin);
  const settings: Record<string, string | number> = {
    archive_mode: 'off',
    archive_command: '',
    archive_library: '',
    primary_conninfo: '',
    primary_slot_name: '',
    restore_command: '',
    synchronous_standby_names: '',
    max_logical_replication_workers: 0,
  };
  if ((await isSslOn(place, root)) && !(await hasCertificate(place, root))) {
    settings['ssl'] = 'off';
    warnings.push('ssl is off: the certificate is not part of the backup');
  }
  const lines = before === '' || before.endsWith('\n') ? before : `${before}\n`;
  await place.writeText(path, `${lines}${overridesBegin}\n${settingLines(settings)}`);
}

async function isSslOn(place: RestorePlace, root: string): Promise<boolean> {
  let value = 'off';
  for (const file of ['postgresql.conf', 'postgresql.auto.conf']) {
    for (const line of ((await place.readText(join(root, file))) ?? '').split('\n')) {
      const setting = readSetting(line);
      if (setting?.name === 'ssl') value = setting.value.toLowerCase();
    }
  }
  return ['on', 'true', 'yes', '1', 't', 'y'].includes(value);
}

async function hasCertificate(place: RestorePlace, root: string): Promise<boolean> {
  const names = new Map([
    ['ssl_cert_file', 'server.crt'],
    ['ssl_key_file', 'server.key'],
  ]);
  for (const file of ['postgresql.conf', 'postgresql.auto.conf']) {
    for (const line of ((await place.readText(join(root, file))) ?? '').split('\n')) {
      const setting = readSetting(line);
      if (setting !== null && names.has(setting.name)) names.set(setting.name, setting.value);
    }
  }
  const there = await Promise.all([...names.values()].map(async (name) => place.isThere(join(root, name))));
  return there.every(Boolean);
}

/** The server makes the links anew from this file when recovery begins: it must name the new places. */
async function rewriteTablespaceMap(
  place: RestorePlace,
  root: string,
  tablespaces: ReadonlyMap<number, string>,
): Promise<void> {
  const path = join(root, 'tablespace_map');
  if ((await place.readText(path)) === null) return;
  const escape = (text: string): string => text.replaceAll(/[\\\n\r]/g, (found) => `\\${found}`);
  const lines = [...tablespaces].map(([oid, folder]) => `${oid} ${escape(folder)}\n`);
  await place.writeText(path, lines.join(''));
}

/** Settings that recovery demands to be no lower than production's were (the manual: "hot_standby … administration"). */
export function demandedSettings({ requirements }: BackupHeader): Record<string, number> {
  const lowest: Record<string, number> = {
    max_connections: 20,
    max_worker_processes: 8,
    max_wal_senders: 2,
    // The log may hold more of them than the setting of the moment of the backup allowed.
    max_prepared_transactions: 500,
    max_locks_per_transaction: 64,
  };
  const entries = Object.entries(lowest).map(([name, least]): [string, number] => [
    name,
    Math.max(least, requirements.settings[name] ?? 0),
  ]);
  return Object.fromEntries(entries);
}
