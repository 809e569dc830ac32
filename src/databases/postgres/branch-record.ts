import { readLogRecords } from './log-records.ts';
import { logPageBytes } from './prove/log-pages.ts';

/** The record with which a timeline begins, as the server wrote it behind its recovery. */
export interface BranchRecord {
  parent: number;
  /** Where the record begins. */
  position: bigint;
  /** The switch point: the same, or the beginning of its page where the record stands first in one. */
  switchPoint: bigint;
}

const logManager = 0;
const shutdownCheckpoint = 0x00;
const endOfRecovery = 0x90;
/** In both records a position or time of 8 bytes stands first, behind the two bytes of the data block's header. */
const timelineOffset = 10;
/** A record stands first in a page behind the page's header, short or long (xlog_internal.h). */
const pageHeads: readonly bigint[] = [24n, 40n];

/** Null: the segment holds no record that begins this timeline. Source: xlog.c, CreateEndOfRecoveryRecord and CreateCheckPoint. */
export function findBranchRecord(segment: Buffer, timeline: number): BranchRecord | null {
  for (const record of readLogRecords(segment)) {
    const kind = record.info & 0xf0;
    if (record.resourceManager !== logManager || (kind !== shutdownCheckpoint && kind !== endOfRecovery))
      continue;
    const body = record.body();
    if (body.length < timelineOffset + 8 || body.readUInt32LE(timelineOffset) !== timeline) continue;
    const parent = body.readUInt32LE(timelineOffset + 4);
    if (parent === timeline) continue;
    const { position } = record;
    const inPage = position % BigInt(logPageBytes);
    return { parent, position, switchPoint: pageHeads.includes(inPage) ? position - inPage : position };
  }
  return null;
}
