import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ClonaError } from '../errors.ts';

/** Threads that answer questions, one after the other each. */
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
 * Starts `count` threads of a module that answers every message with one message, in their order. A thread is given up to
 * `ahead` questions (default 1): with more it need not wait for our loop between short ones. Whoever still waits when a
 * thread dies or the pool is disposed of is told.
 */
export function openThreadPool<Question, Answer>(options: {
  module: URL;
  count: number;
  workerData: unknown;
  name: string;
  ahead?: number;
  /** Aborted: who waits is told its reason, the pool answers no more. */
  signal?: AbortSignal;
  onFailure?: (error: Error) => void;
}): ThreadPool<Question, Answer> {
  const { module, workerData, name, ahead = 1, signal } = options;
  const queue: Asked<Question, Answer>[] = [];
  const given = new Map<Worker, Asked<Question, Answer>[]>();
  let failure: Error | undefined;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const asked of [...given.values(), queue].flat()) asked.reject(failure);
    for (const list of [...given.values(), queue]) list.length = 0;
    options.onFailure?.(failure);
  };
  /** The thread with the fewest questions, if it may have one more. */
  const findFree = (): [Worker, Asked<Question, Answer>[]] | undefined => {
    let found: [Worker, Asked<Question, Answer>[]] | undefined;
    for (const entry of given) if (entry[1].length < (found?.[1].length ?? ahead)) found = entry;
    return found;
  };
  const dispatch = (): void => {
    for (let free = findFree(); free !== undefined && queue.length > 0; free = findFree()) {
      const [worker, questions] = free;
      // It was just seen to be there.
      const asked = queue.shift()!;
      questions.push(asked);
      // A question under way keeps the process alive, an idle thread does not.
      worker.ref();
      worker.postMessage(asked.question, []);
    }
  };
  const start = (): Worker => {
    const worker = new Worker(module, {
      workerData,
      name,
      resourceLimits: smallHeap,
      env: threadEnvironment(),
    });
    given.set(worker, []);
    worker.on('message', (answer: Answer) => {
      const questions = given.get(worker) ?? [];
      const asked = questions.shift();
      if (questions.length === 0) worker.unref();
      dispatch();
      asked?.resolve(answer);
    });
    worker.on('error', fail);
    worker.on('exit', () => fail(new ClonaError('internal', `a thread (${name}) ended`)));
    worker.unref();
    return worker;
  };
  const threads = Array.from({ length: options.count }, start);
  const onAbort = (): void => fail(signal?.reason as Error);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
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
      signal?.removeEventListener('abort', onAbort);
      for (const thread of threads) thread.removeAllListeners('exit');
      fail(new ClonaError('internal', `the threads (${name}) are closed`));
      await Promise.all(threads.map(async (thread) => thread.terminate()));
    },
  };
}

/** External memory counts against half of the old generation: at 64 MB a full collection would follow every log segment. */
const smallHeap = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 };

/** Threads find what was compiled before only where the environment names it: half of their time to start. */
function threadEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}

/** A module beside the caller's, named without ending: the built package holds .js files, the sources are run as they are. */
export function besideModule(name: string, callerUrl: string): URL {
  return new URL(`${name}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl);
}
