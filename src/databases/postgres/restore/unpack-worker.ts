import { createHash } from 'node:crypto';
import {
  chownSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { zstdDecompressSync } from 'node:zlib';
import { crc32c, formatCrc32c } from '../../../archive/crc32c.ts';
import { logTrailerBytes } from '../../../archive/format.ts';
import { decodeTarHeader, paddedBytes, tarBlockBytes } from '../../../archive/tar-header.ts';
import { ClonaError } from '../../../errors.ts';
import { readSegmentIdentity } from '../log-records.ts';
import {
  controlFile,
  heldControlFile,
  type ChecksumJob,
  type FileOwner,
  type FrameJob,
  type ReadFrame,
  type ReadFrameJob,
  type SegmentJob,
  type UnpackAnswer,
  type UnpackedFrame,
  type UnpackJob,
} from './unpack-job.ts';

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

type TakePart = (path: string, fileBytes: number, offset: number, content: Buffer) => void;

/**
 * Walks over the members and pieces of members in a frame. `keep` is told which bytes of the frame are of files and
 * folders that may lie on another host as they are.
 */
function walkFrame(
  job: FrameJob | ReadFrameJob,
  raw: Buffer,
  take: TakePart,
  keep: (from: number, to: number) => void,
): UnpackedFrame {
  const done: UnpackedFrame = { parts: [], folders: [], links: [], writtenBytes: 0 };
  const takePart = (name: string, fileBytes: number, offset: number, content: Buffer): string => {
    const path = memberPath(job.prefix, name);
    done.parts.push({ path, fileBytes, offset, bytes: content.length, crc32c: crc32c(content) });
    take(path, fileBytes, offset, content);
    return path;
  };
  const { inside } = job.frame;
  let at = 0;
  if (inside !== null) {
    const bytes = Math.max(0, Math.min(inside.fileBytes - inside.fileOffset, raw.length));
    const path = takePart(inside.path, inside.fileBytes, inside.fileOffset, raw.subarray(0, bytes));
    at = Math.min(raw.length, paddedBytes(inside.fileBytes) - inside.fileOffset);
    if (path !== controlFile) keep(0, at);
  }
  while (at + tarBlockBytes <= raw.length) {
    const from = at;
    const member = decodeTarHeader(raw.subarray(at, at + tarBlockBytes), job.source);
    at += tarBlockBytes;
    if (member === undefined) continue;
    const isTop = /^(?:\.\/?)?$/.test(member.path);
    if (member.type === 'link') done.links.push(memberPath(job.prefix, member.path));
    else if (member.type === 'folder') {
      if (!isTop) done.folders.push(memberPath(job.prefix, member.path));
      keep(from, at);
    } else {
      const bytes = Math.min(member.sizeBytes, raw.length - at);
      const path = takePart(member.path, member.sizeBytes, 0, raw.subarray(at, at + bytes));
      at = Math.min(raw.length, at + paddedBytes(member.sizeBytes));
      if (path !== controlFile) keep(from, at);
    }
  }
  return done;
}

function unpackFrame(job: FrameJob): UnpackedFrame {
  const raw = readFrame(job);
  let writtenBytes = 0;
  const write: TakePart = (path, fileBytes, offset, content) => {
    const target = join(job.root, path === controlFile ? heldControlFile : path);
    writtenBytes += writePart(target, fileBytes, offset, content, job);
  };
  const done = walkFrame(job, raw, write, () => {});
  for (const folder of done.folders) makeFolder(join(job.root, folder), job.owner);
  return { ...done, writtenBytes };
}

function readForElsewhere(job: ReadFrameJob): ReadFrame {
  const raw = readFrame(job);
  const pieces: Buffer[] = [];
  let control: ReadFrame['control'] = null;
  const hold: TakePart = (path, _fileBytes, offset, content) => {
    if (path === controlFile) control = { offset, bytes: Uint8Array.from(content) };
  };
  const done = walkFrame(job, raw, hold, (from, to) => pieces.push(raw.subarray(from, to)));
  const tar = Uint8Array.from(Buffer.concat(pieces));
  return { ...done, writtenBytes: tar.length, tar, control };
}

function readFrame({ source, frame }: FrameJob | ReadFrameJob): Buffer {
  const packed = readSource(source, frame.compressedOffset, frame.compressedBytes);
  // One chunk that is not quite filled: no copy, and no second chunk. The frame's own checksum is proven here.
  const raw = zstdDecompressSync(packed, {
    chunkSize: Math.max(frame.rawBytes + 1, 64),
    maxOutputLength: frame.rawBytes + 1,
  });
  if (raw.length !== frame.rawBytes) {
    throw damaged(`${source}: a frame has ${raw.length} bytes, not ${frame.rawBytes}`);
  }
  return raw;
}

/** What cannot be read of an archive is damage: another copy may serve. */
function readSource(path: string, offset: number, bytes: number): Buffer {
  const packed = Buffer.allocUnsafe(bytes);
  let count: number;
  try {
    const file = openSync(path, 'r');
    try {
      count = readFully(file, packed, offset);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw damaged(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (count < bytes) throw damaged(`${path} is cut off`);
  return packed;
}

/** Parts of one file may come from several threads in any order: each writes at its own place. */
function writePart(
  target: string,
  fileBytes: number,
  offset: number,
  content: Buffer,
  job: FrameJob,
): number {
  makeFolder(dirname(target), job.owner);
  const whole = offset === 0 && content.length === fileBytes;
  const file = openSync(target, whole && !job.compare ? fileFlags.fresh : fileFlags.inPlace, 0o600);
  try {
    if (job.owner !== null) fchownSync(file, job.owner.uid, job.owner.gid);
    if (job.compare) {
      const { size } = fstatSync(file);
      if (size > fileBytes) ftruncateSync(file, fileBytes);
      if (size >= offset + content.length && isSame(file, offset, content)) return 0;
    }
    for (let done = 0; done < content.length;) {
      done += writeSync(file, content, done, content.length - done, offset + done);
    }
    return content.length;
  } finally {
    closeSync(file);
  }
}

/** O_RDWR | O_CREAT, with and without O_TRUNC: nothing may be cut that another thread has just written. */
const fileFlags = { fresh: 'w+', inPlace: constants.O_RDWR | constants.O_CREAT } as const;

function isSame(file: number, offset: number, content: Buffer): boolean {
  const there = Buffer.allocUnsafe(content.length);
  return readFully(file, there, offset) === content.length && there.equals(content);
}

const made = new Set<string>();

function makeFolder(path: string, owner: FileOwner | null): void {
  if (made.has(path)) return;
  const parent = dirname(path);
  try {
    mkdirSync(path, { mode: 0o700 });
    if (owner !== null) chownSync(path, owner.uid, owner.gid);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') {
      makeFolder(parent, owner);
      makeFolder(path, owner);
    } else if (code !== 'EEXIST') throw error;
  }
  made.add(path);
}

/** A member never leaves the folder it is unpacked into. The server writes some names with ./ in front. */
function memberPath(prefix: string, name: string): string {
  const path = prefix + name.replace(/^(?:\.\/)+/, '');
  const parts = path.split('/');
  if (
    name === '' ||
    parts.some((part) => part === '' || part === '.' || part === '..') ||
    /[\0\uFFFD]/.test(path)
  ) {
    throw damaged(`a member is named ${JSON.stringify(path.slice(0, 80))}`);
  }
  return path;
}

function unpackSegment(job: SegmentJob): { rawBytes: number } {
  const packed = readSource(job.source, 0, statSync(job.source, { throwIfNoEntry: false })?.size ?? 1);
  const raw = job.form === 'stream' ? filledUp(packed, job.segmentSizeBytes) : unpackArchived(packed, job);
  checkSegmentIdentity(raw, job);
  const file = openSync(job.target, fileFlags.fresh, 0o600);
  try {
    if (job.owner !== null) fchownSync(file, job.owner.uid, job.owner.gid);
    for (let done = 0; done < raw.length;) done += writeSync(file, raw, done, raw.length - done, done);
  } finally {
    closeSync(file);
  }
  return { rawBytes: raw.length };
}

function unpackArchived(packed: Buffer, job: SegmentJob): Buffer {
  const raw = zstdDecompressSync(packed.subarray(0, packed.length - logTrailerBytes), {
    chunkSize: job.segmentSizeBytes + 1,
    maxOutputLength: job.segmentSizeBytes + 1,
  });
  if (raw.length !== job.segmentSizeBytes) throw damaged(`it holds ${raw.length} bytes`);
  if (createHash('sha256').update(raw).digest('hex') !== readSha256(packed)) {
    throw damaged('its content has another checksum');
  }
  return raw;
}

/** The catalog has read the whole trailer; a thread needs this alone, and starts faster without the reader of documents. */
function readSha256(packed: Buffer): string {
  const trailer = packed.toString('latin1', packed.length - logTrailerBytes);
  const [, sha256] = /"sha256":"([0-9a-f]{64})"/.exec(trailer) ?? [];
  if (sha256 === undefined) throw damaged('it ends without its trailer');
  return sha256;
}

/** The stream ended inside the segment: zeros are what the server itself has behind the end of its log. */
function filledUp(streamed: Buffer, segmentSizeBytes: number): Buffer {
  const raw = Buffer.alloc(segmentSizeBytes);
  streamed.copy(raw);
  return raw;
}

/** The pages themselves say whose they are: a swapped file has the right name and the wrong content. */
function checkSegmentIdentity(raw: Buffer, job: SegmentJob): void {
  const identity = readSegmentIdentity(raw);
  if (identity === null) throw damaged('its first page is no page of the log');
  if (identity.systemIdentifier !== job.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `it is of system ${identity.systemIdentifier}, the archive of ${job.systemIdentifier}`,
    );
  }
  if (identity.firstPosition.toString() !== job.firstPosition)
    throw damaged('it holds another part of the log');
  // The first segment of a timeline begins with its parent's pages.
  if (identity.timeline > job.timeline) throw damaged(`it is of timeline ${identity.timeline}`);
}

const readBytes = 4 * 2 ** 20;

/** null: there is no such file of that size. */
function checksumFile({ path, sizeBytes, algorithm }: ChecksumJob): string | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    if (fstatSync(file).size !== sizeBytes) return null;
    const hash = algorithm === 'CRC32C' ? null : createHash(algorithm.toLowerCase());
    const buffer = Buffer.allocUnsafe(Math.min(readBytes, Math.max(sizeBytes, 1)));
    let crc = 0;
    for (let at = 0; at < sizeBytes;) {
      const count = readSync(file, buffer, 0, buffer.length, at);
      if (count === 0) return null;
      const chunk = buffer.subarray(0, count);
      if (hash === null) crc = crc32c(chunk, crc);
      else hash.update(chunk);
      at += count;
    }
    return hash === null ? formatCrc32c(crc) : hash.digest('hex');
  } finally {
    closeSync(file);
  }
}

function readFully(file: number, buffer: Buffer, offset: number): number {
  let done = 0;
  while (done < buffer.length) {
    const count = readSync(file, buffer, done, buffer.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function damaged(what: string): ClonaError {
  return new ClonaError('archiveDamaged', what);
}
