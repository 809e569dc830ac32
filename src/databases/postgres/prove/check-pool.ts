import type { Frame } from '../../../archive/format.ts';
import { besideModule, openThreadPool } from '../../../archive/thread-pool.ts';
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

export interface CheckAnswer {
  findings: CheckFindings | undefined;
  /** Why the task could not be checked: the data is broken or cannot be read. */
  error: string | undefined;
}

export interface CheckPool extends AsyncDisposable {
  /** Findings, or what is wrong with the data as an Error. A thread that dies rejects with a ClonaError. */
  checkFrame: (task: FrameTask) => Promise<FrameFindings | Error>;
  checkLogFile: (task: LogFileTask) => Promise<LogFileFindings | Error>;
}

/** Threads that check frames and log files; at most `workers` tasks are under way, one more waits at each thread. */
export function createCheckPool(workers: number, signal: AbortSignal): CheckPool {
  const threads = openThreadPool<CheckTask, CheckAnswer>({
    module: besideModule('./check-worker', import.meta.url),
    count: workers,
    workerData: undefined,
    name: 'clona-check',
    ahead: 2,
    signal,
  });
  const check = async (task: CheckTask): Promise<CheckFindings | Error> => {
    const { findings, error } = await threads.ask(task);
    return findings ?? new Error(error);
  };
  return {
    // A thread answers a task with the findings of its kind.
    checkFrame: async (task) => (await check({ kind: 'frame', ...task })) as FrameFindings | Error,
    checkLogFile: async (task) => (await check({ kind: 'log', ...task })) as LogFileFindings | Error,
    [Symbol.asyncDispose]: async () => threads[Symbol.asyncDispose](),
  };
}
