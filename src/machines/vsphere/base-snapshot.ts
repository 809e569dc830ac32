import { ClonaError } from '../../errors.ts';
import type { Vim } from './client.ts';
import { baseSnapshotName } from './clone-plan.ts';
import { readCloneSource, type CloneSource, type SourceSnapshot } from './clone-source.ts';
import { findInPath } from './inventory.ts';
import { listStagingMachines } from './list.ts';
import { readAttributeKeys, readMarks } from './marks.ts';
import { child, children, moRef, text, type MoRef } from './soap.ts';

/** Its delta grows with every write of production (VMware: no snapshot longer than 72 hours). */
const oldBaseMs = 72 * 3_600_000;

/** The snapshot on production that all linked clones of it share. It belongs to no stack. */
export interface BaseSnapshot {
  /** The API's reference, which every clone on it carries as the mark `clona.base`. */
  id: string;
  createdAt: string;
}

/**
 * Finds the base snapshot of a source or makes it, quiesced where VMware Tools run and manage to. Of two that were
 * made at once the older one stays.
 */
export async function ensureBaseSnapshot(
  vim: Vim,
  source: CloneSource,
  signal: AbortSignal,
): Promise<BaseSnapshot> {
  const known = findBase(source.snapshots);
  if (known !== undefined) return known;
  const made = await makeSnapshot(vim, source, signal);
  const { snapshots } = await readCloneSource(vim, source.reference, signal);
  const base = findBase(snapshots);
  if (base === undefined) {
    throw new ClonaError(
      'machineFailed',
      `the snapshot ${baseSnapshotName} of ${source.name} was made and is not there`,
    );
  }
  if (made !== undefined && base.id !== made.moref) await removeSnapshot(vim, made, signal);
  return base;
}

export function findBase(snapshots: readonly SourceSnapshot[]): BaseSnapshot | undefined {
  const [oldest] = snapshots
    .filter(({ name }) => name === baseSnapshotName)
    .toSorted((left, right) => Date.parse(left.createdAt) - Date.parse(right.createdAt));
  return oldest === undefined ? undefined : { id: oldest.reference.moref, createdAt: oldest.createdAt };
}

/** What people should know of a base snapshot; undefined: nothing. */
export function warnOfBase({ createdAt }: BaseSnapshot, source: string, now: Date): string | undefined {
  const ageMs = now.getTime() - Date.parse(createdAt);
  if (ageMs < oldBaseMs) return undefined;
  return `the base snapshot of ${source} is ${Math.floor(ageMs / 3_600_000)} hours old and grows with every write of production: destroy its linked clones and clone anew`;
}

async function makeSnapshot(vim: Vim, source: CloneSource, signal: AbortSignal): Promise<MoRef | undefined> {
  const take = async (quiesce: boolean): Promise<MoRef | undefined> => {
    const description = 'what linked clones of clona stand on; clona removes it with the last of them';
    const args = { name: baseSnapshotName, description, memory: false, quiesce };
    const task = moRef((await vim.call('CreateSnapshot_Task', source.reference, args, signal))[0]);
    return task === undefined ? undefined : moRef(await vim.follow(task, signal));
  };
  if (!source.toolsRunning) return take(false);
  try {
    return await take(true);
  } catch (error) {
    signal.throwIfAborted();
    const fault = error instanceof ClonaError ? error.details?.['fault'] : undefined;
    // A guest that cannot be quiesced still gives what a power cut would leave: the restore replaces the data anyway.
    if (!/Quiesce|ToolsUnavailable/.test(String(fault))) throw error;
    return take(false);
  }
}

export type Released = 'absent' | 'removed' | { keptFor: string[] };

/**
 * Removes the base snapshot when no clone stands on it any more: its references are counted on the machines
 * themselves, of every site and stack, so no count can go wrong. A clone that is just being made counts, too.
 */
export async function releaseBaseSnapshot(
  vim: Vim,
  sourcePath: string,
  signal: AbortSignal,
): Promise<Released> {
  const reference = await findInPath(vim, sourcePath, ['VirtualMachine'], signal);
  if (reference === undefined) return 'absent';
  const source = await readCloneSource(vim, reference, signal);
  const bases = source.snapshots.filter(({ name }) => name === baseSnapshotName);
  if (bases.length === 0) return 'absent';
  const keptFor = await findStanding(vim, source, signal);
  if (keptFor.length > 0) return { keptFor };
  for (const base of bases) await removeSnapshot(vim, base.reference, signal);
  return 'removed';
}

/** Who stands on the base snapshots of a machine, of every site, by name; a clone that is just being made counts. */
export async function findStanding(vim: Vim, source: CloneSource, signal: AbortSignal): Promise<string[]> {
  const bases = source.snapshots.filter(({ name }) => name === baseSnapshotName);
  const ids = new Set(bases.map((base) => base.reference.moref));
  const machines = await listStagingMachines(vim, undefined, signal);
  const standing = machines.filter(({ base }) => base !== null && ids.has(base)).map(({ name }) => name);
  return [...standing, ...(await findClonesInTheMaking(vim, source.reference, signal))];
}

/** Clones that run, or have ended and do not carry their marks yet. */
async function findClonesInTheMaking(vim: Vim, source: MoRef, signal: AbortSignal): Promise<string[]> {
  const keys = await readAttributeKeys(vim, signal);
  const recent = (await vim.read(source, ['recentTask'], signal)).get('recentTask');
  const found: string[] = [];
  for (const task of children(recent, 'ManagedObjectReference').flatMap((node) => moRef(node) ?? [])) {
    const info = await vim.read(task, ['info'], signal).then(
      (read) => read.get('info'),
      () => undefined,
    );
    if (!/clone/i.test(text(child(info, 'descriptionId')))) continue;
    const state = text(child(info, 'state'));
    if (state === 'queued' || state === 'running') found.push(`a clone in the making (${task.moref})`);
    const made = state === 'success' ? moRef(child(info, 'result')) : undefined;
    const marks =
      made === undefined ? undefined : await readMarks(vim, made, keys, signal).catch(() => undefined);
    if (marks !== undefined && marks.source === undefined)
      found.push(`a clone without marks yet (${made?.moref})`);
  }
  return found;
}

async function removeSnapshot(vim: Vim, snapshot: MoRef, signal: AbortSignal): Promise<void> {
  const args = { removeChildren: false, consolidate: true };
  const task = moRef((await vim.call('RemoveSnapshot_Task', snapshot, args, signal))[0]);
  if (task !== undefined) await vim.follow(task, signal);
}
