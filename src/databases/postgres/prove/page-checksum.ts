import { createPageSummer, type PageSummer } from './page-sums.ts';

/** Pages of one call at most: the content that one frame of a backup holds of a file. */
const capacityBytes = 4 * 2 ** 20;
const checksumOffset = 8;
const upperOffset = 14;

export type PageVerdict = 'good' | 'new' | 'later' | 'damaged' | 'torn-new';

export interface JudgedPage {
  block: number;
  verdict: PageVerdict;
}

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

/**
 * Judges the pages of a backup as the server judges them while it backs up (basebackup.c): a page never written is not
 * checked; one written after the backup began is replaced by its image from the log; any other must match. A page with
 * an empty header and content below it is told apart: torn while it was first written.
 */
export function judgePages(
  content: Buffer,
  pageBytes: number,
  firstBlock: number,
  startPosition: bigint,
): JudgedPage[] {
  const sums = pageChecksums(content, pageBytes, firstBlock);
  const judged: JudgedPage[] = [];
  for (let page = 0; page < sums.length; page += 1) {
    const at = page * pageBytes;
    judged.push({
      block: firstBlock + page,
      verdict: judge(content, at, pageBytes, sums[page] ?? 0, startPosition),
    });
  }
  return judged;
}

function judge(
  content: Buffer,
  at: number,
  pageBytes: number,
  sum: number,
  startPosition: bigint,
): PageVerdict {
  // pd_upper is zero on a page that was never initialized.
  if (content[at + upperOffset] === 0 && content[at + upperOffset + 1] === 0) {
    return content.subarray(at, at + pageBytes).every((byte) => byte === 0) ? 'new' : 'torn-new';
  }
  if (content.readUInt16LE(at + checksumOffset) === sum) return 'good';
  const position = (BigInt(content.readUInt32LE(at)) << 32n) | BigInt(content.readUInt32LE(at + 4));
  return position >= startPosition ? 'later' : 'damaged';
}
