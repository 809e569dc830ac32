import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { zstdCompressSync } from 'node:zlib';
import { crc32c } from './crc32c.ts';
import { errorCode } from './durable-file.ts';
import { compressionOptions, type FrameAnswer, type FrameJob, type FrameWorkerData } from './frame-job.ts';

/** A thread of FramePool: fills slots of the shared memory where asked to, compresses them, hands the result over. */

// Given by FramePool, the only one who starts this file.
const { memory, slotBytes, level } = workerData as FrameWorkerData;
const shared = Buffer.from(memory);
let opened: { path: string; handle: number } | undefined;

parentPort?.on('message', (job: FrameJob) => {
  const answer = perform(job);
  parentPort?.postMessage(answer, answer.compressed === undefined ? [] : [answer.compressed.buffer]);
});

function perform({ slot, rawBytes, parts }: FrameJob): FrameAnswer {
  try {
    const raw = shared.subarray(slot * slotBytes, slot * slotBytes + rawBytes);
    const files = parts === undefined ? [] : fill(raw, parts);
    return { compressed: compress(raw), files, error: undefined };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { compressed: undefined, files: [], error: { message, code: errorCode(error) } };
  }
}

function compress(raw: Buffer): Uint8Array<ArrayBuffer> {
  // Few large chunks: each is allocated whole, and a page of a database shrinks to a quarter or less.
  const chunkSize = Math.max(64 * 1024, Math.ceil(raw.length / 4));
  const packed = zstdCompressSync(raw, { ...compressionOptions(level, raw.length), chunkSize });
  // A buffer that is the whole of its memory can be handed over without a copy.
  return packed.byteLength === packed.buffer.byteLength
    ? new Uint8Array(packed.buffer)
    : new Uint8Array(packed);
}

function fill(raw: Buffer, parts: FramePart[]): FrameAnswer['files'] {
  const files: FrameAnswer['files'] = [];
  let at = 0;
  for (const part of parts) {
    if (part.kind === 'bytes') {
      raw.set(part.bytes, at);
      at += part.bytes.length;
      continue;
    }
    const range = raw.subarray(at, at + part.length);
    const foundBytes = readRange(part.path, range, part.offset);
    // The file was cut by the server meanwhile; the log that is replayed later cuts it again (basebackup.c).
    range.fill(0, foundBytes);
    files.push({ crc32c: crc32c(range), foundBytes });
    at += part.length;
  }
  return files;
}

type FramePart = NonNullable<FrameJob['parts']>[number];

function readRange(path: string, range: Buffer, offset: number): number {
  if (opened?.path !== path) {
    if (opened !== undefined) closeSync(opened.handle);
    opened = undefined;
    try {
      opened = { path, handle: openSync(path, 'r') };
    } catch (error) {
      // A table dropped meanwhile: the log that is replayed later drops it again.
      if (errorCode(error) === 'ENOENT') return 0;
      throw error;
    }
  }
  let done = 0;
  while (done < range.length) {
    const count = readSync(opened.handle, range, done, range.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
