import { ClonaError } from '../../errors.ts';
import type { OnProgress } from '../../progress.ts';
import { openVim, type Vim, type VimAddress } from './client.ts';
import { findInPath } from './inventory.ts';
import { child, children, moRef, text, xsiType, type MoRef } from './soap.ts';
import { findVirtualMachine, readVirtualMachine } from './virtual-machine.ts';

export interface UnfinishedClone {
  address: VimAddress;
  /** Where the engine that was killed was making it. */
  path: string;
  sourcePath: string;
}

/**
 * Removes what a killed engine left of a clone. To be called only where the stack's state says that it was making a
 * machine there, by who holds the stack's lock; what is no clone of that source is `foreign` and stays. vCenter goes on with a clone whose client is gone, so running
 * clones of the same source are waited for first.
 */
export async function removeUnfinishedClone(
  { address, path, sourcePath }: UnfinishedClone,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<'absent' | 'removed' | 'foreign'> {
  await using vim = await openVim(address, signal);
  const source = await findVirtualMachine(vim, sourcePath, signal);
  await endRunningClones(vim, source, signal, onProgress);
  const left = await findInPath(vim, path, ['VirtualMachine'], signal);
  if (left === undefined) return 'absent';
  if (left.moref === source.moref) {
    throw new ClonaError('machineFailed', `${path} is the production machine itself`);
  }
  if (!(await isCloneOf(vim, left, source, signal))) return 'foreign';
  const facts = await readVirtualMachine(vim, left, signal);
  onProgress({ step: `remove the unfinished clone ${path}`, state: 'started' });
  if (facts.power !== 'off') await runTask(vim, 'PowerOffVM_Task', left, signal);
  await runTask(vim, 'Destroy_Task', left, signal);
  onProgress({ step: `remove the unfinished clone ${path}`, state: 'done' });
  return 'removed';
}

/** By the events of vCenter. Between our look at the place and our clone somebody else may have taken it. */
export async function isCloneOf(
  vim: Vim,
  machine: MoRef,
  source: MoRef,
  signal: AbortSignal,
): Promise<boolean> {
  const filter = { entity: { entity: machine, recursion: 'self' } };
  const events = await vim.call('QueryEvents', vim.content.eventManager, { filter }, signal);
  return events.some(
    (event) =>
      xsiType(event) === 'VmClonedEvent' && moRef(child(event, 'sourceVm.vm'))?.moref === source.moref,
  );
}

async function runTask(vim: Vim, method: string, target: MoRef, signal: AbortSignal): Promise<void> {
  const task = moRef((await vim.call(method, target, {}, signal))[0]);
  if (task !== undefined) await vim.follow(task, signal);
}

async function endRunningClones(
  vim: Vim,
  source: MoRef,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<void> {
  const recent = (await vim.read(source, ['recentTask'], signal)).get('recentTask');
  for (const task of children(recent, 'ManagedObjectReference').flatMap((node) => moRef(node) ?? [])) {
    const info = (await vim.read(task, ['info'], signal)).get('info');
    const isClone = /clone/i.test(text(child(info, 'descriptionId')) + text(child(info, 'name')));
    if (!isClone || !['queued', 'running'].includes(text(child(info, 'state')))) continue;
    // How it ended does not matter: it has ended.
    await vim
      .follow(task, signal, (event) =>
        onProgress({ ...event, step: 'wait for the clone of a run that was killed' }),
      )
      .catch(() => signal.throwIfAborted());
  }
}
