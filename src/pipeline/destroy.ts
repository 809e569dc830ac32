import { acquireSiteLock } from '../control/lock.ts';
import { findExpired } from '../machines/expiry.ts';
import { listLocalMachines } from '../machines/local/local-machines.ts';
import { deleteForgottenMachine } from '../machines/local/resource.ts';
import { destroyStaging } from '../machines/pulumi/staging.ts';
import { projectName } from '../machines/pulumi/workspace.ts';
import { ClonaError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';
import { stagingOptions } from './local/staging-machine.ts';
import type { OpenedSite } from './open-site.ts';
import { readSiteState } from './site-state.ts';

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
  { machines, now }: Pick<DestroyOrder, 'machines' | 'now'>,
): Promise<DestroyResult> {
  const { live } = site.machines;
  const wanted =
    machines ??
    findExpired(await listLocalMachines({ root: site.machines.root }), now).map(({ name }) => name);
  const { held } = await readSiteState(ledger);
  const plan: DestroyResult = { destroyed: [], kept: [] };
  for (const machine of new Set(wanted)) {
    const release = held.get(machine);
    if (machine === live.name) plan.kept.push({ machine, reason: 'it is production' });
    else if (release !== undefined)
      plan.kept.push({ machine, reason: `release ${release} holds it until it ends` });
    else plan.destroyed.push(machine);
  }
  return plan;
}

/** Destroys staging machines one after the other, each a record of the ledger. Gone already counts as done. */
export async function destroyMachines(opened: OpenedSite, order: DestroyOrder): Promise<DestroyResult> {
  const { site, control, ledger } = opened;
  await using _lock = await acquireSiteLock(control, { who: order.by, what: 'destroy' }, order.now);
  const plan = await planDestroy(opened, order);
  for (const machine of plan.destroyed) {
    const options = await stagingOptions(site, machine, order);
    await destroyStaging({ ...options, breakLock: order.breakLock ? 'always' : 'never' });
    const place = { root: site.machines.root, name: machine };
    await deleteForgottenMachine(place, { project: projectName, name: machine }, order.signal);
    await requireGone(place);
    const payload = { machine, by: order.by, expired: order.machines === undefined };
    const key = `destroy/${machine}/${order.now.toISOString()}`;
    await ledger.append({ kind: 'staging.destroyed', run: null, key, payload }, order.now);
  }
  return plan;
}

async function requireGone({ root, name }: { root: string; name: string }): Promise<void> {
  const left = (await listLocalMachines({ root })).find((machine) => machine.name === name);
  if (left === undefined) return;
  throw new ClonaError(
    'machineFailed',
    `machine "${name}" is still there: another stack or program made it`,
    {
      hint: 'destroy it where it was made',
    },
  );
}
