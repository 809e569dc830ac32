import { Worker } from 'node:worker_threads';
import type { Frame } from '../../../archive/format.ts';
import { ClonaError } from '../../../errors.ts';
import type { FrameFindings, FrameRules } from './frame-check.ts';
import type { LogFileFindings, LogFileTask } from './log-file-check.ts';

export interface FrameTask {
  path: string;
  frame: Frame;
  rules: FrameRules;
  where: string;
}

export type CheckTask = ({ kind: 'frame' } & FrameTask) | ({ kind: 'log' } & LogFileTask);
export type CheckFindings = FrameFindings | LogFileFindings;

export interface CheckJob {
  id: number;
  task: CheckTask;
}

export interface CheckAnswer {
  id: number;
  findings: CheckFindings | undefined;
  /** Why the task could not be checked: the data is broken or cannot be read. */
  error: string | undefined;
}

export interface CheckPool extends AsyncDisposable {
  /** Findings, or what is wrong with the data as an Error. A thread that dies rejects with a ClonaError. */
  checkFrame: (task: FrameTask) => Promise<FrameFindings | Error>;
  checkLogFile: (task: LogFileTask) => Promise<LogFileFindings | Error>;
}

/** Threads that check frames and log files; at most `workers` tasks are under way, two wait at each thread. */
export function createCheckPool(workers: number, signal: AbortSignal): CheckPool {
  const pending = new Map<
    number,
    { resolve: (value: CheckFindings | Error) => void; reject: (error: unknown) => void }
  >();
  let failure: Error | undefined;
  let nextId = 0;
  const fail = (error: unknown): void => {
    failure ??= error instanceof Error ? error : new Error(String(error));
    for (const { reject } of pending.values()) reject(failure);
    pending.clear();
  };
  const threads = Array.from({ length: workers }, () => {
    const thread = new Worker(workerFile(), { resourceLimits: { maxOldGenerationSizeMb: 128 } });
    thread.on('message', ({ id, findings, error }: CheckAnswer) => {
      const waiting = pending.get(id);
      pending.delete(id);
      waiting?.resolve(findings ?? new Error(error));
    });
    thread.on('error', fail);
    thread.on('exit', () => fail(new ClonaError('internal', 'a thread that checks the archive ended')));
    return thread;
  });
  const onAbort = (): void => fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const check = async (task: CheckTask): Promise<CheckFindings | Error> => {
    if (failure !== undefined) throw failure;
    const id = (nextId += 1);
    return new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject });
      threads[id % threads.length]?.postMessage({ id, task } satisfies CheckJob);
    });
  };
  return {
    // A thread answers a task with the findings of its kind.
    checkFrame: async (task) => (await check({ kind: 'frame', ...task })) as FrameFindings | Error,
    checkLogFile: async (task) => (await check({ kind: 'log', ...task })) as LogFileFindings | Error,
    [Symbol.asyncDispose]: async () => {
      signal.removeEventListener('abort', onAbort);
      for (const thread of threads) thread.removeAllListeners('exit');
      fail(new ClonaError('internal', 'the check is no longer wanted'));
      await Promise.all(threads.map(async (thread) => thread.terminate()));
    },
  };
}

/** The built package holds .js files, the sources are run as they are. */
function workerFile(): URL {
  return new URL(
    import.meta.url.endsWith('.ts') ? './check-worker.ts' : './check-worker.js',
    import.meta.url,
  );
}
