import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../../errors.ts';
import type { Kit } from '../check.ts';
import type { KitStep } from '../manifest.ts';

/**
 * What the ledger keeps of one step. It is handed over before the step begins (`started`), before its
 * transaction is committed (`committing`), and when it ended.
 */
export interface KitStepRecord {
  /** From 0, in the order of kit.yaml; the last one is the version file. */
  index: number;
  name: string;
  kind: KitStep['kind'] | 'version';
  /** Over the step as kit.yaml has it and the content it names: the same step has the same hash everywhere. */
  contentHash: string;
  repeatable: boolean;
  state: 'started' | 'committing' | 'done' | 'failed';
  startedAt: string;
  finishedAt: string | null;
  exitCode: number | null;
  /** PostgreSQL's transaction, by which a later run can ask whether it was committed. */
  transactionId: string | null;
  /** The end of what the step said, without secrets. */
  output: string;
  outputBytes: number;
  /** Why it failed, one sentence, without secrets. */
  failure: string | null;
}

/** A step with its place and hash: what staging and LIVE must have in common (R17). */
export interface PlannedStep {
  index: number;
  name: string;
  kind: KitStepRecord['kind'];
  contentHash: string;
  repeatable: boolean;
  /** Null: the version file, which clona itself writes at the end. */
  step: KitStep | null;
}

/** The procedure of a kit: its steps and the version file, each with the hash of what it does. */
export async function planSteps(kit: Kit): Promise<PlannedStep[]> {
  const planned: PlannedStep[] = [];
  for (const [index, step] of kit.manifest.steps.entries()) {
    const { name, kind, repeatable } = step;
    planned.push({ index, name, kind, repeatable, step, contentHash: await hashStep(kit, step) });
  }
  const { version, versionFile, steps } = kit.manifest;
  const contentHash = hashOf(['version', versionFile, version]);
  planned.push({
    index: steps.length,
    name: 'version file',
    kind: 'version',
    repeatable: true,
    step: null,
    contentHash,
  });
  return planned;
}

async function hashStep(kit: Kit, step: KitStep): Promise<string> {
  // A SQL file stands for itself; a command may read any file of the kit.
  const content =
    step.kind === 'sql'
      ? createHash('sha256')
          .update(await readFile(join(kit.directory, step.file)))
          .digest('hex')
      : kit.hash;
  const sorted = Object.entries(step).sort(([left], [right]) => (left < right ? -1 : 1));
  return hashOf([JSON.stringify(sorted), content]);
}

function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** One hash over the whole procedure, for the gate: recorded on staging, and as a promotion would run it now. */
export function hashProcedure(
  steps: readonly Pick<PlannedStep, 'index' | 'name' | 'kind' | 'contentHash'>[],
): string {
  return hashOf(
    steps.map(({ index, name, kind, contentHash }) => JSON.stringify([index, name, kind, contentHash])),
  );
}

/** R17: refuses to run anything on LIVE but the steps that succeeded on staging, in their order. */
export function requireSameProcedure(
  planned: readonly PlannedStep[],
  recorded: readonly KitStepRecord[],
): void {
  const latest = latestByIndex(recorded);
  for (const { index, name, kind, contentHash } of planned) {
    const found = latest.get(index);
    const same = found?.name === name && found.kind === kind && found.contentHash === contentHash;
    if (same && found.state === 'done') continue;
    const why =
      found === undefined ? 'did not run' : same ? `is recorded as ${found.state}` : 'was another one';
    throw new ClonaError('gateClosed', `step ${index + 1} "${name}" ${why} on staging`, {
      hint: 'LIVE only ever gets the steps that succeeded on staging (R17): run the release again',
      details: { step: name, index },
    });
  }
  if (latest.size !== planned.length) {
    throw new ClonaError('gateClosed', `staging ran ${latest.size} steps, the kit has ${planned.length}`);
  }
}

/** The last word on each step. */
export function latestByIndex(records: readonly KitStepRecord[]): Map<number, KitStepRecord> {
  return new Map(records.map((record) => [record.index, record]));
}

export type ResumeDecision =
  | { do: 'run' }
  | { do: 'skip' }
  /** Only the server knows whether this transaction was committed. */
  | { do: 'ask'; transactionId: string }
  | { do: 'refuse'; why: string };

/** What a run does with a step of which an earlier run on this machine left a record. Pure. */
export function decideResume(planned: PlannedStep, earlier: KitStepRecord | undefined): ResumeDecision {
  if (earlier === undefined) return { do: 'run' };
  if (earlier.contentHash !== planned.contentHash) {
    return { do: 'refuse', why: 'is not the step that the earlier run began' };
  }
  if (earlier.state === 'done') return { do: 'skip' };
  if (earlier.state === 'committing') {
    return earlier.transactionId === null
      ? { do: 'refuse', why: 'may have been committed by the earlier run' }
      : { do: 'ask', transactionId: earlier.transactionId };
  }
  // Nothing of a transaction stays before its COMMIT, and that is recorded before it is sent.
  const rolledBack = planned.step?.kind === 'sql' && planned.step.transaction;
  if (planned.repeatable || rolledBack) return { do: 'run' };
  const why = earlier.state === 'failed' ? 'failed in the earlier run' : 'may have run in the earlier run';
  return { do: 'refuse', why: `${why}, and the kit says that it is not repeatable` };
}
