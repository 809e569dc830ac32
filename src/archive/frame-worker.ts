import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { settlePages } from '../databases/postgres/prove/fractured-pages.ts';
import { crc32c } from './crc32c.ts';
import { errorCode } from './durable-file.ts';
import type { FrameAnswer, FrameJob, FrameWorkerData } from './frame-job.ts';
import { packFrame } from './pack-frame.ts';

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
    return { compressed: new Uint8Array(packFrame(raw, level).buffer), files, error: undefined };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { compressed: undefined, files: [], error: { message, code: errorCode(error) } };
  }
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
    if (part.pages !== undefined) {
      settlePages(range.subarray(0, foundBytes), part.pages, (page, offset) => {
        readRange(part.path, page, part.offset + offset);
      });
    }
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
