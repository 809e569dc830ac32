import { createHash } from 'node:crypto';
import { ClonaError } from '../../errors.ts';
import type { Backup } from '../../recovery/catalog.ts';
import { parseParameterFile } from './clone-parameters.ts';
import type { OracleTools } from './guest-tools.ts';
import { makePrivateFolder } from './keep-files.ts';
import {
  chooseKept,
  manifestName,
  parseManifest,
  type KeepSettings,
  type KeptManifest,
  type KeptRole,
} from './kept-files.ts';
import type { RestoreFacts } from './restore-facts.ts';
import type { RestoreTarget } from './restore-target.ts';
import { joinGuest } from './rman-text.ts';

/** What is kept for a backup, read on the clone and checked against its list: nothing is placed before all of it is there. */
export interface Kept {
  label: string;
  files: { role: KeptRole; name: string; content: Buffer }[];
  /** Of production's parameter file; null: none was kept. */
  parameters: ReadonlyMap<string, string> | null;
  /** Production's folder of the wallet: the clone's is the same. */
  walletDir: string | undefined;
}

/** null: nothing is kept for any backup. Throws `archiveDamaged` or `archiveMissing`, naming the file. */
export async function readKept(
  tools: OracleTools,
  settings: KeepSettings,
  backup: Pick<Backup, 'label' | 'finishedAt'>,
): Promise<Kept | null> {
  const { guest, signal } = tools;
  const names: string[] = await guest.list(settings.folder, signal).catch(() => []);
  const manifests: KeptManifest[] = [];
  for (const name of names) {
    const path = joinGuest(guest.platform, joinGuest(guest.platform, settings.folder, name), manifestName);
    const text = await guest.readFile(path, signal).catch(() => null);
    // A folder without its list is of a backup that was broken off.
    if (text !== null) manifests.push(parseManifest(text.toString('utf8'), path));
  }
  const chosen = chooseKept(manifests, backup);
  if (chosen === undefined) return null;
  const files: Kept['files'] = [];
  for (const { role, name, path, sha256 } of chosen.files)
    files.push({ role, name, content: await readChecked(tools, role, path, sha256) });
  const text = files.find(({ role }) => role === 'parameters')?.content.toString('utf8');
  const parameters = text === undefined ? null : parseParameterFile(text);
  return { label: chosen.label, files, parameters, walletDir: settings.wallet };
}

async function readChecked(
  { guest, signal }: OracleTools,
  role: KeptRole,
  path: string,
  sha256: string,
): Promise<Buffer> {
  const content = await guest.readFile(path, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new ClonaError('archiveMissing', `${path} is kept for this backup, and the clone cannot read it`, {
      cause,
      hint:
        role === 'keystore'
          ? 'the keystore comes to the clone apart from the backups: mount or copy database.oracle.keep.keystoreTo there'
          : 'does the clone see database.oracle.keep.folder, under the same path as production?',
    });
  });
  if (createHash('sha256').update(content).digest('hex') === sha256) return content;
  throw new ClonaError('archiveDamaged', `${path} is not what was kept: its checksum differs`, {
    hint: 'somebody changed it, or its disk did; take another backup, or restore without keep',
  });
}

/** Where the clone's keystore lies: WALLET_ROOT, beside its data and recovery folders. */
export function walletRootOf({ platform, dataDir }: RestoreTarget): string {
  const end = Math.max(dataDir.lastIndexOf('/'), dataDir.lastIndexOf('\\'));
  return joinGuest(platform, end > 0 ? dataDir.slice(0, end) : dataDir, 'keystore');
}

/** By instance name, as the server looks for it (Administrator's Guide, Creating and Maintaining a Password File). */
export function passwordFilePath({ guest, home, instanceName }: OracleTools): string {
  return guest.platform === 'windows'
    ? joinGuest('windows', joinGuest('windows', home, 'database'), `PWD${instanceName}.ora`)
    : joinGuest('linux', joinGuest('linux', home, 'dbs'), `orapw${instanceName}`);
}

/** WALLET_ROOT is there since 18c; before that the place stands in sqlnet.ora, which is not clona's. */
export function requireWalletRoot({ version }: RestoreFacts, kept: Kept | null): void {
  if (kept?.files.some(({ role }) => role === 'keystore') !== true) return;
  if (Number.parseInt(version, 10) >= 18) return;
  throw new ClonaError(
    'serverUnfit',
    `Oracle ${version} knows no WALLET_ROOT: the keystore cannot be placed`,
    {
      hint: 'put it where ENCRYPTION_WALLET_LOCATION of sqlnet.ora on the clone points, by hand, and leave it out of database.oracle.keep',
    },
  );
}

/** Writes password file, wallet and keystore with mode 0600 where the clone's instance looks for them; answers the places. */
export async function placeKept(tools: OracleTools, target: RestoreTarget, kept: Kept): Promise<string[]> {
  const { guest, signal } = tools;
  const keystoreDir = joinGuest(target.platform, walletRootOf(target), 'tde');
  const placed: string[] = [];
  for (const role of ['wallet', 'keystore'] as const) {
    const folder = role === 'wallet' ? kept.walletDir : keystoreDir;
    if (folder !== undefined && kept.files.some((one) => one.role === role))
      await makePrivateFolder(tools, folder);
  }
  for (const { role, name, content } of kept.files) {
    const path = placeOf(role, name);
    if (path === null) continue;
    await guest.writeFile(path, content, 0o600, signal);
    placed.push(path);
  }
  return placed;

  function placeOf(role: KeptRole, name: string): string | null {
    if (role === 'passwordFile') return passwordFilePath(tools);
    if (role === 'keystore') return joinGuest(target.platform, keystoreDir, name);
    if (role === 'wallet' && kept.walletDir !== undefined)
      return joinGuest(target.platform, kept.walletDir, name);
    return null;
  }
}
