import { createHash } from 'node:crypto';
import { ClonaError } from '../../errors.ts';
import { makeFolder, runSqlPlus, type OracleTools } from './guest-tools.ts';
import {
  manifestName,
  type KeepSettings,
  type KeptFile,
  type KeptManifest,
  type KeptRole,
} from './kept-files.ts';
import { sqlPlus } from './restore-program.ts';
import { joinGuest, quoteSqlText } from './rman-text.ts';
import { openSqlPlusSession } from './sqlplus-session.ts';

export interface KeptReport extends KeptManifest {
  warnings: string[];
}

/**
 * Beside the backup `label`: production's parameters as text (CREATE PFILE), its password file, wallet and keystore, copied on
 * its own machine with mode 0600, the list of them last. `settings` has passed `refuseKeyBesideBackups`. Throws `archiveMissing`
 * when a file that the site names cannot be read: a backup that lacks what the site keeps is not whole.
 */
export async function keepFiles(
  tools: OracleTools,
  settings: KeepSettings,
  label: string,
  now: () => Date,
): Promise<KeptReport> {
  if (!/^[\w.$#@-]{1,80}$/.test(label)) throw new ClonaError('usage', `"${label}" is no name for a folder`);
  const { platform } = tools.guest;
  const folder = joinGuest(platform, settings.folder, label);
  await makePrivateFolder(tools, folder);
  const files: KeptFile[] = [];
  const warnings: string[] = [];
  const copy = async (role: KeptRole, from: string, to: string): Promise<void> => {
    files.push(await copyFile(tools, role, from, to));
  };
  const parameters = joinGuest(platform, folder, 'init.ora');
  const source = await writeParameters(tools, parameters);
  if (source === 'MEMORY')
    warnings.push('production runs without an SPFILE: what it uses now was kept (CREATE PFILE FROM MEMORY)');
  await copy('parameters', parameters, parameters);
  const { passwordFile, wallet, keystore } = settings;
  if (passwordFile !== undefined)
    await copy('passwordFile', passwordFile, joinGuest(platform, folder, 'orapw'));
  if (wallet !== undefined)
    await copyFolder(tools, wallet, joinGuest(platform, folder, 'wallet'), async (from, to) =>
      copy('wallet', from, to),
    );
  if (keystore !== undefined)
    await copyFolder(tools, keystore.from, joinGuest(platform, keystore.to, label), async (from, to) =>
      copy('keystore', from, to),
    );
  if (files.some(({ role, name }) => role === 'wallet' && /\.sso$/i.test(name)))
    warnings.push('the wallet that is kept opens by itself (cwallet.sso): who reads the archive can use it');
  const manifest: KeptManifest = { label, at: now().toISOString(), files };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await tools.guest.writeFile(joinGuest(platform, folder, manifestName), text, 0o600, tools.signal);
  return { ...manifest, warnings };
}

/** The server writes the file itself; one that was there is of a try before this. */
async function writeParameters(tools: OracleTools, path: string): Promise<'SPFILE' | 'MEMORY'> {
  const rows = await openSqlPlusSession(tools, 'keep').query(
    "SELECT COUNT(*) FROM V$PARAMETER WHERE NAME = 'spfile' AND VALUE IS NOT NULL",
  );
  const source = rows[0]?.[0] === '0' ? 'MEMORY' : 'SPFILE';
  const quoted = quoteSqlText(path, 'database.oracle.keep.folder');
  const script = sqlPlus([`CREATE PFILE=${quoted} FROM ${source};`]);
  const { text, exitCode } = await runSqlPlus(tools, 'keep', script);
  if (exitCode === 0) return source;
  const line = /^.*\bORA-\d{5}.*$/m.exec(text)?.[0] ?? text.trim().slice(0, 200);
  throw new ClonaError('archiveMissing', `production's parameters could not be kept: ${line}`, {
    hint: 'the owner of Oracle must be able to write in database.oracle.keep.folder',
  });
}

async function copyFolder(
  tools: OracleTools,
  from: string,
  to: string,
  copy: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const { guest, signal } = tools;
  const names = await guest.list(from, signal).catch((error: unknown) => {
    throw unreadable(from, error);
  });
  // What a wallet or a keystore consists of; a lock, a log or somebody's notes are none of it.
  const wanted = names.filter((name) => /\.(?:p12|sso|pem|ora|lst)$/i.test(name) && /^[\w.$#-]+$/.test(name));
  if (wanted.length === 0) throw unreadable(from, new Error('there is no wallet in it'));
  await makePrivateFolder(tools, to);
  for (const name of wanted)
    await copy(joinGuest(guest.platform, from, name), joinGuest(guest.platform, to, name));
}

async function copyFile(
  { guest, signal }: OracleTools,
  role: KeptRole,
  from: string,
  to: string,
): Promise<KeptFile> {
  const content = await guest.readFile(from, signal).catch((error: unknown) => {
    throw unreadable(from, error);
  });
  await guest.writeFile(to, content, 0o600, signal);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { role, name: to.split(/[\\/]/).at(-1) ?? '', path: to, bytes: content.length, sha256 };
}

function unreadable(path: string, cause: unknown): ClonaError {
  return new ClonaError('archiveMissing', `${path} cannot be read, and the site wants it kept`, {
    cause,
    hint: 'is it there, and may the SSH user of the guest section read it (database.oracle.keep)?',
  });
}

/** Nobody but its owner looks into it; on Windows the rights of the folder above hold. */
export async function makePrivateFolder({ guest, signal }: OracleTools, folder: string): Promise<void> {
  await makeFolder(guest, folder, signal);
  if (guest.platform === 'linux') await guest.run(['chmod', '700', folder], { signal });
}
