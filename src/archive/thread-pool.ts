import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ClonaError } from '../errors.ts';

/** Threads that answer questions, one at a time each. */
export interface ThreadPool<Question, Answer> extends AsyncDisposable {
  ask: (question: Question) => Promise<Answer>;
  /** The first failure of a thread itself (not of a question): the pool answers no more. */
  failure: () => Error | undefined;
}

interface Asked<Question, Answer> {
  question: Question;
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/**
 * Starts `count` threads of a module that answers every message with one message. `answer.transfer` lists memory that is
 * handed over instead of copied. Whoever still waits when a thread dies or the pool is disposed of is told.
 */
export function openThreadPool<Question, Answer>(options: {
  module: URL;
  count: number;
  workerData: unknown;
  name: string;
  onFailure?: (error: Error) => void;
}): ThreadPool<Question, Answer> {
  const queue: Asked<Question, Answer>[] = [];
  const idle: Worker[] = [];
  const busy = new Map<Worker, Asked<Question, Answer>>();
  let failure: Error | undefined;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const asked of [...busy.values(), ...queue.splice(0)]) asked.reject(failure);
    busy.clear();
    options.onFailure?.(failure);
  };
  const dispatch = (): void => {
    while (idle.length > 0 && queue.length > 0) {
      // Both were just seen to be there.
      const [worker, asked] = [idle.pop()!, queue.shift()!];
      busy.set(worker, asked);
      // A question under way keeps the process alive, an idle thread does not.
      worker.ref();
      worker.postMessage(asked.question, []);
    }
  };
  const start = (): Worker => {
    const { module, workerData, name } = options;
    const worker = new Worker(module, {
      workerData,
      name,
      resourceLimits: smallHeap,
      env: threadEnvironment(),
    });
    worker.on('message', (answer: Answer) => {
      const asked = busy.get(worker);
      busy.delete(worker);
      worker.unref();
      idle.push(worker);
      dispatch();
      asked?.resolve(answer);
    });
    worker.on('error', fail);
    worker.on('exit', () => fail(new ClonaError('internal', `a thread (${name}) ended`)));
    worker.unref();
    return worker;
  };
  const threads = Array.from({ length: options.count }, start);
  idle.push(...threads);
  return {
    ask: async (question) => {
      if (failure !== undefined) throw failure;
      return new Promise<Answer>((resolve, reject) => {
        queue.push({ question, resolve, reject });
        dispatch();
      });
    },
    failure: () => failure,
    [Symbol.asyncDispose]: async () => {
      for (const thread of threads) thread.removeAllListeners('exit');
      fail(new ClonaError('internal', `the threads (${options.name}) are closed`));
      await Promise.all(threads.map(async (thread) => thread.terminate()));
    },
  };
}

const smallHeap = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 64 };

/** Threads find what was compiled before only where the environment names it: half of their time to start. */
function threadEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}

/** A module beside the caller's, named without ending: the built package holds .js files, the sources are run as they are. */
export function besideModule(name: string, callerUrl: string): URL {
  return new URL(`${name}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl);
}
