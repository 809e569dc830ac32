/**
 * Reads the pages and records of one log segment, as xlogreader.c does: enough to find where the log ends inside
 * a segment and where a restore point lies. Contents are not judged: that is the server's work.
 */

export interface LogRecord {
  /** Where the record begins. */
  position: bigint;
  /** The first position behind it, aligned as the next record is. */
  end: bigint;
  resourceManager: number;
  info: number;
  /** The record's bytes behind its header of 24 bytes, page headers taken out. */
  body: () => Buffer;
}

export interface SegmentIdentity {
  systemIdentifier: string;
  timeline: number;
  firstPosition: bigint;
  segmentSizeBytes: number;
  blockSizeBytes: number;
}

const longHeaderBytes = 40;
const shortHeaderBytes = 24;
const recordHeaderBytes = 24;
const longHeaderFlag = 2;
/** What a server can be built with (--with-wal-blocksize, in kilobytes). */
const blockSizes: ReadonlySet<number> = new Set(
  [1, 2, 4, 8, 16, 32, 64].map((kilobytes) => kilobytes * 1024),
);

/** What the first page of a segment says of itself; null when it does not look like one. */
export function readSegmentIdentity(segment: Buffer): SegmentIdentity | null {
  if (segment.length < longHeaderBytes || (segment.readUInt16LE(2) & longHeaderFlag) === 0) return null;
  // Servers 15 to 18 write 0xD110 to 0xD118; later ones count on.
  if (segment.readUInt16LE(0) >> 8 !== 0xd1) return null;
  const blockSizeBytes = segment.readUInt32LE(36);
  if (!blockSizes.has(blockSizeBytes)) return null;
  return {
    timeline: segment.readUInt32LE(4),
    firstPosition: segment.readBigUInt64LE(8),
    systemIdentifier: segment.readBigUInt64LE(24).toString(),
    segmentSizeBytes: segment.readUInt32LE(32),
    blockSizeBytes,
  };
}

/** Every record that begins in the segment, up to where its log ends. A record that goes on in the next segment is the last. */
export function* readLogRecords(segment: Buffer): Generator<LogRecord> {
  const identity = readSegmentIdentity(segment);
  if (identity === null) return;
  const { firstPosition, blockSizeBytes: block } = identity;
  let at = skipContinuation(segment, firstPosition, block);
  while (at !== null && at + 4 <= segment.length) {
    const start = at % block === 0 ? at + headerBytes(at) : at;
    if (!isPageOf(segment, start, firstPosition, block)) return;
    // A length never crosses a page: records are aligned to 8 bytes and so are pages.
    const length = segment.readUInt32LE(start);
    if (length < recordHeaderBytes) return;
    const end = advance(start, length, block);
    const bytes = collect(segment, start, Math.min(recordHeaderBytes, length), block);
    if (bytes.length < recordHeaderBytes) return;
    yield {
      position: firstPosition + BigInt(start),
      end: firstPosition + BigInt(align(end)),
      info: bytes.readUInt8(16),
      resourceManager: bytes.readUInt8(17),
      body: () => collect(segment, start, length, block).subarray(recordHeaderBytes),
    };
    if (end > segment.length) return;
    for (let page = nextPage(start, block); page < end; page += block) {
      if (!isPageOf(segment, page, firstPosition, block)) return;
    }
    at = align(end);
  }
}

/** First position behind the last record that lies whole in the segment; its beginning where it holds none. */
export function findLogEnd(segment: Buffer): bigint | null {
  const identity = readSegmentIdentity(segment);
  if (identity === null) return null;
  const limit = identity.firstPosition + BigInt(segment.length);
  let end = identity.firstPosition;
  for (const record of readLogRecords(segment)) if (record.end <= limit) end = record.end;
  return end;
}

const logResourceManager = 0;
const restorePointInfo = 0x70;
const shortDataBlock = 255;

/** Name of a restore point if the record is one (pg_create_restore_point); else null. */
export function restorePointName(record: LogRecord): string | null {
  if (record.resourceManager !== logResourceManager || (record.info & 0xf0) !== restorePointInfo) return null;
  const body = record.body();
  // Block id, length, then a time of 8 bytes and a name closed by a zero byte.
  if (body[0] !== shortDataBlock || body.length < 11) return null;
  const name = body.subarray(10);
  const end = name.indexOf(0);
  return name.toString('utf8', 0, end < 0 ? name.length : end);
}

function headerBytes(pageStart: number): number {
  return pageStart === 0 ? longHeaderBytes : shortHeaderBytes;
}

function align(offset: number): number {
  return Math.ceil(offset / 8) * 8;
}

function nextPage(offset: number, block: number): number {
  return (Math.floor(offset / block) + 1) * block;
}

/** A recycled segment holds pages of an older one behind its end: they name another position. */
function isPageOf(segment: Buffer, offset: number, firstPosition: bigint, block: number): boolean {
  const page = Math.floor(offset / block) * block;
  if (page + shortHeaderBytes > segment.length) return false;
  return (
    segment.readUInt16LE(page) >> 8 === 0xd1 &&
    segment.readBigUInt64LE(page + 8) === firstPosition + BigInt(page)
  );
}

/** Where the first record begins that is not the rest of one from the segment before. */
function skipContinuation(segment: Buffer, firstPosition: bigint, block: number): number | null {
  let page = 0;
  while (page < segment.length && isPageOf(segment, page, firstPosition, block)) {
    const rest = segment.readUInt32LE(page + 16);
    const room = block - headerBytes(page);
    if (rest <= room) {
      const at = page + headerBytes(page) + align(rest);
      return at;
    }
    page += block;
  }
  return null;
}

/** Offset behind `length` bytes of content from `start` on, page headers not counted. */
function advance(start: number, length: number, block: number): number {
  let at = start;
  let rest = length;
  for (;;) {
    const room = nextPage(at, block) - at;
    if (rest <= room) return at + rest;
    rest -= room;
    const page = at + room;
    at = page + headerBytes(page);
  }
}

function collect(segment: Buffer, start: number, length: number, block: number): Buffer {
  const pieces: Buffer[] = [];
  let at = start;
  let rest = length;
  while (rest > 0 && at < segment.length) {
    const room = Math.min(nextPage(at, block) - at, rest);
    pieces.push(segment.subarray(at, at + room));
    rest -= room;
    at = nextPage(at, block) + shortHeaderBytes;
  }
  return Buffer.concat(pieces);
}
