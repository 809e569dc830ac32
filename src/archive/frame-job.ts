import { constants } from 'node:zlib';

/** Raw bytes of one frame at most: small enough for memory and many workers, large enough to compress well. */
export const frameBytes = 4 * 2 ** 20;

/** A part of a frame that a worker fetches by itself: bytes as given, or a range of a file. */
export type FramePart =
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'file'; path: string; offset: number; length: number };

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

/**
 * One frame by one context: never nbWorkers, which on Node 24.21 fails and bloats (docs/decisions/0020). Up to level 6
 * a window of 512 KiB stays in the processor's cache: a third less time than level 3's own 2 MiB, and pages of a
 * database repeat themselves nearby (measured, same page).
 */
export function compressionOptions(
  level: number,
  rawBytes: number,
): { params: Record<number, number>; pledgedSrcSize: number } {
  return {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
      ...(level <= 6 ? { [constants.ZSTD_c_windowLog]: 19 } : {}),
    },
    pledgedSrcSize: rawBytes,
  };
}
