import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32c, formatCrc32c } from '../../../../archive/crc32c.ts';
import type { ChecksumJob } from './unpack-job.ts';

const readBytes = 2 ** 20;
let buffer: Buffer | undefined;

/** The checksum of a range of a file on disk, read by a thread. null: there is no such file of that size. */
export function checksumFile({ path, sizeBytes, algorithm, range }: ChecksumJob): string | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    if (fstatSync(file).size !== sizeBytes) return null;
    const hash = algorithm === 'CRC32C' ? null : createHash(algorithm.toLowerCase());
    buffer ??= Buffer.allocUnsafeSlow(readBytes);
    let crc = 0;
    const end = range.offset + range.bytes;
    for (let at = range.offset; at < end;) {
      const count = readSync(file, buffer, 0, Math.min(buffer.length, end - at), at);
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
