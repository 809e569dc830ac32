/** Page and record headers of the log: xlog_internal.h, xlogrecord.h; the same in all versions from 9.3 on. */
const shortPageHeadBytes = 24;
const longPageHeadBytes = 40;
const recordHeadBytes = 24;
const isContinued = 0x0001;
const isLong = 0x0002;

const transactionManager = 1;
/** Commit, abort, commit prepared, abort prepared: their data begins with the time of the transaction's end. */
const endingKinds = new Set([0x00, 0x20, 0x30, 0x40]);
const kindMask = 0x70;
const dataShort = 255;
const dataLong = 254;
const dataOrigin = 253;
const dataTopTransaction = 252;

/** Microseconds from 1970 to the server's own beginning of time, 2000-01-01. */
const serverEpochMicroseconds = 946_684_800_000_000n;

export interface SegmentTimes {
  first: Date | null;
  last: Date | null;
}

/**
 * Times of the first and the last end of a transaction in a segment, null where there is none or the segment does not
 * read. Walks from the beginning to the first, and over the last pages for the last.
 */
export function readSegmentTimes(segment: Buffer): SegmentTimes {
  if (segment.length < longPageHeadBytes) return { first: null, last: null };
  const pageBytes = segment.readUInt32LE(36);
  if (pageBytes < 1024 || pageBytes > 65_536 || segment.length % pageBytes !== 0)
    return { first: null, last: null };
  const first = walk(segment, pageBytes, 0, true);
  if (first === null) return { first: null, last: null };
  const pages = countUsedPages(segment, pageBytes);
  for (let window = 16; ; window *= 8) {
    const from = Math.max(0, pages - window);
    const last = walk(segment, pageBytes, from * pageBytes, false);
    if (last !== null || from === 0) return { first, last: last ?? first };
  }
}

/** A segment that was switched away early ends in pages of zeros. */
function countUsedPages(segment: Buffer, pageBytes: number): number {
  let pages = segment.length / pageBytes;
  while (pages > 0 && segment.readUInt16LE((pages - 1) * pageBytes) === 0) pages -= 1;
  return pages;
}

/** Time of the first or of the last end of a transaction from a page on. */
function walk(segment: Buffer, pageBytes: number, from: number, stopsAtFirst: boolean): Date | null {
  let found: Date | null = null;
  let at = firstRecord(segment, pageBytes, from);
  while (at !== undefined && at + 8 <= segment.length) {
    const totalBytes = segment.readUInt32LE(at);
    if (totalBytes < recordHeadBytes) break;
    const time = readTime(segment, pageBytes, at, totalBytes);
    if (time !== null) {
      found = time;
      if (stopsAtFirst) break;
    }
    const end = advance(segment, pageBytes, at, totalBytes);
    at = end === undefined ? undefined : skipPageHead(segment, pageBytes, Math.ceil(end / 8) * 8);
  }
  return found;
}

/** Where the first record beginning at or after a page's start begins. */
function firstRecord(segment: Buffer, pageBytes: number, page: number): number | undefined {
  const info = segment.readUInt16LE(page + 2);
  const head = (info & isLong) === 0 ? shortPageHeadBytes : longPageHeadBytes;
  if ((info & isContinued) === 0) return page + head;
  const end = advance(segment, pageBytes, page + head, segment.readUInt32LE(page + 16));
  return end === undefined ? undefined : skipPageHead(segment, pageBytes, Math.ceil(end / 8) * 8);
}

/** Position after so many bytes of records, page heads left out; undefined beyond the segment. */
function advance(segment: Buffer, pageBytes: number, from: number, count: number): number | undefined {
  let at = from;
  let left = count;
  for (;;) {
    const room = pageBytes - (at % pageBytes);
    if (left <= room) return at + left;
    left -= room;
    const next = skipPageHead(segment, pageBytes, at + room);
    if (next === undefined) return undefined;
    at = next;
  }
}

function skipPageHead(segment: Buffer, pageBytes: number, at: number): number | undefined {
  if (at % pageBytes !== 0) return at;
  return at >= segment.length ? undefined : at + shortPageHeadBytes;
}

function readTime(segment: Buffer, pageBytes: number, at: number, totalBytes: number): Date | null {
  // Nearly all records are not of this kind, and most lie on one page: no buffer is made for those.
  if ((at % pageBytes) + recordHeadBytes <= pageBytes && segment[at + 17] !== transactionManager) return null;
  // The record's first 64 bytes hold all that is asked for, with or without an origin.
  const head = gather(segment, pageBytes, at, Math.min(totalBytes, 64));
  if (head.length < recordHeadBytes + 2 || head[17] !== transactionManager) return null;
  if (!endingKinds.has((head[16] ?? 0) & kindMask)) return null;
  for (let place = recordHeadBytes; place < head.length;) {
    const id = head[place];
    if (id === dataShort || id === dataLong) {
      const data = place + (id === dataShort ? 2 : 5);
      if (data + 8 > head.length) return null;
      const microseconds = head.readBigInt64LE(data) + serverEpochMicroseconds;
      return new Date(Number(microseconds / 1000n));
    }
    if (id === dataOrigin) place += 3;
    else if (id === dataTopTransaction) place += 5;
    else return null;
  }
  return null;
}

function gather(segment: Buffer, pageBytes: number, at: number, count: number): Buffer {
  const room = pageBytes - (at % pageBytes);
  if (count <= room) return segment.subarray(at, at + count);
  const next = skipPageHead(segment, pageBytes, at + room);
  if (next === undefined) return segment.subarray(at, at + room);
  return Buffer.concat([segment.subarray(at, at + room), segment.subarray(next, next + count - room)]);
}
