import type { TarFramer } from '../../archive/tar-frames.ts';
import { ClonaError } from '../../errors.ts';
import type { ClusterSource } from './cluster-source.ts';
import { findLength } from './cold/control-file.ts';
import { formatSegmentName } from './lsn.ts';

/** What a hot backup copies last: the control file and the log. */

export const controlPath = 'global/pg_control';

/** pg_control may be caught while it is written: its checksum, the last thing in it, tells (update_controlfile). */
export async function readControl(source: ClusterSource): Promise<Buffer> {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const content = await source.read(controlPath, 8192);
    if (content !== undefined && findLength(content) !== undefined) return content;
  }
  throw new ClonaError('databaseFailed', 'pg_control does not match its checksum');
}

/** Adds the log from start to stop from pg_wal, if the server still has all of it: true then. */
export async function addLog(
  framer: TarFramer,
  source: ClusterSource,
  timeline: number,
  start: bigint,
  stop: bigint,
  segmentSizeBytes: number,
): Promise<boolean> {
  const size = BigInt(segmentSizeBytes);
  const numbers: number[] = [];
  for (let number = start / size; number <= (stop - 1n) / size; number += 1n) numbers.push(Number(number));
  for (const number of numbers) {
    const name = formatSegmentName({ timeline, number }, segmentSizeBytes);
    const content = await source.read(`pg_wal/${name}`, segmentSizeBytes);
    const begins =
      content?.length === segmentSizeBytes && content.readBigUInt64LE(8) === BigInt(number) * size;
    // Recycled meanwhile: the archived log must serve, and what is inside so far does no harm.
    if (content === undefined || !begins) return false;
    const modifiedAt = new Date();
    await framer.addMember(
      { path: `pg_wal/${name}`, sizeBytes: content.length, type: 'file', modifiedAt },
      content,
    );
    const status = `pg_wal/archive_status/${name}.done`;
    await framer.addMember({ path: status, sizeBytes: 0, type: 'file', modifiedAt }, Buffer.alloc(0));
  }
  return true;
}
