import { ClonaError } from '../errors.ts';
import type { Rehearsal } from './evidence-kinds.ts';
import type { KitSource, Observation } from './operations.ts';
import { findFreeStaging, readSiteState } from './site-state.ts';
import { keepError, recordFact, runStep } from './step.ts';
import { askDepartments, decideNow, waitForChecklist, waitForEnd } from './wait-for-words.ts';
import type { ReleaseResult } from './release-result.ts';
import { currentWorker } from './worker.ts';

export interface ReleaseInput {
  release: string;
  initiator: string;
  kitSource: KitSource;
  startedAt: string;
}

/**
 * A kit on staging, smoke tests, the rollback rehearsed, the DBA's checklist, requests to the departments, and then
 * it waits for their words (R17 to R20), for days if need be, until it is promoted or given up.
 */
export async function releaseWorkflow(input: ReleaseInput): Promise<ReleaseResult> {
  const { release: run } = input;
  const result: ReleaseResult = {
    release: run,
    state: 'failed',
    kit: null,
    upgrade: null,
    smoke: null,
    gate: null,
    error: null,
  };
  try {
    const machine = await claimStaging(input);
    if (await installOnStaging(input, machine, result)) {
      await rehearseRollback(run, machine);
      await waitForChecklist(run);
      await askDepartments(run);
      result.state = await waitForEnd(run, result);
      return result;
    }
  } catch (thrown) {
    result.error = keepError(thrown);
  }
  result.gate = await decideNow(run, 'decide-failed').catch(() => null);
  await recordFact(run, 'release.ended', 'end', { state: 'failed', error: result.error });
  return result;
}

async function claimStaging({ release, initiator, kitSource }: ReleaseInput): Promise<string> {
  const claim = await runStep(release, {
    name: 'claim',
    title: 'take a fresh staging machine',
    evidence: 'release.started',
    work: async (worker) => {
      const free = findFreeStaging(await readSiteState(worker.ledger));
      if (free === null || free.machine === null) throw noStaging();
      return { initiator, source: kitSource.source, refresh: free.id, machine: free.machine };
    },
    describe: ({ machine }) => machine,
  });
  return claim.machine;
}

export function noStaging(): ClonaError {
  return new ClonaError('usage', 'no staging machine is fresh and free', {
    hint: 'make one with: clona refresh (a staging machine serves one kit, then it is refreshed)',
  });
}

/** True when the kit went in and every smoke test passed after it. */
async function installOnStaging(
  { release: run, kitSource }: ReleaseInput,
  machine: string,
  result: ReleaseResult,
): Promise<boolean> {
  const kit = await runStep(run, {
    name: 'kit',
    title: 'fetch and check the kit',
    evidence: 'release.kit',
    work: async ({ operations }, step) => operations.readKit(step, kitSource),
    describe: ({ name, version, hash }) => `${name} ${version}, ${hash.slice(0, 12)}`,
  });
  result.kit = kit;
  await observeStep(run, machine, 'before', 'staging.observed');
  await snapshotStep(run, machine, 'before-kit');
  result.upgrade = await runStep(run, {
    name: 'upgrade',
    title: `install the kit on ${machine}`,
    evidence: 'kit.staged',
    work: async ({ operations }, step) => operations.applyKit(step, machine, kit, null),
    describe: ({ outcome, failedStep }) => (outcome === 'failed' ? `failed in ${failedStep}` : outcome),
  });
  if (result.upgrade.outcome === 'failed') return false;
  result.smoke = await runStep(run, {
    name: 'smoke',
    title: 'smoke tests after the kit',
    evidence: 'smoke.staged',
    work: async ({ operations }, step) => operations.runSmoke(step, machine),
    describe: ({ passed, failed }) => `${passed} passed, ${failed.length} failed`,
  });
  return result.smoke.failed.length === 0 && result.smoke.passed > 0;
}

/** Takes staging back to before the kit, looks whether everything is back, and returns to after the kit (R20). */
async function rehearseRollback(run: string, machine: string): Promise<void> {
  const worker = await currentWorker();
  if (!worker.policy.rehearsalRequired) return;
  const before = await observeStep(run, machine, 'before', 'staging.observed');
  await snapshotStep(run, machine, 'after-kit');
  await revertStep(run, machine, 'before-kit');
  const after = await observeStep(run, machine, 'back', 'staging.observedBack');
  await revertStep(run, machine, 'after-kit');
  const rehearsal: Omit<Rehearsal, 'finishedAt'> = { before, after };
  await runStep(run, {
    name: 'rehearsed',
    title: 'rehearse the rollback',
    evidence: 'rollback.rehearsed',
    work: async ({ now }): Promise<Rehearsal> => ({ ...rehearsal, finishedAt: now().toISOString() }),
  });
  for (const snapshot of ['before-kit', 'after-kit']) {
    await runStep(run, {
      name: `forget-${snapshot}`,
      title: `remove the snapshot ${snapshot}`,
      evidence: null,
      work: async ({ operations }, step) => operations.removeSnapshot(step, machine, `${run}-${snapshot}`),
    });
  }
}

async function observeStep(
  run: string,
  machine: string,
  name: string,
  evidence: string,
): Promise<Observation> {
  return runStep(run, {
    name: `observe-${name}`,
    title: `count ${machine}`,
    evidence,
    work: async ({ operations }, step) => operations.observe(step, machine),
  });
}

async function snapshotStep(run: string, machine: string, name: string): Promise<void> {
  await runStep(run, {
    name: `snapshot-${name}`,
    title: `snapshot ${machine}`,
    evidence: 'staging.snapshot',
    work: async ({ operations }, step) => operations.snapshot(step, machine, `${run}-${name}`),
  });
}

async function revertStep(run: string, machine: string, name: string): Promise<void> {
  await runStep(run, {
    name: `revert-${name}`,
    title: `take ${machine} to ${name}`,
    evidence: null,
    work: async ({ operations }, step) => operations.revert(step, machine, `${run}-${name}`),
  });
  await runStep(run, {
    name: `reopen-${name}`,
    title: `open ${machine} again`,
    evidence: null,
    work: async ({ operations }, step) => operations.reopen(step, machine),
  });
}
