import { ClonaError } from '../../errors.ts';
import { silent } from '../../progress.ts';
import type { VsphereArgs } from '../../../infra/staging-args.ts';
import { machinePath } from '../vsphere/inventory.ts';
import { sourcePath } from '../vsphere/prepare-clone.ts';
import { removeUnfinishedClone, type UnfinishedClone } from '../vsphere/unfinished.ts';
import { readStackMachine } from './stack-state.ts';
import type { StagingOptions } from './staging-options.ts';
import type { OpenedVsphereStack } from './vsphere-stack.ts';

/** Longest time for taking away what a failure left, after which it stays noted for the next run. */
const cleanUpMs = 120_000;

/**
 * A clone that fails on our side may go on in vCenter: the connection was cut, the run interrupted. Nothing was at
 * that place when the run began, so what is there after the failure and in no state is its own.
 */
export async function guardCreation<Result>(
  { readState, note }: OpenedVsphereStack,
  options: StagingOptions,
  args: VsphereArgs,
  work: () => Promise<Result>,
): Promise<Result> {
  await note.write(unfinishedOf(options, args).path);
  try {
    const result = await work();
    await note.remove();
    return result;
  } catch (error) {
    // Somebody else is at work on this stack: hands off.
    if (error instanceof ClonaError && error.kind === 'locked') throw error;
    await cleanUp({ readState, note }, options, args).catch((cause: unknown) => {
      const detail = cause instanceof Error ? cause.message : String(cause);
      options.onProgress?.({ step: 'look for what the failed run left', state: 'failed', detail });
    });
    throw error;
  }
}

async function cleanUp(
  { readState, note }: Pick<OpenedVsphereStack, 'readState' | 'note'>,
  options: StagingOptions,
  args: VsphereArgs,
): Promise<void> {
  const { id } = readStackMachine(await readState());
  if (id === undefined) {
    // The run itself may have been aborted.
    await removeUnfinished(options, args, AbortSignal.timeout(cleanUpMs));
  }
  await note.remove();
}

/** Takes away what a killed run left; it runs as the one who has the stack's lock. */
export async function removeUnfinished(
  options: StagingOptions,
  args: VsphereArgs,
  signal: AbortSignal = options.signal,
): Promise<void> {
  await removeUnfinishedClone(unfinishedOf(options, args), signal, options.onProgress ?? silent);
}

function unfinishedOf(
  { name }: StagingOptions,
  { name: own = name, source, vsphere }: VsphereArgs,
): UnfinishedClone {
  const { address, places } = vsphere;
  return { address, path: machinePath(places, own), sourcePath: sourcePath({ source, places }) };
}
