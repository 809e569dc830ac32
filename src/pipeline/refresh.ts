import type { Ledger } from '../control/ledger.ts';
import { readPayload } from './evidence-kinds.ts';
import { readSiteState } from './site-state.ts';
import { recordFact, runStep, keepError, type KeptError } from './step.ts';
import type { Bearing, Proof, RestorePlan, Restored } from './operations.ts';

export interface RefreshInput {
  refresh: string;
  by: string;
  startedAt: string;
  /** Preferred name of the machine; another one is taken while a release holds it (R19). */
  machine: string;
  /** Take a backup even where the archive can serve a restore to now. */
  freshBackup: boolean;
  /** Grade 6: the smoke tests run on the clone before any kit. */
  smoke: boolean;
}

export interface RefreshResult {
  refresh: string;
  machine: string;
  /** Why another machine was taken than the preferred one; null: it was free. */
  insteadOf: string | null;
  outcome: 'succeeded' | 'failed';
  error: KeptError | null;
  plan: RestorePlan | null;
  restored: Restored | null;
  proof: Proof | null;
  bearing: Bearing | null;
}

/**
 * LIVE STAGING anew from the archive: backup where needed, a named point in LIVE's log, clone, restore, fence,
 * proof, masking (R4 to R7, R15, R21, R23). A refresh that fails destroys what it made: nothing half-restored stays.
 */
export async function refreshWorkflow(input: RefreshInput): Promise<RefreshResult> {
  const { refresh: run } = input;
  await recordFact(run, 'refresh.started', 'start', { by: input.by, startedAt: input.startedAt });
  const result: RefreshResult = {
    refresh: run,
    machine: input.machine,
    insteadOf: null,
    outcome: 'failed',
    error: null,
    plan: null,
    restored: null,
    proof: null,
    bearing: null,
  };
  try {
    await prepare(input, result);
    await fill(input, result);
    result.outcome = 'succeeded';
  } catch (thrown) {
    result.error = keepError(thrown);
    await cleanUp(run, result).catch(() => {});
  }
  const { outcome, machine, error, proof } = result;
  await recordFact(run, 'refresh.ended', 'end', { outcome, machine, error, grade: proof?.grade ?? null });
  return result;
}

/** Everything before the first byte: which machine, a backup, a point to restore to, whether it fits. */
async function prepare(input: RefreshInput, result: RefreshResult): Promise<void> {
  const run = input.refresh;
  const choice = await runStep(run, {
    name: 'choose',
    title: 'choose a staging machine',
    evidence: 'staging.chosen',
    work: async (worker) => chooseMachine(input.machine, (await readSiteState(worker.ledger)).held),
    describe: ({ machine }) => machine,
  });
  result.machine = choice.machine;
  result.insteadOf = choice.insteadOf;
  await runStep(run, {
    name: 'backup',
    title: 'back up LIVE',
    evidence: 'backup.taken',
    work: async ({ operations }, step) => operations.takeBackup(step, 'refresh', !input.freshBackup),
    describe: (taken) => (taken === null ? 'the archive serves as it is' : taken.label),
  });
  const bearing = await runStep(run, {
    name: 'bearing',
    title: 'count LIVE at a named point',
    evidence: 'live.counted',
    work: async ({ operations }, step) => operations.markRestorePoint(step, run),
    describe: ({ position }) => `position ${position}`,
  });
  result.bearing = bearing;
  await runStep(run, {
    name: 'log',
    title: 'archive the log up to there',
    evidence: 'log.archived',
    work: async ({ operations }, step) => operations.archiveLogTo(step, bearing.position, 'refresh'),
  });
  result.plan = await runStep(run, {
    name: 'plan',
    title: 'plan the restore',
    evidence: 'restore.planned',
    work: async ({ operations, ledger }, step) =>
      operations.planRestore(step, bearing, await readNewestRestore(ledger)),
    describe: ({ backup }) => backup,
  });
}

/** The newest restore that was measured: the RTO as it really is. */
export async function readNewestRestore(ledger: Ledger): Promise<Restored | null> {
  const record = (await ledger.list({ kinds: ['staging.restored'] })).at(-1);
  return record === undefined ? null : readPayload(record, 'staging.restored');
}

async function fill(input: RefreshInput, result: RefreshResult): Promise<void> {
  const run = input.refresh;
  const { machine, bearing } = result;
  if (bearing === null) throw new Error('a restore needs its point');
  await runStep(run, {
    name: 'remove-old',
    title: `remove the old ${machine}`,
    evidence: 'staging.destroyed',
    work: async ({ operations }, step) => {
      await operations.destroyStaging(step, machine);
      return { machine };
    },
  });
  await runStep(run, {
    name: 'create',
    title: `clone LIVE as ${machine}`,
    evidence: 'staging.created',
    work: async ({ operations }, step) => ({ machine, ...(await operations.createStaging(step, machine)) }),
    describe: ({ isolation }) => `isolation by ${isolation}`,
  });
  const restored = await runStep(run, {
    name: 'restore',
    title: 'restore the archive into it',
    evidence: 'staging.restored',
    work: async ({ operations }, step) => operations.restoreIntoStaging(step, machine, bearing),
    describe: ({ backup, reached }) => `${backup} up to ${reached}`,
  });
  result.restored = restored;
  await runStep(run, {
    name: 'fence',
    title: 'fence it off',
    evidence: 'staging.fenced',
    work: async ({ operations }, step) => operations.fenceStaging(step, machine),
    describe: ({ parts }) => parts.join(', '),
  });
  result.proof = await runStep(run, {
    name: 'prove',
    title: 'prove what was restored',
    evidence: 'archive.proven',
    work: async ({ operations }, step) => operations.proveStaging(step, machine, restored.backup, bearing),
    describe: ({ grade }) => `grade ${grade}`,
  });
  await runStep(run, {
    name: 'mask',
    title: 'mask it',
    evidence: 'staging.masked',
    work: async ({ operations }, step) => operations.maskStaging(step, machine),
    describe: ({ files }) =>
      files.length === 0 ? 'the site masks nothing' : files.map(({ name }) => name).join(', '),
  });
  if (input.smoke && result.proof.grade >= 5) result.proof = await proveBySmoke(run, machine, result.proof);
}

async function proveBySmoke(run: string, machine: string, proof: Proof): Promise<Proof> {
  return runStep(run, {
    name: 'smoke',
    title: 'smoke tests before any kit',
    evidence: 'archive.proven',
    work: async ({ operations, now }, step): Promise<Proof> => {
      const smoke = await operations.runSmoke(step, machine);
      const isProven = smoke.failed.length === 0 && smoke.passed > 0;
      const said = isProven
        ? `${smoke.passed} smoke tests passed`
        : `failed: ${smoke.failed.join(', ') || 'none ran'}`;
      return {
        ...proof,
        grade: isProven ? 6 : proof.grade,
        provenAt: now().toISOString(),
        findings: [...proof.findings, said],
      };
    },
    describe: ({ grade }) => `grade ${grade}`,
  });
}

async function cleanUp(run: string, { machine, restored, proof }: RefreshResult): Promise<void> {
  // After a finished proof the machine shows what was found wrong; before it, nothing of it may be mistaken for whole.
  if (restored !== null && proof !== null) return;
  await runStep(run, {
    name: 'clean-up',
    title: `remove ${machine}`,
    evidence: 'staging.destroyed',
    mustEnd: true,
    work: async ({ operations }, step) => {
      await operations.destroyStaging(step, machine);
      return { machine };
    },
  });
  await runStep(run, {
    name: 'tell',
    title: 'tell that the refresh failed',
    evidence: null,
    mustEnd: true,
    work: async ({ operations }, step) => operations.notify(step, 'refreshFailed', `refresh ${run} failed`),
  });
}

/** The preferred machine, or the next number that no release holds. */
export function chooseMachine(
  preferred: string,
  held: ReadonlyMap<string, string>,
): { machine: string; insteadOf: string | null } {
  const holder = held.get(preferred);
  if (holder === undefined) return { machine: preferred, insteadOf: null };
  let number = 2;
  while (held.has(`${preferred}-${number}`)) number += 1;
  return { machine: `${preferred}-${number}`, insteadOf: `${preferred} is held by release ${holder}` };
}
