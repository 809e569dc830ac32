import { besideModule, openThreadPool } from '../../../../archive/thread-pool.ts';
import { ClonaError } from '../../../../errors.ts';
import type { UnpackAnswer, UnpackJob, UnpackResult } from './unpack-job.ts';
import { targetError } from '../place/target-error.ts';

/** Threads that unpack. Memory: one frame or segment, packed and unpacked, and about 20 MB a thread. */
export interface UnpackPool extends AsyncDisposable {
  workers: number;
  /**
   * Throws `archiveDamaged` or `archiveForeign` for a source that is not what it should be, `diskFull` and its kin for
   * the disk. After the signal no further job begins.
   */
  run: <Job extends UnpackJob>(job: Job) => Promise<UnpackResult<Job>>;
}

export function openUnpackPool(workers: number, signal: AbortSignal): UnpackPool {
  const threads = openThreadPool<UnpackJob, UnpackAnswer>({
    module: besideModule('./unpack-worker', import.meta.url),
    count: workers,
    workerData: undefined,
    name: 'clona-unpack',
    ahead: 2,
    signal,
  });
  return {
    workers,
    run: async <Job extends UnpackJob>(job: Job) => {
      const answer = await threads.ask(job);
      if (answer.error !== null) throw toError(answer.error, job);
      // The worker answers each kind of job with its kind of result.
      return answer.result as UnpackResult<Job>;
    },
    [Symbol.asyncDispose]: async () => threads[Symbol.asyncDispose](),
  };
}

function toError(error: NonNullable<UnpackAnswer['error']>, job: UnpackJob): ClonaError {
  const source = 'source' in job ? job.source : undefined;
  if (error.foreign) return new ClonaError('archiveForeign', error.message, { details: { file: source } });
  if (error.damaged) return new ClonaError('archiveDamaged', error.message, { details: { file: source } });
  const target = 'root' in job ? job.root : 'target' in job ? job.target : (source ?? '');
  return targetError(Object.assign(new Error(error.message), { code: error.code }), target);
}
