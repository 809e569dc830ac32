import { keepError, recordFact, runStep, tryStep, type KeptError, type Outcome } from './step.ts';
import type { Bearing, Losses } from './operations.ts';
import { takeBack, type TakenBack } from './take-back.ts';

export interface RollbackInput {
  rollback: string;
  release: string;
  promotion: string;
  by: string;
  bearing: Bearing;
  /** What was accepted to be lost; null: LIVE was never opened since P. */
  accepted: Losses | null;
  startedAt: string;
}

export interface RollbackResult {
  rollback: string;
  release: string;
  outcome: 'rolledBack' | 'failed';
  losses: Losses | null;
  takenBack: TakenBack | null;
  error: KeptError | null;
}

/**
 * Takes LIVE back to P of a promotion after all: close, drain, one more backup so that what is given up can be
 * looked at later, then as in a promotion that failed (R20).
 */
export async function rollbackWorkflow(input: RollbackInput): Promise<RollbackResult> {
  const { rollback: run, release, promotion, bearing, accepted } = input;
  const result: RollbackResult = {
    rollback: run,
    release,
    outcome: 'failed',
    losses: accepted,
    takenBack: null,
    error: null,
  };
  await recordFact(run, 'rollback.started', 'start', {
    release,
    promotion,
    by: input.by,
    accepted,
    at: input.startedAt,
  });
  if (accepted !== null) {
    const kept = await keepWhatIsGivenUp(run);
    // Nothing was taken back: LIVE goes on as it was promoted.
    if (!kept.ok) return { ...result, error: await openAgain(run, release, kept.error) };
  }
  try {
    const taken = await takeBack(run, promotion, bearing);
    if (taken.ok) {
      result.takenBack = taken.value;
      await runStep(run, {
        name: 'open',
        title: 'open LIVE for users',
        evidence: 'live.opened',
        mustEnd: true,
        work: async ({ operations }, step) => operations.openForUsers(step),
      });
      result.outcome = 'rolledBack';
    } else {
      result.error = taken.error;
    }
  } catch (thrown) {
    result.error = keepError(thrown);
  }
  const state = result.outcome;
  await recordFact(run, 'promotion.ended', 'end', { release, state, error: result.error });
  if (state === 'rolledBack') {
    await tryStep(run, {
      name: 'tell',
      title: 'tell that LIVE was taken back',
      evidence: null,
      mustEnd: true,
      work: async ({ operations }, step) =>
        operations.notify(step, 'rolledBack', `release ${release} was taken back`),
    });
  }
  return result;
}

async function keepWhatIsGivenUp(run: string): Promise<Outcome<null>> {
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
    await runStep(run, {
      name: 'last-backup',
      title: 'back up what is given up',
      evidence: 'backup.taken',
      work: async ({ operations }, step) => operations.takeBackup(step, 'guard', false),
    });
    return { ok: true, value: null };
  } catch (thrown) {
    return { ok: false, error: keepError(thrown) };
  }
}

async function openAgain(run: string, release: string, error: KeptError): Promise<KeptError> {
  const opened = await tryStep(run, {
    name: 'open-again',
    title: 'open LIVE for users again',
    evidence: 'live.opened',
    mustEnd: true,
    work: async ({ operations }, step) => operations.openForUsers(step),
  });
  await recordFact(run, 'promotion.ended', 'end', { release, state: 'promoted', error });
  return opened.ok ? error : opened.error;
}
