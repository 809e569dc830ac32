import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { archiveError, errorCode, unfinishedName } from '../../archive/durable-file.ts';
import { logTrailerBytes, type LogTrailer } from '../../archive/format.ts';
import { logTables } from '../../archive/frame-job.ts';
import {
  decodeLogTrailer,
  encodeLogTrailer,
  locateLogFile,
  sha256,
  unpackLogFrame,
} from '../../archive/log-file.ts';
import { freeMemory, packFrame } from '../../archive/pack-frame.ts';
import { largestLogFileBytes, readRegularSync } from '../../archive/regular-file.ts';
import { ClonaError } from '../../errors.ts';
import { parseSegmentName, segmentStart } from './lsn.ts';
import { readSegmentTimes } from './log-times.ts';

/** Everything here is done by a thread, one file of the spool at a time: the calls may block. */

export interface StoreJob {
  spoolPath: string;
  name: string;
  /** Folders of archives that do not have the file yet, as far as is known. */
  folders: string[];
  level: number;
  systemIdentifier: string;
  segmentSizeBytes: number;
  archivedAt: string;
}

export interface StoreAnswer {
  rawBytes: number;
  compressedBytes: number;
  /** By folder: the file is there, whole and identical; or why not. */
  stored: { folder: string; problem: ClonaError | undefined }[];
}

/** Puts one file of the spool into every folder. Throws only for what is wrong with the file itself. */
export function storeLogFile(job: StoreJob): StoreAnswer {
  const raw = readInto(job.spoolPath);
  if (raw === undefined) return storedByOther(job);
  const isSegment = !/\.(history|backup)$/.test(job.name);
  if (isSegment) checkSegment(raw, job);
  const packed = isSegment ? packSegment(raw, job) : raw;
  const stored = job.folders.map((folder) => {
    try {
      storeIn(folder, job.name, packed, raw);
      return { folder, problem: undefined };
    } catch (error) {
      return { folder, problem: archiveError(error, folder) };
    }
  });
  const compressedBytes = packed.length;
  if (packed !== raw) freeMemory(packed);
  return { rawBytes: raw.length, compressedBytes, stored };
}

/** Another archiver has taken the file from the spool: it does that only when every archive has it, which is looked up. */
function storedByOther({ spoolPath, name, folders }: StoreJob): StoreAnswer {
  const isThere = (folder: string): boolean => exists(locateLogFile(folder, name) ?? '');
  if (!folders.every(isThere))
    throw new ClonaError('archiveMissing', `${spoolPath} is gone and not archived`);
  const stored = folders.map((folder) => ({ folder, problem: undefined }));
  return { rawBytes: 0, compressedBytes: 0, stored };
}

let reused = Buffer.alloc(0);

/** Into memory that is used again for the next file: fresh memory for every segment would cost as much as reading it. */
function readInto(path: string): Buffer | undefined {
  const handle = openIfThere(path);
  if (handle === undefined) return undefined;
  try {
    const { size } = fstatSync(handle);
    if (reused.length < size) reused = Buffer.allocUnsafeSlow(size);
    let done = 0;
    while (done < size) {
      const count = readSync(handle, reused, done, size - done, done);
      if (count === 0) break;
      done += count;
    }
    return reused.subarray(0, done);
  } finally {
    closeSync(handle);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const pageMagicHigh = 0xd1;

/** The first page of a segment says whose it is and where it belongs (XLogLongPageHeaderData). */
function checkSegment(raw: Buffer, { spoolPath, name, systemIdentifier, segmentSizeBytes }: StoreJob): void {
  const parsed = parseSegmentName(name.slice(0, 24), segmentSizeBytes);
  const wrong = (what: string, kind: 'archiveDamaged' | 'archiveForeign' = 'archiveDamaged'): ClonaError =>
    new ClonaError(kind, `${spoolPath} ${what}`, {
      hint: 'it was not archived and stays where it is; the server still holds the segment in pg_wal',
      details: { file: spoolPath },
    });
  if (parsed === undefined) throw wrong('is not the name of a segment of this database');
  if (raw.length !== segmentSizeBytes)
    throw wrong(`has ${raw.length} bytes, a segment has ${segmentSizeBytes}`);
  if (raw[1] !== pageMagicHigh || (raw.readUInt16LE(2) & 2) === 0)
    throw wrong('does not begin as a segment of the log');
  const system = String(raw.readBigUInt64LE(24));
  if (system !== systemIdentifier)
    throw wrong(`is of the database with system identifier ${system}`, 'archiveForeign');
  if (raw.readBigUInt64LE(8) !== segmentStart(parsed.number, segmentSizeBytes))
    throw wrong('holds another segment than its name says');
}

/** R13: checksummed before and after; the frame is unpacked once before anything is believed. */
function packSegment(raw: Buffer, job: StoreJob): Buffer {
  const frame = packFrame(raw, job.level, logTables);
  // Unpacking compares the content checksum, which the compressor took of the bytes themselves.
  const again = zstdDecompressSync(frame, { chunkSize: raw.length + 64 });
  if (again.length !== raw.length)
    throw new ClonaError('internal', `${job.name} does not unpack to what was packed`);
  freeMemory(again);
  const times = readSegmentTimes(raw);
  const trailer: LogTrailer = {
    format: 1,
    name: job.name,
    systemIdentifier: job.systemIdentifier,
    rawBytes: raw.length,
    sha256: sha256(raw),
    frameSha256: sha256(frame),
    firstTime: times.first?.toISOString() ?? null,
    lastTime: times.last?.toISOString() ?? null,
    archivedAt: job.archivedAt,
  };
  const packed = Buffer.concat([frame, encodeLogTrailer(trailer)]);
  freeMemory(frame);
  return packed;
}

/** New name, sync, read back, link to the name (which never replaces a file). The folder is synced by the caller, once for many. */
function storeIn(folder: string, name: string, packed: Buffer, raw: Buffer): void {
  const path = locateLogFile(folder, name);
  if (path === undefined) throw new ClonaError('internal', `${name} is not a file of the log`);
  if (exists(path)) {
    checkSame(path, raw);
    return;
  }
  makeTimelineFolder(dirname(path));
  const fresh = unfinishedName(path);
  try {
    writeSynced(fresh, packed);
    const back = readFileSync(fresh);
    const isSame = back.equals(packed);
    freeMemory(back);
    if (!isSame) throw new ClonaError('archiveDamaged', `${fresh} reads back other than it was written`);
    publish(fresh, path, raw);
  } finally {
    removeIfThere(fresh);
  }
}

function publish(fresh: string, path: string, raw: Buffer): void {
  try {
    linkSync(fresh, path);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') checkSame(path, raw);
    // File systems without links: only one archiver writes here, so the look before must do.
    else if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errorCode(error) ?? ''))
      renameSync(fresh, path);
    else throw error;
  }
}

/** A file archived twice with the same content is fine; another content under the same name is damage, and both stay. */
function checkSame(path: string, raw: Buffer): void {
  const there = readRegularSync(path, { maxBytes: largestLogFileBytes });
  let content: Buffer = there;
  if (path.endsWith('.zst')) {
    const trailer = decodeLogTrailer(there, path);
    content = unpackLogFrame(there.subarray(0, there.length - logTrailerBytes), trailer, path);
  }
  if (content.equals(raw)) return;
  throw new ClonaError(
    'archiveDamaged',
    `${path} exists with other content than the server now archives under this name`,
    {
      hint: 'two servers may write to one archive, or a reverted server reuses its timeline: nothing was overwritten; find out which is right, and reopen on a new timeline',
      details: { file: path },
    },
  );
}

function writeSynced(path: string, bytes: Buffer): void {
  const handle = openSync(path, 'wx', 0o640);
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(handle, bytes, done);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Only the last folder: an archive whose disk is not mounted must not come into being on another one. */
function makeTimelineFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o750 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
