import { chmod, chown, mkdir, rm, symlink, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../../errors.ts';
import { silent, withProgress, type OnProgress } from '../../progress.ts';
import type { MachineFacts } from '../machines.ts';
import { copyFolder } from './copy.ts';
import { removeMachine } from './destroy.ts';
import { describeMachine } from './describe.ts';
import { createKeys } from './keys.ts';
import {
  machinePaths,
  readRecord,
  requireRecord,
  runFolderOf,
  writeRecord,
  type MachinePaths,
  type MachineRecord,
} from './layout.ts';
import { withFileLock } from './lock.ts';
import { canIsolateNetwork } from './network.ts';
import { powerOnMachine } from './power.ts';
import { requireIsolation } from './probe.ts';
import { reserveUid } from './users.ts';

export interface LocalMachineSettings {
  /** Folder of the machines; under a closed parent they move out (`chooseMachinesRoot`). */
  root: string;
  name: string;
  role: 'live' | 'staging';
  /** Default: none for live; for staging `network` where this host can, else `configuration`. */
  isolation?: 'network' | 'configuration' | 'none' | undefined;
  /** The machine whose system disk is cloned; without it the system disk is empty. */
  source?: { root: string; name: string } | undefined;
  /** ISO time; null: never. */
  expiresAt?: string | null | undefined;
  protect?: boolean | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  /** Who makes it, e.g. the URN of a Pulumi resource: only the same one may make it anew. */
  owner?: string | undefined;
  databaseName?: string | undefined;
  databaseUser?: string | undefined;
  createdAt?: string | undefined;
}

/**
 * Makes a machine and powers it on: system disk cloned (blocks shared where the file system can), data disk
 * empty, host key and network of its own. What an earlier attempt of the same owner left is removed first; a
 * machine of anybody else, and every LIVE machine, is left alone and refused (`machineFailed`).
 * A machine that was asked to be isolated by `network` and reaches anything is not left behind.
 */
export async function createLocalMachine(
  settings: LocalMachineSettings,
  signal: AbortSignal,
  onProgress: OnProgress = silent,
): Promise<MachineFacts> {
  const paths = machinePaths(settings.root, settings.name);
  requirePlainPath(paths.folder);
  const isolation = await chooseIsolation(settings);
  await mkdir(join(paths.folder, '..'), { recursive: true, mode: 0o755 });
  return withFileLock(paths.lock, signal, async () => {
    await clearEarlier(paths, settings, signal);
    try {
      const record = await layOut(paths, settings, isolation, signal);
      await withProgress(onProgress, 'clone the system disk', async () =>
        fillDisks(paths, settings, record, signal),
      );
      await writeRecord(paths, { ...record, complete: true });
      await withProgress(onProgress, 'power on', async () => powerOnMachine(paths, settings.name, signal));
      if (isolation === 'network') await requireIsolation(paths, settings.name, signal);
      return await describeMachine(paths, settings.name);
    } catch (error) {
      await removeMachine(paths, AbortSignal.timeout(60_000)).catch(() => {});
      throw error;
    }
  });
}

async function chooseIsolation({
  role,
  isolation,
}: LocalMachineSettings): Promise<MachineRecord['isolation']> {
  if (role === 'live') return 'none';
  if (isolation === 'configuration') return isolation;
  if (isolation === 'none') {
    throw new ClonaError('machineFailed', 'a staging machine is never made without isolation (R21)');
  }
  const network = await canIsolateNetwork();
  if (network.possible) return 'network';
  if (isolation === undefined) return 'configuration';
  throw new ClonaError('machineFailed', network.reason, {
    hint: 'run as root on Linux, or accept isolation by configuration',
  });
}

async function clearEarlier(
  paths: MachinePaths,
  settings: LocalMachineSettings,
  signal: AbortSignal,
): Promise<void> {
  const earlier = await readRecord(paths);
  if (earlier === undefined) {
    // A folder without a record is what a crash leaves before the record is written; disks always come after it.
    if ((await lstat(paths.system).catch(() => undefined)) !== undefined) {
      throw new ClonaError('machineFailed', `${paths.folder} exists and is no machine of ours`, {
        hint: 'choose another name, or move that folder away',
      });
    }
  } else {
    const own = settings.owner !== undefined && earlier.owner === settings.owner;
    if (earlier.role === 'live' ? earlier.complete : earlier.complete && !own) {
      throw new ClonaError('machineFailed', `there is already a ${earlier.role} machine "${settings.name}"`, {
        hint: earlier.role === 'live' ? 'choose another name' : 'destroy it first, or choose another name',
        details: { folder: paths.folder, owner: earlier.owner },
      });
    }
  }
  await removeMachine(paths, signal);
}

async function layOut(
  paths: MachinePaths,
  settings: LocalMachineSettings,
  isolation: MachineRecord['isolation'],
  signal: AbortSignal,
): Promise<MachineRecord> {
  // A reserved user number counts only while the machine's folder is there.
  await mkdir(paths.folder, { recursive: true, mode: 0o711 });
  const record: MachineRecord = {
    version: 1,
    name: settings.name,
    role: settings.role,
    isolation,
    createdAt: settings.createdAt ?? new Date().toISOString(),
    expiresAt: settings.expiresAt ?? null,
    protect: settings.protect ?? false,
    source: settings.source?.name ?? null,
    owner: settings.owner ?? null,
    labels: { ...settings.labels },
    user: 'clona',
    uid: await reserveUid(paths.folder, signal),
    run: runFolderOf(paths),
    hostKey: '',
    sshPort: isolation === 'none' ? 0 : null,
    databaseName: settings.databaseName ?? 'postgres',
    databaseUser: settings.databaseUser ?? 'postgres',
    complete: false,
    reverting: null,
  };
  await writeRecord(paths, record);
  // Passed through by the machine's user, listed by nobody.
  await chmod(paths.folder, 0o711);
  await makeRunFolder(paths, record);
  return record;
}

async function makeRunFolder(paths: MachinePaths, { run, uid }: MachineRecord): Promise<void> {
  // Not recursive: somebody else's folder of that name in a folder for everybody is an error, not a gift.
  await rm(run, { recursive: true, force: true });
  await mkdir(run, { mode: 0o700 });
  if (uid !== null) await chown(run, uid, uid);
  if (run !== paths.run) await symlink(run, paths.run);
}

async function fillDisks(
  paths: MachinePaths,
  { source }: LocalMachineSettings,
  record: MachineRecord,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(paths.data, { mode: 0o700 });
  if (source === undefined) {
    await mkdir(paths.system, { mode: 0o700 });
  } else {
    const from = machinePaths(source.root, source.name);
    await requireRecord(from, source.name);
    await copyFolder(from.system, paths.system, { uid: record.uid, signal });
  }
  if (record.uid !== null) {
    for (const disk of [paths.data, paths.system]) await chown(disk, record.uid, record.uid);
  }
  record.hostKey = await createKeys(paths);
}

/** pg_ctl puts the data directory between double quotes for a shell, and a list of socket folders is cut at commas. */
function requirePlainPath(folder: string): void {
  const found = /["$`\\,\p{Cc}]/u.exec(folder)?.[0];
  if (found === undefined) return;
  throw new ClonaError(
    'usage',
    `no PostgreSQL runs in ${JSON.stringify(folder)}: its tools cannot take ${JSON.stringify(found)} in a path`,
    { hint: 'put the site into a folder without double quotes, $, `, backslashes and commas' },
  );
}
