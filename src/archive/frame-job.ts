import { constants } from 'node:zlib';
import type { CopiedPages } from '../databases/postgres/prove/fractured-pages.ts';

/** Raw bytes of one frame at most: small enough for memory and many workers, large enough to compress well. */
export const frameBytes = 4 * 2 ** 20;

/** A part of a frame that a worker fetches by itself: bytes as given, or a range of a file, whose pages it judges by `pages`. */
export type FramePart =
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'file'; path: string; offset: number; length: number; pages?: CopiedPages | undefined };

/** What a worker is asked: to compress a filled slot, or to fill it from parts first. */
export interface FrameJob {
  slot: number;
  rawBytes: number;
  parts: FramePart[] | undefined;
}

export interface FrameAnswer {
  compressed: Uint8Array<ArrayBuffer> | undefined;
  /** Per file part: CRC-32C of its bytes, and how many the file really had (the rest are zeros). */
  files: { crc32c: number; foundBytes: number }[];
  /** Message and code of what went wrong. */
  error: { message: string; code: string | undefined } | undefined;
}

export interface FrameWorkerData {
  memory: SharedArrayBuffer;
  slotBytes: number;
  level: number;
}

/** How the compressor looks for matches: sizes as powers of two. Chosen for what is packed (docs/decisions/0020). */
export interface PackTables {
  windowLog: number;
  hashLog: number;
}

export const fileTables: PackTables = { windowLog: 18, hashLog: 14 };
export const logTables: PackTables = { windowLog: 22, hashLog: 16 };

/**
 * One frame by one context: never nbWorkers, which on Node 24.21 fails and bloats. At level 3, the default, matches are looked
 * for as the fast levels do, five bytes long at least, with tables that stay in the processor's cache: on pages of a
 * database that is not only faster than zstd's own level 3, but smaller.
 */
export function compressionOptions(
  level: number,
  rawBytes: number,
  tables: PackTables = fileTables,
): { params: Record<number, number>; pledgedSrcSize: number } {
  return {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
      ...(level === 3
        ? {
            [constants.ZSTD_c_strategy]: constants.ZSTD_fast,
            [constants.ZSTD_c_minMatch]: 5,
            [constants.ZSTD_c_windowLog]: tables.windowLog,
            [constants.ZSTD_c_hashLog]: tables.hashLog,
          }
        : {}),
    },
    pledgedSrcSize: rawBytes,
  };
}
