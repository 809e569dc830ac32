import { ClonaError } from '../errors.ts';
import { closedConditions, type GateDecision } from '../gate/gate.ts';
import { decide, viewRelease } from './facts-now.ts';
import type { Bearing, KitApplied, KitFound } from './operations.ts';
import type { PromoteInput, PromoteResult } from './promote-result.ts';
import { durably, keepError, runStep, type KeptError } from './step.ts';

export type Guarded =
  | { ok: true; bearing: Bearing; kit: KitFound; staged: KitApplied }
  | { ok: false; error: KeptError };

/** Everything before the first change; afterwards LIVE is closed, quiet, backed up and snapshot at P. */
export async function guardLive(input: PromoteInput, result: PromoteResult): Promise<Guarded> {
  const { promotion: run } = input;
  try {
    await runStep(run, {
      name: 'close',
      title: 'close LIVE for users',
      evidence: 'live.closed',
      work: async ({ operations }, step) => operations.closeForUsers(step),
    });
    await runStep(run, {
      name: 'drain',
      title: 'wait for running work to end',
      evidence: 'live.drained',
      work: async ({ operations }, step) => operations.drain(step),
    });
    const bearing = await runStep(run, {
      name: 'bearing',
      title: 'note position P and count there',
      evidence: 'live.bearing',
      work: async ({ operations }, step) => operations.markRestorePoint(step, run),
      describe: ({ position }) => `P = ${position}`,
    });
    result.bearing = bearing;
    if (!bearing.countsExact) {
      // Without exact numbers nobody could prove a rollback.
      throw new ClonaError('databaseFailed', 'LIVE could not be counted exactly although it is closed', {
        hint: 'something still writes, or the lock was not granted in time: database.countsLockTimeout',
      });
    }
    await runStep(run, {
      name: 'log',
      title: 'archive the log up to P',
      evidence: 'log.archived',
      work: async ({ operations }, step) => operations.archiveLogTo(step, bearing.position, 'promotion'),
    });
    await takeGuards(run);
    result.gate = await gateStep(input, 'gate-first-change', 'firstChange', bearing);
    const { kit, staged } = await kitStep(input);
    if (result.gate.open && kit !== null && staged !== null) return { ok: true, bearing, kit, staged };
    throw new ClonaError('gateClosed', `the gate closed before the first change: ${reasons(result.gate)}`);
  } catch (thrown) {
    return { ok: false, error: keepError(thrown) };
  }
}

async function takeGuards(run: string): Promise<void> {
  await runStep(run, {
    name: 'guard-backup',
    title: 'guard backup of LIVE',
    evidence: 'guard.backup',
    work: async ({ operations }, step) => {
      const taken = await operations.takeBackup(step, 'guard', false);
      if (taken === null) throw new ClonaError('databaseFailed', 'no guard backup was taken');
      return taken;
    },
    describe: ({ label }) => label,
  });
  await runStep(run, {
    name: 'guard-snapshot',
    title: 'snapshot of LIVE',
    evidence: 'guard.snapshot',
    work: async ({ operations }, step) => operations.snapshot(step, 'live', run),
    describe: ({ name, wayBack = [] }) => [name, ...wayBack].join('; '),
  });
}

async function kitStep({
  promotion,
  release,
}: PromoteInput): Promise<{ kit: KitFound | null; staged: KitApplied | null }> {
  return durably('read-kit', async (worker) => {
    const { kit, staged } = await viewRelease(worker, release, promotion, worker.ended);
    return { kit, staged };
  });
}

/** The gate as it stands, on record. */
export async function gateStep(
  { promotion: run, release }: PromoteInput,
  name: string,
  due: 'promotion' | 'firstChange',
  live: Bearing | null,
): Promise<GateDecision> {
  return durably(name, async (worker) => {
    const view = await viewRelease(worker, release, run, worker.ended, live ?? undefined);
    const decision = decide(worker, view, due);
    const closed = closedConditions(decision).map(({ name, reason, remedy }) => ({ name, reason, remedy }));
    const payload = { release, due, open: decision.open, closed };
    await worker.ledger.append({ kind: 'gate.decided', run, key: `${run}/${name}`, payload }, worker.now());
    return decision;
  });
}

function reasons(decision: GateDecision): string {
  return closedConditions(decision)
    .map(({ reason }) => reason)
    .join('; ');
}
