import { Worker } from 'node:worker_threads';
import { archiveError } from '../../../archive/durable-file.ts';
import { ClonaError, toClonaError } from '../../../errors.ts';
import type { UnpackAnswer, UnpackJob, UnpackResult } from './unpack-job.ts';

/** Threads that unpack. Memory: one frame or segment, packed and unpacked, and about 20 MB a thread. */
export interface UnpackPool extends AsyncDisposable {
  workers: number;
  /**
   * Throws `archiveDamaged` or `archiveForeign` for a source that is not what it should be, `diskFull` and its kin for
   * the disk. After the signal no further job begins.
   */
  run: <Job extends UnpackJob>(job: Job) => Promise<UnpackResult<Job>>;
}

interface Waiting {
  job: UnpackJob;
  resolve: (answer: UnpackAnswer) => void;
  reject: (error: unknown) => void;
}

export function openUnpackPool(workers: number, signal: AbortSignal): UnpackPool {
  const queue: Waiting[] = [];
  const idle: Worker[] = [];
  const busy = new Map<Worker, Waiting>();
  let closed: Error | undefined;

  const close = (reason: unknown): void => {
    closed ??= toClonaError(reason);
    for (const waiting of [...queue.splice(0), ...busy.values()]) waiting.reject(closed);
    busy.clear();
  };
  const onAbort = (): void => close(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const dispatch = (): void => {
    while (idle.length > 0 && queue.length > 0) {
      const worker = idle.pop()!; // both were counted
      const waiting = queue.shift()!;
      busy.set(worker, waiting);
      // Only a thread that somebody waits for keeps the process alive.
      worker.ref();
      worker.postMessage(waiting.job, []);
    }
  };
  const threads = Array.from({ length: workers }, () => {
    const worker = new Worker(workerFile(), {
      name: 'clona-unpack',
      resourceLimits: { maxOldGenerationSizeMb: 64 },
    });
    worker.on('message', (answer: UnpackAnswer) => {
      const waiting = busy.get(worker);
      busy.delete(worker);
      worker.unref();
      idle.push(worker);
      dispatch();
      waiting?.resolve(answer);
    });
    worker.on('error', close);
    worker.unref();
    return worker;
  });
  idle.push(...threads);

  return {
    workers,
    run: async <Job extends UnpackJob>(job: Job) => {
      signal.throwIfAborted();
      if (closed !== undefined) throw closed;
      const answer = await new Promise<UnpackAnswer>((resolve, reject) => {
        queue.push({ job, resolve, reject });
        dispatch();
      });
      if (answer.error !== null) throw toError(answer.error, job);
      // The worker answers each kind of job with its kind of result.
      return answer.result as UnpackResult<Job>;
    },
    [Symbol.asyncDispose]: async () => {
      signal.removeEventListener('abort', onAbort);
      close(new ClonaError('internal', 'nothing more is unpacked'));
      await Promise.all(threads.map(async (thread) => thread.terminate()));
    },
  };
}

function toError(error: NonNullable<UnpackAnswer['error']>, job: UnpackJob): ClonaError {
  const source = 'source' in job ? job.source : undefined;
  if (error.foreign) return new ClonaError('archiveForeign', error.message, { details: { file: source } });
  if (error.damaged) return new ClonaError('archiveDamaged', error.message, { details: { file: source } });
  const target = 'root' in job ? job.root : 'target' in job ? job.target : (source ?? '');
  return archiveError(Object.assign(new Error(error.message), { code: error.code }), target);
}

/** The built package holds .js files, the sources are run as they are. */
function workerFile(): URL {
  const name = import.meta.url.endsWith('.ts') ? './unpack-worker.ts' : './unpack-worker.js';
  return new URL(name, import.meta.url);
}
