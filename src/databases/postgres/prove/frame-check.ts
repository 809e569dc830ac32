import { constants, zstdDecompressSync } from 'node:zlib';
import { crc32c } from '../../../archive/crc32c.ts';
import type { Frame } from '../../../archive/format.ts';
import { decodeTarHeader, paddedBytes, tarBlockBytes } from '../../../archive/tar-header.ts';
import { findLogPageFault, type LogPageFault, type LogPageRules } from './log-pages.ts';
import { judgePages, type PageVerdict } from './page-checksum.ts';

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
  damagedPages: { path: string; block: number; verdict: PageVerdict }[];
  /** Carried log: the first page of each piece that is not what it should be. */
  logFaults: { segment: string; fault: LogPageFault }[];
}

/** Segments of a relation have this many bytes (RELSEG_SIZE, fixed in every packaged server). */
const relationSegmentBytes = 2 ** 30;
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
  return findings;
}

interface Place {
  path: string;
  offset: number;
  fileBytes: number;
}

function takeContent(
  raw: Buffer,
  at: number,
  { path, offset, fileBytes }: Place,
  rules: FrameRules,
  findings: FrameFindings,
): number {
  const bytes = Math.max(0, Math.min(fileBytes - offset, raw.length - at));
  const content = raw.subarray(at, at + bytes);
  findings.pieces.push({ path, fileBytes, offset, bytes, crc32c: crc32c(content) });
  if (rules.pages !== null && isRelationFile(path)) takePages(content, path, offset, rules.pages, findings);
  if (path.startsWith('pg_wal/')) {
    const segment = path.slice('pg_wal/'.length);
    const fault = findLogPageFault(content, segment, offset, rules.log);
    if (fault !== null) findings.logFaults.push({ segment, fault });
  }
  return Math.min(raw.length, at + paddedBytes(fileBytes) - offset);
}

const relationPath =
  /^(?:base\/\d+|global|(?:pg_tblspc\/\d+\/)?PG_\d+_\d+\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/;

export function isRelationFile(path: string): boolean {
  return relationPath.test(path);
}

function takePages(
  content: Buffer,
  path: string,
  offset: number,
  { blockSizeBytes, startPosition }: PageRules,
  findings: FrameFindings,
): void {
  const segment = Number(relationPath.exec(path)?.[1] ?? 0);
  const firstBlock = (segment * relationSegmentBytes + offset) / blockSizeBytes;
  for (const { block, verdict } of judgePages(content, blockSizeBytes, firstBlock, startPosition)) {
    findings.pages[verdict] += 1;
    const isFinding = verdict === 'damaged' || verdict === 'torn-new';
    if (isFinding && findings.damagedPages.length < keptDamagedPages) {
      findings.damagedPages.push({ path, block, verdict });
    }
  }
}
