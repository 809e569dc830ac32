import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { freeMemory } from '../../../../archive/pack-frame.ts';
import { ClonaError } from '../../../../errors.ts';
import { checksumFile } from './checksum-file.ts';
import { readFrame } from './read-source.ts';
import { sumInSteps, walkFrame, type TakePart } from './tar-walk.ts';
import {
  controlFile,
  heldControlFile,
  type FrameJob,
  type ReadFrame,
  type ReadFrameJob,
  type UnpackAnswer,
  type UnpackedFrame,
  type UnpackJob,
} from './unpack-job.ts';
import { unpackSegment } from './unpack-segment.ts';
import { makeFolder, writePart } from './write-files.ts';

/** A thread of UnpackPool: does one job after the other, synchronously, with the memory of one frame or segment. */

parentPort?.on('message', (job: UnpackJob) => {
  const answer = perform(job);
  // What was read for another host is handed over, not copied.
  const { tar } = (answer.result ?? {}) as Partial<ReadFrame>;
  parentPort?.postMessage(answer, tar === undefined ? [] : [tar.buffer]);
});

function perform(job: UnpackJob): UnpackAnswer {
  try {
    return { result: run(job), error: null };
  } catch (error) {
    const known = error instanceof ClonaError;
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    const message = error instanceof Error ? error.message : String(error);
    // zlib's own codes speak of the content; those of the file system (ENOSPC, EIO …) of the disk.
    const damaged = (known && error.kind === 'archiveDamaged') || /^(ZSTD|Z_|ERR_)/.test(code ?? '');
    return {
      result: null,
      error: { damaged, foreign: known && error.kind === 'archiveForeign', message, code },
    };
  }
}

function run(job: UnpackJob): unknown {
  switch (job.kind) {
    case 'frame':
      return unpackFrame(job);
    case 'read':
      return readForElsewhere(job);
    case 'segment':
      return unpackSegment(job);
    case 'checksum':
      return { hex: checksumFile(job) };
  }
}

function unpackFrame(job: FrameJob): UnpackedFrame {
  const raw = readFrame(job);
  let writtenBytes = 0;
  const write: TakePart = (path, fileBytes, offset, content) => {
    const target = join(job.root, path === controlFile ? heldControlFile : path);
    const written = writePart(target, fileBytes, offset, content, job);
    writtenBytes += written.writtenBytes;
    return written.crc32c;
  };
  const done = walkFrame(job, raw, write, () => {});
  freeMemory(raw);
  for (const folder of done.folders) makeFolder(join(job.root, folder), job);
  return { ...done, writtenBytes };
}

function readForElsewhere(job: ReadFrameJob): ReadFrame {
  const raw = readFrame(job);
  const pieces: Buffer[] = [];
  let control: ReadFrame['control'] = null;
  const hold: TakePart = (path, _fileBytes, offset, content) => {
    if (path === controlFile) control = { offset, bytes: Uint8Array.from(content) };
    return sumInSteps(content);
  };
  const done = walkFrame(job, raw, hold, (from, to) => pieces.push(raw.subarray(from, to)));
  const tar = joined(pieces);
  freeMemory(raw);
  return { ...done, writtenBytes: tar.length, tar, control };
}

/** In memory of its own, which can be handed to another thread. */
function joined(pieces: readonly Buffer[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
