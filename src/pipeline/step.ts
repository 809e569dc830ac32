import { DBOS } from '@dbos-inc/dbos-sdk';
import { canonicalJson, type Json } from '../control/canonical-json.ts';
import { ClonaError, toClonaError, type ErrorKind } from '../errors.ts';
import { withProgress } from '../progress.ts';
import type { Step } from './operations.ts';
import { currentWorker, type Worker } from './worker.ts';

/** An error as it is kept between processes. */
export type KeptError = { kind: ErrorKind; message: string; hint: string | null; details: Json };

export type Outcome<Result> = { ok: true; value: Result } | { ok: false; error: KeptError };

export interface StepOptions<Result> {
  /** Unique within the run. */
  name: string;
  /** What people read while it works. */
  title: string;
  /** Kind of the evidence that its result becomes; null: the step is no fact by itself. */
  evidence: string | null;
  work: (worker: Worker, step: Step) => Promise<Result>;
  describe?: (result: Result) => string;
  /** Goes on when the run is interrupted: what brings LIVE back is not stopped halfway. */
  mustEnd?: boolean;
}

/**
 * Runs one durable step of a workflow: once done it is never done again, whatever dies. Its result and its failure
 * are evidence (R22). A kill between the work and the ledger repeats the work (Operations bear it); one between
 * the ledger and DBOS finds the result in the ledger.
 */
export async function tryStep<Result>(run: string, options: StepOptions<Result>): Promise<Outcome<Result>> {
  return durably(options.name, async (worker) => carryOut(worker, run, options));
}

/** The same for steps whose failure fails the run. */
export async function runStep<Result>(run: string, options: StepOptions<Result>): Promise<Result> {
  const outcome = await tryStep(run, options);
  if (outcome.ok) return outcome.value;
  throw reviveError(outcome.error);
}

/**
 * A durable step that ends with its worker. What the end of a worker breaks off (it closed, it lost the site) is no
 * failure of the run: nothing is remembered of it, and whoever has the site next does it again.
 */
export async function durably<Result>(
  name: string,
  work: (worker: Worker) => Promise<Result>,
): Promise<Result> {
  const worker = await currentWorker();
  return DBOS.runStep(
    async () => {
      try {
        return await work(worker);
      } catch (thrown) {
        if (worker.ended.aborted) return new Promise<never>(() => {});
        throw thrown;
      }
    },
    { name },
  );
}

async function carryOut<Result>(
  worker: Worker,
  run: string,
  options: StepOptions<Result>,
): Promise<Outcome<Result>> {
  const { name, title, evidence, work, describe, mustEnd = false } = options;
  const key = `${run}/${name}`;
  const found = evidence === null ? null : await worker.ledger.find(key);
  // What was recorded under this key came from this very step.
  if (found !== null) return { ok: true, value: found.payload as Result };
  const signal = mustEnd ? worker.ended : AbortSignal.any([worker.signal, worker.ended]);
  try {
    const value = await withProgress(
      worker.onProgress,
      title,
      async () => {
        signal.throwIfAborted();
        return work(worker, createStep(worker, run, key, signal));
      },
      describe,
    );
    if (evidence !== null) {
      await worker.ledger.append(
        { kind: evidence, run, key, payload: toJson(value === undefined ? {} : value) },
        worker.now(),
      );
    }
    return { ok: true, value };
  } catch (thrown) {
    // Without the lock somebody else may already be at work: leave everything as it is to them.
    if (worker.ended.aborted) throw thrown;
    const error = keepError(worker.signal.aborted ? worker.signal.reason : thrown);
    const payload = toJson({ step: name, error });
    await worker.ledger.append({ kind: 'step.failed', run, key: `${key}/failed`, payload }, worker.now());
    return { ok: false, error };
  }
}

/** A step as Operations see it. */
export function createStep(
  worker: Pick<Worker, 'ledger' | 'onProgress' | 'now'>,
  run: string,
  key: string,
  signal: AbortSignal,
): Step {
  const { ledger, onProgress, now } = worker;
  return {
    key,
    signal,
    onProgress,
    notes: {
      read: async () => {
        const records = await ledger.list({ runs: [run], kinds: ['step.note'] });
        // Written below.
        const notes = records.map(({ payload }) => payload as { step: string; note: Json });
        return notes.filter(({ step }) => step === key).map(({ note }) => note);
      },
      write: async (note) => {
        await ledger.append({ kind: 'step.note', run, key: null, payload: { step: key, note } }, now());
      },
    },
  };
}

/** Records a fact that is no work by itself. */
export async function recordFact(run: string, kind: string, name: string, payload: unknown): Promise<void> {
  await durably(name, async (worker) => {
    await worker.ledger.append({ kind, run, key: `${run}/${name}`, payload: toJson(payload) }, worker.now());
  });
}

export function keepError(thrown: unknown): KeptError {
  const error = toClonaError(thrown);
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (!error.message.includes(cause.message)) causes.push(cause.message);
  }
  const because = causes.length === 0 ? '' : ` (${causes.join('; ').slice(0, 2000)})`;
  return {
    kind: error.kind,
    message: `${error.message}${because}`,
    hint: error.hint ?? null,
    details: toJson(error.details ?? null),
  };
}

export function reviveError({ kind, message, hint, details }: KeptError): ClonaError {
  return new ClonaError(kind, message, {
    hint: hint ?? undefined,
    details: isRecord(details) ? details : undefined,
  });
}

function isRecord(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As JSON has it: undefined members are left out, bigints become decimal strings. */
export function toJson(value: unknown): Json {
  const text = JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'bigint' ? member.toString() : member,
  );
  const parsed = JSON.parse(text ?? 'null') as Json;
  canonicalJson(parsed);
  return parsed;
}
