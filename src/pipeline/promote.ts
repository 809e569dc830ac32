import { ClonaError } from '../errors.ts';
import { endPromotion, openStep, rollBack, withdraw } from './end-promotion.ts';
import { gateStep, guardLive } from './guard-live.ts';
import type { Bearing, KitApplied, KitFound, SmokeRun } from './operations.ts';
import { keepError, recordFact, runStep } from './step.ts';
import type { PromoteInput, PromoteResult } from './promote-result.ts';

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
