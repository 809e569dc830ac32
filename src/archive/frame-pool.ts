import { Worker } from 'node:worker_threads';
import { ClonaError } from '../errors.ts';
import { archiveError } from './durable-file.ts';
import {
  frameBytes,
  type FrameAnswer,
  type FrameJob,
  type FramePart,
  type FrameWorkerData,
} from './frame-job.ts';

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

interface Pending {
  resolve: (packed: PackedFrame) => void;
  reject: (error: unknown) => void;
}

/** `workers` threads at zstd level `level`; memory: about (2 × workers + 2) frames and 20 MB a thread. */
export function openFramePool(workers: number, level: number): FramePool {
  const slotCount = 2 * workers + 2;
  const memory = new SharedArrayBuffer(slotCount * frameBytes);
  const free: FrameSlot[] = [];
  for (let index = 0; index < slotCount; index += 1) {
    free.push({ index, bytes: Buffer.from(memory, index * frameBytes, frameBytes) });
  }
  const waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const pending = new Map<number, Pending>();
  const queue: FrameJob[] = [];
  const idle: Worker[] = [];
  let failure: Error | undefined;
  let nextId = 0;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of pending.values()) reject(failure);
    pending.clear();
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  const dispatch = (): void => {
    while (idle.length > 0 && queue.length > 0) idle.pop()?.postMessage(queue.shift());
  };
  const start = (): Worker => {
    const workerData: FrameWorkerData = { memory, slotBytes: frameBytes, level };
    const worker = new Worker(workerFile(), { workerData, name: 'clona-frames', resourceLimits: smallHeap });
    worker.on('message', (answer: FrameAnswer) => {
      idle.push(worker);
      dispatch();
      const asker = pending.get(answer.id);
      pending.delete(answer.id);
      if (answer.compressed !== undefined)
        asker?.resolve({ compressed: answer.compressed, files: answer.files });
      else asker?.reject(workerError(answer.error));
    });
    worker.on('error', fail);
    worker.on('exit', () => fail(new ClonaError('internal', 'a thread that compresses frames ended')));
    // A pool that nobody waits for must not keep the process alive.
    worker.unref();
    return worker;
  };
  const threads = Array.from({ length: workers }, start);
  idle.push(...threads);

  return {
    take: () => free.pop(),
    release: (slot) => {
      free.push(slot);
      waiting.shift()?.resolve();
    },
    whenFree: async () => {
      if (failure !== undefined) throw failure;
      if (free.length > 0) return;
      await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
    },
    pack: async (slot, rawBytes, parts) => {
      if (failure !== undefined) throw failure;
      const id = (nextId += 1);
      return new Promise<PackedFrame>((resolve, reject) => {
        pending.set(id, { resolve, reject });
        queue.push({ id, slot: slot.index, rawBytes, parts });
        dispatch();
      });
    },
    [Symbol.asyncDispose]: async () => {
      for (const thread of threads) thread.removeAllListeners('exit');
      fail(new ClonaError('internal', 'the frames are no longer wanted'));
      await Promise.all(threads.map(async (thread) => thread.terminate()));
    },
  };
}

const smallHeap = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 64 };

/** The built package holds .js files, the sources are run as they are. */
function workerFile(): URL {
  return new URL(
    import.meta.url.endsWith('.ts') ? './frame-worker.ts' : './frame-worker.js',
    import.meta.url,
  );
}

function workerError(error: FrameAnswer['error']): unknown {
  return archiveError(
    Object.assign(new Error(error?.message), { code: error?.code }),
    'the data to be archived',
  );
}
