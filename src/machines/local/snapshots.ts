import { lstat, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../../errors.ts';
import type { SnapshotFacts } from '../machines.ts';
import { copyFolder } from './copy.ts';
import { exists, requireName, writeRecord, type MachinePaths, type MachineRecord } from './layout.ts';
import { whileFrozen } from './processes.ts';

const disks = ['system', 'data'] as const;

/** Copies both disks of one moment: the machine is held still meanwhile. The same name again: the first stays. */
export async function createSnapshot(
  paths: MachinePaths,
  record: MachineRecord,
  snapshot: string,
  signal: AbortSignal,
): Promise<SnapshotFacts> {
  requireName(snapshot);
  const folder = join(paths.snapshots, snapshot);
  const earlier = await readSnapshot(paths, snapshot);
  if (earlier !== undefined) return earlier;
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  try {
    const facts: SnapshotFacts = { name: snapshot, createdAt: new Date().toISOString(), escapes: [] };
    await whileFrozen({ folder: paths.folder, uid: record.uid }, async () => {
      for (const disk of disks) await copyFolder(paths[disk], join(partial, disk), { uid: null, signal });
    });
    await writeFile(join(partial, 'snapshot.json'), JSON.stringify(facts), { mode: 0o600 });
    await rename(partial, folder);
    return facts;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** Notes the wish to revert; `finishRevert` does it, now or after whatever interrupts it. The machine is off. */
export async function beginRevert(
  paths: MachinePaths,
  record: MachineRecord,
  snapshot: string,
): Promise<MachineRecord> {
  if ((await readSnapshot(paths, snapshot)) === undefined) {
    throw new ClonaError('machineFailed', `machine "${record.name}" has no snapshot "${snapshot}"`, {
      details: { snapshots: (await listSnapshots(paths)).map(({ name }) => name) },
    });
  }
  const reverting = { ...record, reverting: snapshot };
  await writeRecord(paths, reverting);
  return reverting;
}

/**
 * Puts the snapshot's disks in place of the machine's. Each disk is copied whole beside the old one before it
 * takes its place; cut off anywhere it begins again from the snapshot, which stays untouched.
 */
export async function finishRevert(
  paths: MachinePaths,
  record: MachineRecord,
  signal: AbortSignal,
): Promise<MachineRecord> {
  if (record.reverting === null) return record;
  const from = join(paths.snapshots, record.reverting);
  for (const disk of disks) {
    const fresh = `${paths[disk]}.reverted`;
    await rm(fresh, { recursive: true, force: true });
    await copyFolder(join(from, disk), fresh, { uid: null, signal });
  }
  for (const disk of disks) {
    const old = `${paths[disk]}.old`;
    await rm(old, { recursive: true, force: true });
    if (await exists(paths[disk])) await rename(paths[disk], old);
    await rename(`${paths[disk]}.reverted`, paths[disk]);
    await rm(old, { recursive: true, force: true });
  }
  const done = { ...record, reverting: null };
  await writeRecord(paths, done);
  return done;
}

export async function removeSnapshot(paths: MachinePaths, snapshot: string): Promise<void> {
  requireName(snapshot);
  const folder = join(paths.snapshots, snapshot);
  // A half-removed snapshot must not look whole.
  if (await exists(folder)) await rename(folder, `${folder}.partial`);
  await rm(`${folder}.partial`, { recursive: true, force: true });
}

export async function listSnapshots(paths: MachinePaths): Promise<SnapshotFacts[]> {
  const names = await readdir(paths.snapshots).catch(() => []);
  const found: SnapshotFacts[] = [];
  for (const name of names) {
    const facts = name.endsWith('.partial') ? undefined : await readSnapshot(paths, name);
    if (facts !== undefined) found.push(facts);
  }
  return found.sort((left, right) => left.createdAt.localeCompare(right.createdAt));
}

async function readSnapshot(paths: MachinePaths, snapshot: string): Promise<SnapshotFacts | undefined> {
  const folder = join(paths.snapshots, snapshot);
  if ((await lstat(folder).catch(() => undefined)) === undefined) return undefined;
  return JSON.parse(await readFile(join(folder, 'snapshot.json'), 'utf8')) as SnapshotFacts; // renamed in whole
}
