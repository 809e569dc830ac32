import { ClonaError } from '../errors.ts';
import { compareObservations, type Bearing, type Observation } from './operations.ts';
import { keepError, runStep, type Outcome } from './step.ts';

export interface TakenBack {
  position: string;
  incarnation: number;
  observed: Observation;
  back: { counts: boolean; version: boolean; fingerprint: boolean };
}

/**
 * Takes LIVE back to a snapshot, on a new incarnation before archiving resumes, and proves that it is at P: the
 * counts, the program version and the schema (R20). LIVE stays closed; one that is not proven back is never opened.
 */
export async function takeBack(run: string, snapshot: string, bearing: Bearing): Promise<Outcome<TakenBack>> {
  try {
    await runStep(run, {
      name: 'revert',
      title: 'take LIVE back to the snapshot',
      evidence: 'live.reverted',
      mustEnd: true,
      work: async ({ operations }, step) => {
        await operations.revert(step, 'live', snapshot);
        return { snapshot };
      },
    });
    const reopened = await runStep(run, {
      name: 'reopen',
      title: 'start LIVE on a new incarnation',
      evidence: 'live.reopened',
      mustEnd: true,
      work: async ({ operations }, step) => operations.reopen(step, 'live'),
      describe: ({ incarnation }) => `incarnation ${incarnation}`,
    });
    const taken = await runStep(run, {
      name: 'prove-back',
      title: 'prove that LIVE is back at P',
      evidence: 'live.provenBack',
      mustEnd: true,
      work: async ({ operations }, step): Promise<TakenBack> => {
        const observed = await operations.observe(step, 'live');
        const back = compareObservations(bearing, observed);
        return { position: bearing.position, incarnation: reopened.incarnation, observed, back };
      },
    });
    const missing = Object.entries(taken.back).filter(([, isBack]) => !isBack);
    if (missing.length === 0) return { ok: true, value: taken };
    throw new ClonaError(
      'promotionRolledBack',
      `LIVE is not as it was at ${bearing.position}: ${missing.map(([part]) => part).join(', ')} differ`,
      {
        hint: 'LIVE stays closed for users; the guard backup and the archive hold everything up to P: clona restore',
        details: { taken },
      },
    );
  } catch (thrown) {
    return { ok: false, error: keepError(thrown) };
  }
}
