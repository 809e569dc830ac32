import { parseSegmentName, segmentStart } from '../lsn.ts';
import { isEmpty } from './page-checksum.ts';

/** Size of a page of the log (XLOG_BLCKSZ) in every packaged server. */
export const logPageBytes = 8192;
const shortHeaderBytes = 24;
const longHeaderBytes = 40;
const knownFlags = 0x0f;
const longHeaderFlag = 2;

export interface LogPageRules {
  segmentSizeBytes: number;
  /** Decimal; null: not checked. */
  systemIdentifier: string | null;
}

export interface LogPageFault {
  /** Position at which the page should stand. */
  position: bigint;
  message: string;
  /** From here to the end of the piece there are zeros only: so a segment looks behind a log switch. */
  restEmpty: boolean;
}

/**
 * Holds the pages of a piece of a segment against what they must say of themselves (xlog_internal.h,
 * XLogPageHeaderData): where they stand, of which timeline they are, and in the first page of which system. Returns the
 * first fault: beyond the end of the log a segment may hold zeros or what it held before it was used again, so the
 * caller judges it by its position. null for a whole piece.
 */
export function findLogPageFault(
  content: Buffer,
  segment: string,
  offset: number,
  rules: LogPageRules,
): LogPageFault | null {
  const name = parseSegmentName(segment, rules.segmentSizeBytes);
  if (name === undefined) return null;
  const start = segmentStart(name.number, rules.segmentSizeBytes) + BigInt(offset);
  for (let at = 0; at < content.length; at += logPageBytes) {
    const position = start + BigInt(at);
    const message = describeFault(content, at, position, name.timeline, offset + at === 0, rules);
    if (message !== null) {
      return { position, message, restEmpty: isEmpty(content.subarray(at)) };
    }
  }
  return null;
}

function describeFault(
  content: Buffer,
  at: number,
  position: bigint,
  timeline: number,
  isFirst: boolean,
  rules: LogPageRules,
): string | null {
  if (at + (isFirst ? longHeaderBytes : shortHeaderBytes) > content.length) return 'is cut off';
  const magic = content.readUInt16LE(at);
  if (magic === 0) return 'is empty';
  const flags = content.readUInt16LE(at + 2);
  if (magic >> 8 !== 0xd1 || (flags & ~knownFlags) !== 0) return 'is no page of the log';
  const stands = content.readBigUInt64LE(at + 8);
  if (stands !== position) return `says it stands at ${stands}`;
  const told = content.readUInt32LE(at + 4);
  // The first segment of a timeline begins with a copy of its parent's pages.
  if (told === 0 || told > timeline) return `is of timeline ${told}`;
  if (!isFirst) return (flags & longHeaderFlag) === 0 ? null : 'has the header of a first page';
  if ((flags & longHeaderFlag) === 0) return 'has no header of a first page';
  const system = content.readBigUInt64LE(at + 24).toString();
  if (rules.systemIdentifier !== null && system !== rules.systemIdentifier) return `is of system ${system}`;
  if (content.readUInt32LE(at + 32) !== rules.segmentSizeBytes) return 'is of a segment of another size';
  return content.readUInt32LE(at + 36) === logPageBytes ? null : 'has pages of another size';
}
