import { ClonaError } from '../errors.ts';
import { closedConditions, type GateDecision } from '../gate/gate.ts';
import { decide, viewRelease } from './facts-now.ts';
import type { Bearing, KitApplied, KitFound, SmokeRun } from './operations.ts';
import { takeBack, type TakenBack } from './take-back.ts';
import { durably, keepError, recordFact, runStep, tryStep, type KeptError } from './step.ts';

export interface PromoteInput {
  promotion: string;
  release: string;
  by: string;
  startedAt: string;
}

export interface PromoteResult {
  promotion: string;
  release: string;
  /**
   * refused: the gate was closed, LIVE was not touched · withdrawn: closed again before the first change, LIVE is
   * open as it was · rolledBack: proven back at P and open · failed: LIVE stays closed for users.
   */
  outcome: 'promoted' | 'refused' | 'withdrawn' | 'rolledBack' | 'failed';
  gate: GateDecision | null;
  /** P, and what was counted there. */
  bearing: Bearing | null;
  smoke: SmokeRun | null;
  takenBack: TakenBack | null;
  error: KeptError | null;
}

/**
 * R20: close LIVE → drain → note P → guard backup and snapshot → the recorded steps → smoke → open. A failure
 * before the first change opens LIVE as it is; one after it takes LIVE back to P and proves it.
 */
export async function promoteWorkflow(input: PromoteInput): Promise<PromoteResult> {
  const { promotion: run, release } = input;
  const result: PromoteResult = {
    promotion: run,
    release,
    outcome: 'refused',
    gate: null,
    bearing: null,
    smoke: null,
    takenBack: null,
    error: null,
  };
  result.gate = await gateStep(input, 'gate', 'promotion', null);
  if (!result.gate.open) return result;
  await recordFact(run, 'promotion.started', 'start', { release, by: input.by, startedAt: input.startedAt });
  const guarded = await guardLive(input, result);
  if (!guarded.ok) {
    result.error = guarded.error;
    return withdraw(input, result);
  }
  try {
    result.smoke = await change(run, guarded.kit, guarded.staged);
  } catch (thrown) {
    result.error = keepError(thrown);
    return rollBack(input, result, guarded.bearing);
  }
  return openLive(input, result, guarded.bearing);
}

type Guarded =
  | { ok: true; bearing: Bearing; kit: KitFound; staged: KitApplied }
  | { ok: false; error: KeptError };

/** Everything before the first change; afterwards LIVE is closed, quiet, backed up and snapshot at P. */
async function guardLive(input: PromoteInput, result: PromoteResult): Promise<Guarded> {
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
      work: async ({ operations }, step) => operations.archiveLogTo(step, bearing.position),
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
    describe: ({ name }) => name,
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

/** The same kit, the same steps (R17), then the site's own word on LIVE. */
async function change(run: string, kit: KitFound, staged: KitApplied): Promise<SmokeRun> {
  const applied = await runStep(run, {
    name: 'upgrade',
    title: 'install the kit on LIVE',
    evidence: 'kit.promoted',
    work: async ({ operations }, step) => operations.applyKit(step, 'live', kit, staged),
    describe: ({ outcome, failedStep }) => (outcome === 'failed' ? `failed in ${failedStep}` : outcome),
  });
  if (applied.outcome === 'failed') {
    throw new ClonaError(
      'kitStepFailed',
      `the kit failed on LIVE in ${applied.failedStep}: ${applied.failure}`,
    );
  }
  const smoke = await runStep(run, {
    name: 'smoke',
    title: 'smoke tests on LIVE',
    evidence: 'smoke.live',
    work: async ({ operations }, step) => operations.runSmoke(step, 'live'),
    describe: ({ passed, failed }) => `${passed} passed, ${failed.length} failed`,
  });
  if (smoke.failed.length > 0 || smoke.passed === 0) {
    throw new ClonaError(
      'smokeFailed',
      `smoke tests failed on LIVE: ${smoke.failed.join(', ') || 'none ran'}`,
    );
  }
  return smoke;
}

/** From here on a rollback loses what users do. Opening is asked again until it is done: it changes no data. */
async function openLive(
  input: PromoteInput,
  result: PromoteResult,
  bearing: Bearing,
): Promise<PromoteResult> {
  const { promotion: run } = input;
  const opened = await openStep(run, 'open');
  // Users saw nothing yet: a LIVE that cannot be opened goes back like any other failure.
  if (!opened.ok) return rollBack(input, { ...result, error: opened.error }, bearing);
  await endPromotion(input, 'promoted', null);
  return { ...result, outcome: 'promoted' };
}

async function withdraw(input: PromoteInput, result: PromoteResult): Promise<PromoteResult> {
  const { promotion: run } = input;
  const opened = await openStep(run, 'open-again');
  await tryStep(run, {
    name: 'forget-snapshot',
    title: 'remove the snapshot of LIVE',
    evidence: null,
    mustEnd: true,
    work: async ({ operations }, step) => operations.removeSnapshot(step, 'live', run),
  });
  await endPromotion(input, opened.ok ? 'open' : 'failed', result.error);
  return opened.ok
    ? { ...result, outcome: 'withdrawn' }
    : { ...result, outcome: 'failed', error: opened.error };
}

async function rollBack(
  input: PromoteInput,
  result: PromoteResult,
  bearing: Bearing,
): Promise<PromoteResult> {
  const { promotion: run } = input;
  const taken = await takeBack(run, run, bearing);
  if (taken.ok) {
    const opened = await openStep(run, 'open-back');
    if (opened.ok) {
      await endPromotion(input, 'rolledBack', result.error);
      return { ...result, outcome: 'rolledBack', takenBack: taken.value };
    }
    await endPromotion(input, 'failed', opened.error);
    return { ...result, outcome: 'failed', error: opened.error, takenBack: taken.value };
  }
  await endPromotion(input, 'failed', taken.error);
  return { ...result, outcome: 'failed', error: taken.error };
}

async function openStep(run: string, name: string) {
  return tryStep(run, {
    name,
    title: 'open LIVE for users',
    evidence: 'live.opened',
    mustEnd: true,
    work: async ({ operations }, step) => operations.openForUsers(step),
  });
}

async function endPromotion(
  { promotion: run, release }: PromoteInput,
  state: 'promoted' | 'open' | 'rolledBack' | 'failed',
  error: KeptError | null,
): Promise<void> {
  await recordFact(run, 'promotion.ended', 'end', { release, state, error });
  if (state !== 'promoted' && state !== 'rolledBack') return;
  await forgetSnapshots(run, state);
  await tryStep(run, {
    name: 'tell',
    title: `tell: ${state}`,
    evidence: null,
    mustEnd: true,
    work: async ({ operations }, step) => operations.notify(step, state, `release ${release}: ${state}`),
  });
}

/**
 * Taken back and proven: its own snapshot has served. Promoted: the ones before it can no longer be gone back to;
 * its own stays for a rollback after the opening.
 */
async function forgetSnapshots(run: string, state: 'promoted' | 'rolledBack'): Promise<void> {
  await tryStep(run, {
    name: 'forget-snapshots',
    title: 'remove snapshots that are no longer needed',
    evidence: null,
    mustEnd: true,
    work: async ({ ledger, operations }, step) => {
      const taken = (await ledger.list({ kinds: ['guard.snapshot'] })).map((record) => record.run);
      const needless = state === 'rolledBack' ? [run] : taken.filter((name) => name !== null && name !== run);
      const there = new Set(await operations.listSnapshots(step.signal, 'live'));
      for (const name of needless) {
        if (name === null || !there.has(name)) continue;
        await operations.removeSnapshot({ ...step, key: `${step.key}/${name}` }, 'live', name);
      }
    },
  });
}

async function gateStep(
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
