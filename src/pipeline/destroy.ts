import { acquireSiteLock } from '../control/lock.ts';
import { findExpired } from '../machines/expiry.ts';
import { isProtectedError } from '../machines/pulumi/staging.ts';
import { ClonaError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';
import type { Site } from '../site/site.ts';
import type { OpenedSite } from './open-site.ts';
import { readSiteState } from './site-state.ts';
import { listStaging, removeStaging } from './staging-machines.ts';

export interface DestroyOrder {
  /** Names of staging machines; undefined: those whose time has passed. */
  machines: readonly string[] | undefined;
  by: string;
  /** Clears a lock on the stack, whoever holds it. */
  breakLock: boolean;
  now: Date;
  signal: AbortSignal;
  onProgress: OnProgress;
}

export interface DestroyResult {
  destroyed: string[];
  kept: { machine: string; reason: string }[];
}

/** Names that `clona destroy` would take away, and those that a release holds (R19). Nothing is changed. */
export async function planDestroy(
  { site, ledger }: OpenedSite,
  { machines, now, signal }: Pick<DestroyOrder, 'machines' | 'now' | 'signal'>,
): Promise<DestroyResult> {
  const { live } = site.machines;
  const wanted = machines ?? findExpired(await listStaging(site, signal), now).map(({ name }) => name);
  const { held } = await readSiteState(ledger);
  const plan: DestroyResult = { destroyed: [], kept: [] };
  for (const machine of new Set(wanted)) {
    const release = held.get(machine);
    // On vSphere production may be given by its inventory path.
    if (machine === live.name || machine === live.name.split('/').at(-1))
      plan.kept.push({ machine, reason: 'it is production' });
    else if (release !== undefined)
      plan.kept.push({ machine, reason: `release ${release} holds it until it ends` });
    else plan.destroyed.push(machine);
  }
  return plan;
}

/**
 * Destroys staging machines one after the other, each a record of the ledger. Gone already counts as done. Found by
 * their age, protected ones stay and are named, and one that fails does not keep the others: it is thrown at the end.
 */
export async function destroyMachines(opened: OpenedSite, order: DestroyOrder): Promise<DestroyResult> {
  const { control } = opened;
  await using _lock = await acquireSiteLock(control, { who: order.by, what: 'destroy' }, order.now);
  const plan = await planDestroy(opened, order);
  const result: DestroyResult = { destroyed: [], kept: plan.kept };
  const failures: unknown[] = [];
  for (const machine of plan.destroyed) {
    order.signal.throwIfAborted();
    try {
      await destroyOne(opened, order, machine);
      result.destroyed.push(machine);
    } catch (error) {
      if (order.machines !== undefined || order.signal.aborted) throw error;
      if (isProtectedError(error)) result.kept.push({ machine, reason: 'it is protected' });
      else failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return result;
}

async function destroyOne({ site, ledger }: OpenedSite, order: DestroyOrder, machine: string): Promise<void> {
  await removeStaging(site, machine, order, order.breakLock ? 'always' : 'never');
  await requireGone(site, machine, order.signal);
  const payload = { machine, by: order.by, expired: order.machines === undefined };
  const key = `destroy/${machine}/${order.now.toISOString()}`;
  await ledger.append({ kind: 'staging.destroyed', run: null, key, payload }, order.now);
}

async function requireGone(site: Site, name: string, signal: AbortSignal): Promise<void> {
  const left = (await listStaging(site, signal)).find((machine) => machine.name === name);
  if (left === undefined) return;
  throw new ClonaError(
    'machineFailed',
    `machine "${name}" is still there: another stack or program made it`,
    {
      hint: 'destroy it where it was made',
    },
  );
}
