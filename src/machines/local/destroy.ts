import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ClonaError, toClonaError } from '../../errors.ts';
import { exists, machinePaths, readRecord, runFolderOf, type MachinePaths } from './layout.ts';
import { withFileLock } from './lock.ts';
import { killProcesses } from './processes.ts';
import { chooseMachinesRoot } from './reach.ts';
import { findReservedUid, firstUid, releaseUid, uidCount } from './users.ts';

export interface DestroyOptions {
  root: string;
  name: string;
  /** LIVE machines and protected ones are refused without it. */
  force?: boolean | undefined;
}

/** Ends every process of a machine and removes every file of it. Gone already: nothing happens. */
export async function destroyLocalMachine(options: DestroyOptions, signal: AbortSignal): Promise<void> {
  const { root, name, force = false } = options;
  const paths = machinePaths(root, name);
  // Deleted by hand with everything around it: its processes may still be there.
  if (!(await exists(dirname(paths.folder)))) return removeMachine(paths, signal);
  const remove = async (): Promise<void> => {
    const record = await readRecord(paths).catch((error: unknown) => {
      if (force) return undefined;
      throw error;
    });
    if (!force && record !== undefined && (record.role === 'live' || record.protect)) {
      const why = record.role === 'live' ? 'is production' : 'is protected';
      throw new ClonaError('machineFailed', `machine "${name}" ${why} and is not destroyed`, {
        hint: record.role === 'live' ? undefined : 'take its protection away first',
      });
    }
    await removeMachine(paths, signal);
  };
  await withFileLock(paths.lock, signal, remove).catch(async (error: unknown) => {
    // On a full disk nobody else gets the lock either, and it is this removal that gives room.
    if (toClonaError(error).kind !== 'diskFull' || (await exists(paths.lock))) throw error;
    await remove();
  });
  await removeEmptyRoot(root);
}

/** The removing itself; the caller holds the lock. The record goes last, so that a cut-off removal is found again. */
export async function removeMachine(paths: MachinePaths, signal: AbortSignal): Promise<void> {
  const record = await readRecord(paths).catch(() => undefined);
  const uid = record?.uid ?? (await uidFromDisk(paths)) ?? (await findReservedUid(paths.folder));
  await killProcesses({ folder: paths.folder, uid }, signal);
  for (const path of [
    record?.run ?? runFolderOf(paths),
    paths.run,
    paths.system,
    paths.data,
    paths.snapshots,
  ]) {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
  for (const name of await readdir(paths.folder).catch(() => [])) {
    const path = `${paths.folder}/${name}`;
    if (path !== paths.record) await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
  await rm(paths.folder, { recursive: true, force: true, maxRetries: 3 });
  await releaseUid(uid, paths.folder);
}

/** Where the record is lost the disks still tell whose they are. */
async function uidFromDisk(paths: MachinePaths): Promise<number | null> {
  const facts = await stat(paths.data).catch(() => undefined);
  if (facts === undefined || facts.uid < firstUid || facts.uid >= firstUid + uidCount) return null;
  return facts.uid;
}

/** A root that was chosen because the wanted one is closed to other users is ours to remove when it is empty. */
async function removeEmptyRoot(root: string): Promise<void> {
  const chosen = chooseMachinesRoot(root);
  if (chosen.movedFrom === null) return;
  for (const folder of [chosen.root, dirname(chosen.root)]) await rmdir(folder).catch(() => {});
}
