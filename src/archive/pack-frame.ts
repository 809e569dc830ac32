import { zstdCompressSync } from 'node:zlib';
import { compressionOptions, fileTables, type PackTables } from './frame-job.ts';

/**
 * One zstd frame of `raw`, in memory of just its size. The compressor is given room for the worst case: then it reads
 * where the bytes lie, else it would first copy all of them into a ring of its own (8 % slower, measured).
 */
export function packFrame(raw: Buffer, level: number, tables: PackTables = fileTables): Buffer<ArrayBuffer> {
  const roomy = zstdCompressSync(raw, {
    ...compressionOptions(level, raw.length, tables),
    chunkSize: worstBytes(raw.length),
  });
  // A copy, and the room given back at once: the pages of a database shrink to a quarter or less.
  const packed = Buffer.allocUnsafeSlow(roomy.length);
  packed.set(roomy);
  freeMemory(roomy);
  return packed;
}

/** ZSTD_compressBound; chunks of zlib have 64 bytes at least. */
function worstBytes(rawBytes: number): number {
  return rawBytes + Math.ceil(rawBytes / 256) + 1024;
}

/**
 * Gives memory back at once that is used no more: the collector lets tens of megabytes a thread pile up first, and then
 * takes more time than the work. Pooled memory is left alone: others use it.
 */
export function freeMemory({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}
