import type { Bearing } from './operations.ts';
import type { PromoteInput, PromoteResult } from './promote-result.ts';
import { recordFact, tryStep, type KeptError } from './step.ts';
import { takeBack } from './take-back.ts';

/** Closed again before the first change: LIVE is opened as it was. */
export async function withdraw(input: PromoteInput, result: PromoteResult): Promise<PromoteResult> {
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

/** A failure after the first change takes LIVE back to P; proven back it is opened, else it stays closed. */
export async function rollBack(
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

export async function openStep(run: string, name: string) {
  return tryStep(run, {
    name,
    title: 'open LIVE for users',
    evidence: 'live.opened',
    mustEnd: true,
    work: async ({ operations }, step) => operations.openForUsers(step),
  });
}

export async function endPromotion(
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
