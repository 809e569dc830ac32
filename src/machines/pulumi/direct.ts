import { resolve } from 'node:path';
import { ClonaError } from '../../errors.ts';
import { silent, withProgress, type OnProgress } from '../../progress.ts';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import {
  compareMachine,
  createMachine,
  deleteMachine,
  readMachine,
  updateMachine,
  type MachineInputs,
} from '../local/resource.ts';
import type { StagingResult } from './staging.ts';

/**
 * The demo's way without the Pulumi engine: the same functions that the provider calls, marked `engine: direct`.
 * There is no state but the machine itself, so nothing but the demo uses it.
 */
export async function createStagingDirect(
  name: string,
  args: LiveStagingArgs,
  signal: AbortSignal,
  onProgress: OnProgress = silent,
): Promise<StagingResult> {
  const inputs = directInputs(name, args);
  return withProgress(onProgress, `staging machine ${name} (engine: direct)`, async () => {
    const before = await readMachine(inputs);
    if (before === undefined) {
      const { machine } = await createMachine(`direct:${name}`, inputs, signal);
      return { machine, engine: 'direct', changes: { create: 1 } };
    }
    const { changes } = compareMachine({ ...inputs, expiresAt: undefined, timeToLiveMs: undefined }, inputs);
    const { machine } = changes ? await updateMachine(inputs, signal) : before;
    return { machine, engine: 'direct', changes: changes ? { update: 1 } : { same: 1 } };
  });
}

export async function destroyStagingDirect(
  name: string,
  args: LiveStagingArgs,
  signal: AbortSignal,
): Promise<void> {
  await deleteMachine(directInputs(name, args), signal);
}

function directInputs(name: string, args: LiveStagingArgs): MachineInputs {
  const { source, isolation, expiresAt, timeToLiveMs, protect, labels, database, local } = args;
  if (local === undefined)
    throw new ClonaError('usage', 'only machines on this host can do without the engine');
  return {
    root: resolve(local.root),
    sourceRoot: resolve(local.sourceRoot ?? local.root),
    name: args.name ?? name,
    source,
    ...(isolation === undefined ? {} : { isolation }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(timeToLiveMs === undefined ? {} : { timeToLiveMs }),
    ...(protect === undefined ? {} : { protect }),
    ...(labels === undefined ? {} : { labels: { ...labels } }),
    ...(database?.name === undefined ? {} : { databaseName: database.name }),
    ...(database?.user === undefined ? {} : { databaseUser: database.user }),
  };
}
