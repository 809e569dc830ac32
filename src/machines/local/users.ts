import { mkdir, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ClonaError } from '../../errors.ts';
import { withFileLock } from './lock.ts';
import { listProcesses } from './processes.ts';
import { runsAsRoot, shortHash } from './reach.ts';

/**
 * Users of machines, where we are root: 70000 to 79999. Outside every range that systemd, Debian or shadow-utils
 * hand out by default (systemd's UIDS-GIDS page: 65536 to 524287 is free for local use, subordinate ids begin at
 * 100000).
 */
export const firstUid = 70_000;
export const uidCount = 10_000;
const reservations = '/run/clona/uids';
/** Beside the folder, which goes with its last reservation. */
const reservationsLock = '/run/clona-uids.lock';

/** A user number for a machine that nobody else has; the same one for the same folder whenever it is free. */
export async function reserveUid(folder: string, signal: AbortSignal): Promise<number | null> {
  if (!runsAsRoot()) return null;
  return withFileLock(reservationsLock, signal, async () => findFreeUid(folder));
}

async function findFreeUid(folder: string): Promise<number> {
  const start = Number.parseInt(shortHash(folder).slice(0, 8), 16) % uidCount;
  const taken = await readPasswd();
  for (let step = 0; step < uidCount; step += 1) {
    const uid = firstUid + ((start + step) % uidCount);
    if (!taken.has(uid) && (await claimUid(uid, folder))) return uid;
  }
  throw new ClonaError('machineFailed', 'every user number for machines is taken', {
    hint: `remove files in ${reservations} whose machines are gone`,
  });
}

/** True when the number is now ours. A claim is void when its machine's folder is gone and no process is left. */
async function claimUid(uid: number, folder: string): Promise<boolean> {
  const path = join(reservations, String(uid));
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      // Another machine's end may just have removed the empty folder.
      await mkdir(reservations, { recursive: true, mode: 0o755 });
      await writeFile(path, folder, { flag: 'wx', mode: 0o644 });
      if ((await listProcesses({ folder, uid })).length === 0) return true;
      await rm(path, { force: true });
      return false;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) continue;
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    const holder = await readFile(path, 'utf8').catch(() => '');
    if (holder === folder) return true;
    if (await isThere(holder)) return false;
    await rm(path, { force: true });
  }
  return false;
}

/** The number that a folder holds, when its own record of it is lost. */
export async function findReservedUid(folder: string): Promise<number | null> {
  for (const name of await readdir(reservations).catch(() => [])) {
    if ((await readFile(join(reservations, name), 'utf8').catch(() => '')) === folder) return Number(name);
  }
  return null;
}

export async function releaseUid(uid: number | null, folder: string): Promise<void> {
  if (uid === null) return;
  const path = join(reservations, String(uid));
  if ((await readFile(path, 'utf8').catch(() => '')) === folder) await rm(path, { force: true });
  // Only when empty: the last machine turns off the light.
  for (const empty of [reservations, dirname(reservations)]) await rmdir(empty).catch(() => {});
}

/** After a reboot /run is empty: the machine's number is claimed again before it starts. */
export async function keepUid(uid: number | null, folder: string, signal: AbortSignal): Promise<void> {
  if (uid === null) return;
  if ((await readFile(join(reservations, String(uid)), 'utf8').catch(() => '')) === folder) return;
  if (await withFileLock(reservationsLock, signal, async () => claimUid(uid, folder))) return;
  throw new ClonaError('machineFailed', `user number ${uid} is not this machine's any more`, {
    hint: 'another machine took it while this host was down: destroy one of the two and make it again',
  });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

async function isThere(folder: string): Promise<boolean> {
  return (
    folder !== '' &&
    (await stat(folder).then(
      () => true,
      () => false,
    ))
  );
}

async function readPasswd(): Promise<Set<number>> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return new Set(text.split('\n').map((line) => Number(line.split(':')[2])));
}
