import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import { errorCode } from './durable-file.ts';

/**
 * The one way in which files of an archive are opened for reading. A pipe under the name of a file would let a reader
 * wait for ever, a device would give bytes without end: both are damage, told at once. Links are followed (a site may
 * keep a large file on another disk); what they lead to must be a file.
 */
const flags = constants.O_RDONLY | constants.O_NONBLOCK;

/** Throws `archiveDamaged` for what is no file; an error of the system (ENOENT, EACCES, EIO) as it is. */
export async function openRegular(path: string): Promise<FileHandle> {
  const handle = await open(path, flags).catch((error: unknown) => {
    throw notAFile(error, path);
  });
  try {
    requireFile(await handle.stat(), path);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The same for threads; the descriptor is the caller's to close. */
export function openRegularSync(path: string): number {
  let handle: number;
  try {
    handle = openSync(path, flags);
  } catch (error) {
    throw notAFile(error, path);
  }
  try {
    requireFile(fstatSync(handle), path);
    return handle;
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

export interface ReadLimits {
  /** What a file of this kind can have at most: a sparse file of terabytes is damage, not something to read. */
  maxBytes: number;
  signal?: AbortSignal | undefined;
}

/** A document of the archive; backup.json lists every frame, a manifest every file. A JavaScript text has at most 512 MiB. */
export const largestDocumentBytes = 512 * 2 ** 20 - 64;

/** A segment has at most 1 GiB (initdb --wal-segsize); what does not compress grows a little. */
export const largestLogFileBytes = 2 ** 30 + 2 ** 24;

/** The whole content. Throws as `openRegular`, and `archiveDamaged` for a file that is too large. */
export async function readRegular(path: string, { maxBytes, signal }: ReadLimits): Promise<Buffer> {
  const handle = await openRegular(path);
  try {
    requireSize((await handle.stat()).size, maxBytes, path);
    return await handle.readFile({ signal });
  } finally {
    await handle.close();
  }
}

/** The same for threads. */
export function readRegularSync(path: string, { maxBytes }: ReadLimits): Buffer {
  const handle = openRegularSync(path);
  try {
    const { size } = fstatSync(handle);
    requireSize(size, maxBytes, path);
    const content = Buffer.allocUnsafeSlow(size);
    let done = 0;
    while (done < size) {
      const count = readSync(handle, content, done, size - done, done);
      if (count === 0) break;
      done += count;
    }
    return content.subarray(0, done);
  } finally {
    closeSync(handle);
  }
}

function requireSize(sizeBytes: number, maxBytes: number, path: string): void {
  if (sizeBytes <= maxBytes) return;
  throw damaged(path, `has ${sizeBytes} bytes; a file of its kind has at most ${maxBytes}`);
}

/** Throws `archiveDamaged` for a pipe, a device, a folder. */
export function requireFile(found: Stats, path: string): void {
  if (!found.isFile()) throw damaged(path, `is ${nameKind(found)}, not a file`);
}

/** What cannot even be opened because of what it is. */
function notAFile(error: unknown, path: string): unknown {
  const code = errorCode(error);
  if (code === 'ELOOP') return damaged(path, 'is a link that leads back to itself', error);
  if (code !== 'ENXIO' && code !== 'ENODEV' && code !== 'EISDIR') return error;
  const found = lstatSync(path, { throwIfNoEntry: false });
  return damaged(path, `is ${found === undefined ? 'something else' : nameKind(found)}, not a file`, error);
}

function nameKind(found: Stats): string {
  if (found.isFIFO()) return 'a pipe';
  if (found.isSocket()) return 'a socket';
  if (found.isDirectory()) return 'a folder';
  return found.isSymbolicLink() ? 'a link to no file' : 'a device';
}

function damaged(path: string, what: string, cause?: unknown): ClonaError {
  return new ClonaError('archiveDamaged', `${path} ${what}`, {
    cause,
    hint: 'put the file that belongs there in its place: the mirror or another copy may hold it',
    details: { file: path },
  });
}
