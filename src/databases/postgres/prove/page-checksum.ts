import { createPageSummer, type PageSummer } from './page-sums.ts';

/** Pages are summed in pieces of so many bytes: they stay in the processor's cache. */
const capacityBytes = 256 * 2 ** 10;
const checksumOffset = 8;
const upperOffset = 14;

export type PageVerdict = 'good' | 'new' | 'later' | 'damaged' | 'torn-new';

let summer: PageSummer | undefined;

/**
 * PostgreSQL's checksum of each whole page in `content`, whose first page is block `firstBlock` of its relation
 * (checksum_impl.h: the page with its checksum field as zero, mixed with the block number). 1 to 65535 each.
 */
export function pageChecksums(content: Buffer, pageBytes: number, firstBlock: number): Uint16Array {
  const pages = Math.floor(content.length / pageBytes);
  const sums = new Uint16Array(pages);
  summer ??= createPageSummer(capacityBytes);
  const perCall = Math.floor(capacityBytes / pageBytes);
  for (let from = 0; from < pages; from += perCall) {
    const count = Math.min(perCall, pages - from);
    const { bytes, sum } = summer;
    bytes.set(content.subarray(from * pageBytes, (from + count) * pageBytes));
    for (let page = 0; page < count; page += 1) {
      const at = page * pageBytes;
      bytes[at + checksumOffset] = 0;
      bytes[at + checksumOffset + 1] = 0;
      sums[from + page] = (((sum(at, pageBytes) ^ (firstBlock + from + page)) >>> 0) % 65_535) + 1;
    }
  }
  return sums;
}

/** A page that recovery must replace or that nobody can: block and what is the matter. */
export interface PageFault {
  block: number;
  verdict: 'damaged' | 'torn-new';
}

/**
 * Judges the pages of a backup as the server judges them while it backs up (basebackup.c): a page never written is not
 * checked; one written after the backup began is replaced by its image from the log; any other must match. A page with
 * an empty header and content below it is told apart: torn while it was first written. Counts them by verdict in `tally`.
 */
export function judgePages(
  content: Buffer,
  pageBytes: number,
  firstBlock: number,
  startPosition: bigint,
  tally: Record<PageVerdict, number>,
): PageFault[] {
  const faults: PageFault[] = [];
  const sums = pageChecksums(content, pageBytes, firstBlock);
  let good = 0;
  for (let page = 0; page < sums.length; page += 1) {
    const at = page * pageBytes;
    const told = (content[at + checksumOffset] ?? 0) | ((content[at + checksumOffset + 1] ?? 0) << 8);
    const isInitialized = content[at + upperOffset] !== 0 || content[at + upperOffset + 1] !== 0;
    if (isInitialized && told === sums[page]) {
      good += 1;
      continue;
    }
    const verdict = judgeOdd(content.subarray(at, at + pageBytes), isInitialized, startPosition);
    tally[verdict] += 1;
    if (verdict === 'damaged' || verdict === 'torn-new') faults.push({ block: firstBlock + page, verdict });
  }
  tally.good += good;
  return faults;
}

/** A page that does not match; on one that was never initialized pd_upper is zero. */
function judgeOdd(page: Buffer, isInitialized: boolean, startPosition: bigint): Exclude<PageVerdict, 'good'> {
  if (!isInitialized) return isEmpty(page) ? 'new' : 'torn-new';
  const position = (BigInt(page.readUInt32LE(0)) << 32n) | BigInt(page.readUInt32LE(4));
  return position >= startPosition ? 'later' : 'damaged';
}

const zeros = Buffer.alloc(64 * 2 ** 10);

/** Zeros only; by whole blocks, because a closure for every byte takes a hundred times as long. */
export function isEmpty(content: Buffer): boolean {
  for (let at = 0; at < content.length; at += zeros.length) {
    const piece = content.subarray(at, at + zeros.length);
    if (!piece.equals(piece.length === zeros.length ? zeros : zeros.subarray(0, piece.length))) return false;
  }
  return true;
}
