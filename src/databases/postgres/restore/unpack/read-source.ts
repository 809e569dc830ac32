import { closeSync, readSync } from 'node:fs';
import { constants, zstdDecompressSync } from 'node:zlib';
import type { Frame } from '../../../../archive/format.ts';
import { openRegularSync } from '../../../../archive/regular-file.ts';
import { ClonaError } from '../../../../errors.ts';

/** What comes out of an archive, read synchronously by a thread; all that is wrong with it is `archiveDamaged`: another copy may serve. */

let reused = Buffer.alloc(0);

/** A frame unpacked into memory of its own. Its own checksum is proven by zstd. Give it back with freeMemory. */
export function readFrame({ source, frame }: { source: string; frame: Frame }): Buffer {
  const packed = readSource(source, frame.compressedOffset, frame.compressedBytes);
  // One chunk that is not quite filled: no copy, and no second chunk.
  const raw = zstdDecompressSync(packed, {
    chunkSize: frame.rawBytes + 64,
    maxOutputLength: frame.rawBytes + 64,
    params: { [constants.ZSTD_d_windowLogMax]: 27 },
  });
  if (raw.length !== frame.rawBytes) {
    throw new ClonaError(
      'archiveDamaged',
      `${source}: a frame has ${raw.length} bytes, not ${frame.rawBytes}`,
    );
  }
  return raw;
}

/** Into memory that the next call uses again. */
export function readSource(path: string, offset: number, bytes: number): Buffer {
  if (reused.length < bytes) reused = Buffer.allocUnsafeSlow(2 * bytes);
  const packed = reused.subarray(0, bytes);
  let count: number;
  try {
    const file = openRegularSync(path);
    try {
      count = readFully(file, packed, offset);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new ClonaError(
      'archiveDamaged',
      `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (count < bytes) throw new ClonaError('archiveDamaged', `${path} is cut off`);
  return packed;
}

export function readFully(file: number, buffer: Buffer, offset: number): number {
  let done = 0;
  while (done < buffer.length) {
    const count = readSync(file, buffer, done, buffer.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
