import { DBOS } from '@dbos-inc/dbos-sdk';
import type { Control } from '../control/control.ts';
import type { Ledger } from '../control/ledger.ts';
import type { GatePolicy } from '../gate/facts.ts';
import type { OnProgress } from '../progress.ts';
import type { Operations } from './operations.ts';
import { openWorker, type Worker } from './worker.ts';

/** Everything a verb of one site shares: opened once, closed at its end. */
export interface Context extends AsyncDisposable {
  site: string;
  control: Control;
  ledger: Ledger;
  operations: Operations;
  policy: GatePolicy;
  signal: AbortSignal;
  onProgress: OnProgress;
  now: () => Date;
  /** The worker of this process; undefined until the first run needs it. Kept until the context closes. */
  worker: OpenedWorker | undefined;
}

export interface OpenedWorker {
  worker: Worker;
  /** What interrupted runs of an earlier process came to when they were carried on. */
  carriedOn: CarriedOn[];
}

export interface CarriedOn {
  id: string;
  name: string;
  result: unknown;
}

export type ContextParts = Omit<Context, 'worker' | typeof Symbol.asyncDispose>;

/** `close`: what the context owns and closes after its worker. */
export function createContext(parts: ContextParts, close: () => Promise<void>): Context {
  const context: Context = {
    ...parts,
    worker: undefined,
    [Symbol.asyncDispose]: async () => {
      await closeWorker(context);
      await close();
    },
  };
  return context;
}

/**
 * Becomes the site's worker (or throws `locked`) and first carries on what an earlier process left: interrupted
 * refreshes, promotions and rollbacks to their end, releases to where they wait for people.
 */
export async function becomeWorker(
  context: Context,
  run: { who: string; what: string },
): Promise<OpenedWorker> {
  if (context.worker !== undefined) return { ...context.worker, carriedOn: [] };
  const worker = await openWorker(context, run);
  try {
    context.worker = { worker, carriedOn: await orEnded(worker, carryOn(worker)) };
    worker.calmDown();
    return context.worker;
  } catch (error) {
    await worker[Symbol.asyncDispose]();
    throw error;
  }
}

/** Gives the site free for other processes; the next run of this one takes it again. */
export async function closeWorker(context: Context): Promise<void> {
  const opened = context.worker;
  context.worker = undefined;
  await opened?.worker[Symbol.asyncDispose]();
}

async function carryOn(worker: Worker): Promise<CarriedOn[]> {
  const left = await DBOS.listWorkflows({ status: ['PENDING', 'ENQUEUED'], workflow_id_prefix: '' });
  const carried: CarriedOn[] = [];
  for (const { workflowID: id, workflowName: name } of left) {
    const ended = DBOS.retrieveWorkflow(id).getResult({ pollingIntervalMs: 100 });
    if (name === 'release') {
      const asked = worker.waiting(id).promise.then(() => undefined);
      const result = await Promise.race([ended, asked]);
      ended.catch(() => {});
      if (result !== undefined) carried.push({ id, name, result });
    } else {
      carried.push({ id, name, result: await ended });
    }
  }
  return carried;
}

/** The work's result, unless the worker loses the site meanwhile: then nothing of it may be waited for. */
export async function orEnded<Result>(worker: Worker, work: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onEnd = (): void => reject(worker.ended.reason);
  if (worker.ended.aborted) onEnd();
  worker.ended.addEventListener('abort', onEnd, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    worker.ended.removeEventListener('abort', onEnd);
  }
}
