import { archiveError } from './durable-file.ts';
import {
  frameBytes,
  type FrameAnswer,
  type FrameJob,
  type FramePart,
  type FrameWorkerData,
} from './frame-job.ts';
import { besideModule, openThreadPool } from './thread-pool.ts';

/** A piece of shared memory for the raw bytes of one frame. */
export interface FrameSlot {
  index: number;
  bytes: Buffer;
}

export type PackedFrame = Pick<FrameAnswer, 'files'> & { compressed: Uint8Array<ArrayBuffer> };

/** Threads that compress frames, each frame by itself, over a fixed number of slots: memory stays bounded. */
export interface FramePool extends AsyncDisposable {
  /** A free slot, or undefined while all are in use. The taker releases it when the frame is written. */
  take: () => FrameSlot | undefined;
  release: (slot: FrameSlot) => void;
  /** Resolves when a slot may be free; rejects when the pool failed. */
  whenFree: () => Promise<void>;
  /** Compresses the first `rawBytes` of a slot; with `parts` the worker fills it first. */
  pack: (slot: FrameSlot, rawBytes: number, parts?: FramePart[]) => Promise<PackedFrame>;
}

/** `workers` threads at zstd level `level`; memory: about (2 × workers + 2) frames and 20 MB a thread. */
export function openFramePool(workers: number, level: number): FramePool {
  const slotCount = 2 * workers + 2;
  const memory = new SharedArrayBuffer(slotCount * frameBytes);
  const free: FrameSlot[] = [];
  for (let index = 0; index < slotCount; index += 1) {
    free.push({ index, bytes: Buffer.from(memory, index * frameBytes, frameBytes) });
  }
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const workerData: FrameWorkerData = { memory, slotBytes: frameBytes, level };
  const threads = openThreadPool<FrameJob, FrameAnswer>({
    module: besideModule('./frame-worker', import.meta.url),
    count: workers,
    workerData,
    name: 'clona-frames',
    onFailure: (error) => {
      for (const { reject } of waiting.splice(0)) reject(error);
    },
  });
  return {
    take: () => free.pop(),
    release: (slot) => {
      free.push(slot);
      waiting.shift()?.resolve();
    },
    whenFree: async () => {
      const failure = threads.failure();
      if (failure !== undefined) throw failure;
      if (free.length > 0) return;
      await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
    },
    pack: async (slot, rawBytes, parts) => {
      const answer = await threads.ask({ slot: slot.index, rawBytes, parts });
      if (answer.compressed === undefined) throw workerError(answer.error);
      return { compressed: answer.compressed, files: answer.files };
    },
    [Symbol.asyncDispose]: async () => threads[Symbol.asyncDispose](),
  };
}

function workerError(error: FrameAnswer['error']): Error {
  return archiveError(
    Object.assign(new Error(error?.message), { code: error?.code }),
    'the data to be archived',
  );
}
