import { constants, zstdDecompressSync } from 'node:zlib';
import { crc32c } from '../../../archive/crc32c.ts';
import type { Frame } from '../../../archive/format.ts';
import { freeMemory } from '../../../archive/pack-frame.ts';
import { decodeTarHeader, paddedBytes, tarBlockBytes } from '../../../archive/tar-header.ts';
import { findLogPageFault, type LogPageFault, type LogPageRules } from './log-pages.ts';
import { blockAt } from './relation-file.ts';
import { judgePages, type PageFault, type PageVerdict } from './page-checksum.ts';

/** What the pages of a backup are judged by. */
export interface PageRules {
  blockSizeBytes: number;
  /** Where the backup began: pages written later come from the log. */
  startPosition: bigint;
}

export interface FrameRules {
  /** null: the cluster has no data checksums. */
  pages: PageRules | null;
  log: LogPageRules;
}

/** A range of one file, as one frame holds it. */
export interface FilePiece {
  /** As in the tar. */
  path: string;
  fileBytes: number;
  offset: number;
  bytes: number;
  crc32c: number;
}

export interface FrameFindings {
  pieces: FilePiece[];
  pages: Record<PageVerdict, number>;
  damagedPages: ({ path: string } & PageFault)[];
  /** Carried log: the first page of each piece that is not what it should be. */
  logFaults: { segment: string; fault: LogPageFault }[];
}

const keptDamagedPages = 100;

/**
 * Unpacks one frame in memory (zstd checks its own checksum), takes the tar in it apart, sums every file range by
 * CRC-32C and judges every page. Throws where the frame does not unpack to what backup.json says.
 */
export function checkFrame(
  compressed: Buffer,
  frame: Frame,
  rules: FrameRules,
  where: string,
): FrameFindings {
  const raw = zstdDecompressSync(compressed, {
    // A little more than the content: at an exact fit zlib would allocate a second chunk of the same size.
    chunkSize: frame.rawBytes + 64,
    maxOutputLength: frame.rawBytes + 64,
    params: { [constants.ZSTD_d_windowLogMax]: 27 },
  });
  if (raw.length !== frame.rawBytes) {
    throw new Error(`a frame unpacks to ${raw.length} bytes, not to ${frame.rawBytes}`);
  }
  const findings: FrameFindings = {
    pieces: [],
    pages: { good: 0, new: 0, later: 0, damaged: 0, 'torn-new': 0 },
    damagedPages: [],
    logFaults: [],
  };
  takeTar(raw, frame, rules, where, findings);
  freeMemory(raw);
  return findings;
}

function takeTar(raw: Buffer, frame: Frame, rules: FrameRules, where: string, findings: FrameFindings): void {
  let at = 0;
  if (frame.inside !== null) {
    const { path, fileOffset, fileBytes } = frame.inside;
    at = takeContent(raw, 0, { path, offset: fileOffset, fileBytes }, rules, findings);
  }
  while (at < raw.length) {
    const member = decodeTarHeader(raw.subarray(at, at + tarBlockBytes), where);
    at += tarBlockBytes;
    if (member === undefined || member.type !== 'file') continue;
    at = takeContent(raw, at, { path: member.path, offset: 0, fileBytes: member.sizeBytes }, rules, findings);
  }
}

interface Place {
  path: string;
  offset: number;
  fileBytes: number;
}

/** So much is summed and judged at a time: what was read for the one is still in the processor's cache for the other. */
const stepBytes = 256 * 2 ** 10;

function takeContent(
  raw: Buffer,
  at: number,
  place: Place,
  rules: FrameRules,
  findings: FrameFindings,
): number {
  const { path, offset, fileBytes } = place;
  const bytes = Math.max(0, Math.min(fileBytes - offset, raw.length - at));
  const content = raw.subarray(at, at + bytes);
  const judge = rules.pages === null ? undefined : pageJudge(path, offset, rules.pages, findings);
  let sum = crc32c(content.subarray(0, stepBytes));
  judge?.(content.subarray(0, stepBytes), 0);
  for (let done = stepBytes; done < bytes; done += stepBytes) {
    const step = content.subarray(done, done + stepBytes);
    sum = crc32c(step, sum);
    judge?.(step, done);
  }
  findings.pieces.push({ path, fileBytes, offset, bytes, crc32c: sum });
  if (path.startsWith('pg_wal/')) {
    const segment = path.slice('pg_wal/'.length);
    const fault = findLogPageFault(content, segment, offset, rules.log);
    if (fault !== null) findings.logFaults.push({ segment, fault });
  }
  return Math.min(raw.length, at + paddedBytes(fileBytes) - offset);
}

/** Judges pages that lie `done` bytes behind `offset` in a file; undefined where the file is no relation's. */
function pageJudge(
  path: string,
  offset: number,
  { blockSizeBytes, startPosition }: PageRules,
  findings: FrameFindings,
): ((content: Buffer, done: number) => void) | undefined {
  const before = blockAt(path, offset, blockSizeBytes);
  if (before === undefined) return undefined;
  return (content, done) => {
    const firstBlock = before + done / blockSizeBytes;
    for (const fault of judgePages(content, blockSizeBytes, firstBlock, startPosition, findings.pages)) {
      if (findings.damagedPages.length < keptDamagedPages) findings.damagedPages.push({ path, ...fault });
    }
  };
}
