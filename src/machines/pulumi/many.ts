import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import { CloneQueue, defaultLimits, type CloneLimits } from './clone-queue.ts';
import { createStaging, destroyStaging, type StagingResult } from './staging.ts';
import type { StagingOptions } from './staging-options.ts';

export interface StagingRequest {
  options: StagingOptions;
  args: LiveStagingArgs;
}

/** One queue for the whole process: a vCenter does not care which of our runs asks. */
const queue = new CloneQueue();

/** `createStaging` when its turn has come: engines by memory, clones by vCenter, host or cluster, and datastore. */
export async function createStagingInTurn(
  { options, args }: StagingRequest,
  limits: CloneLimits = defaultLimits(),
): Promise<StagingResult> {
  return queue.run(placesOf(args, limits), options.signal, async () => createStaging(options, args));
}

/** `destroyStaging` when its turn has come: an engine as well. */
export async function destroyStagingInTurn(
  { options, args }: StagingRequest,
  limits: CloneLimits = defaultLimits(),
): Promise<void> {
  return queue.run(placesOf(args, limits), options.signal, async () => destroyStaging(options, args));
}

/** Many at once, one stack each. What failed does not hinder the others: every request has its own result. */
export async function createManyStagings(
  requests: readonly StagingRequest[],
  limits: CloneLimits = defaultLimits(),
): Promise<PromiseSettledResult<StagingResult>[]> {
  return Promise.allSettled(requests.map(async (request) => createStagingInTurn(request, limits)));
}

export function placesOf({ vsphere }: LiveStagingArgs, limits: CloneLimits): Map<string, number> {
  const places = new Map([['engines', limits.engines]]);
  if (vsphere === undefined) return places;
  const { address, places: inventory } = vsphere;
  const host = inventory.cluster ?? inventory.resourcePool;
  const datastore = inventory.datastore ?? inventory.datastoreCluster;
  places.set(`vcenter ${address.server}`, limits.vcenter);
  if (host !== undefined) places.set(`host ${address.server} ${host}`, limits.host);
  if (datastore !== undefined) places.set(`datastore ${address.server} ${datastore}`, limits.datastore);
  return places;
}
