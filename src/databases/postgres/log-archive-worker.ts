import { parentPort } from 'node:worker_threads';
import { archiveError } from '../../archive/durable-file.ts';
import type { ClonaError, ErrorKind } from '../../errors.ts';
import { storeLogFile, type StoreJob } from './log-archive-store.ts';

/** A thread of the log archiver. Errors cross the border of threads as plain facts. */
export interface PlainError {
  kind: ErrorKind;
  message: string;
  hint: string | undefined;
}

export interface WorkerAnswer {
  rawBytes: number;
  compressedBytes: number;
  stored: { folder: string; problem: PlainError | undefined }[];
  /** What is wrong with the spool file itself. */
  problem: PlainError | undefined;
}

parentPort?.on('message', (job: StoreJob) => parentPort?.postMessage(answer(job), []));

function answer(job: StoreJob): WorkerAnswer {
  try {
    const { stored, ...sizes } = storeLogFile(job);
    return {
      ...sizes,
      stored: stored.map(({ folder, problem }) => ({ folder, problem: problem && toPlain(problem) })),
      problem: undefined,
    };
  } catch (error) {
    const problem = toPlain(archiveError(error, job.spoolPath));
    return { rawBytes: 0, compressedBytes: 0, stored: [], problem };
  }
}

function toPlain({ kind, message, hint }: ClonaError): PlainError {
  return { kind, message, hint };
}
