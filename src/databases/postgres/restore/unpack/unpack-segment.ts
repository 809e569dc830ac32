import { closeSync, openSync, statSync } from 'node:fs';
import { logTrailerBytes } from '../../../../archive/format.ts';
import { decodeLogTrailer, unpackLogFrame } from '../../../../archive/log-file.ts';
import { freeMemory } from '../../../../archive/pack-frame.ts';
import { largestLogFileBytes } from '../../../../archive/regular-file.ts';
import { ClonaError } from '../../../../errors.ts';
import { readSegmentIdentity } from '../../log-records.ts';
import { readSource } from './read-source.ts';
import type { SegmentJob } from './unpack-job.ts';
import { fileFlags, own, writeFully } from './write-files.ts';

/** One segment of the log, proven by its trailer and by what its pages say of themselves, written to its target. */
export function unpackSegment(job: SegmentJob): { rawBytes: number } {
  const packed = readSource(job.source, 0, sizeOf(job.source));
  const raw = job.form === 'stream' ? filledUp(packed, job.segmentSizeBytes) : unpackArchived(packed, job);
  checkSegmentIdentity(raw, job);
  const file = openSync(job.target, fileFlags.fresh, 0o600);
  try {
    own(file, job.owner);
    writeFully(file, raw, 0);
  } finally {
    closeSync(file);
  }
  const rawBytes = raw.length;
  freeMemory(raw);
  return { rawBytes };
}

/** Never more than a segment can take: a sparse file of terabytes is damage. */
function sizeOf(source: string): number {
  const sizeBytes = statSync(source, { throwIfNoEntry: false })?.size ?? 1;
  if (sizeBytes <= largestLogFileBytes) return sizeBytes;
  throw damaged(`it has ${sizeBytes} bytes, more than a segment can take`);
}

function unpackArchived(packed: Buffer, job: SegmentJob): Buffer {
  const trailer = decodeLogTrailer(packed, 'it');
  if (trailer.rawBytes !== job.segmentSizeBytes) throw damaged(`it holds ${trailer.rawBytes} bytes`);
  return unpackLogFrame(packed.subarray(0, packed.length - logTrailerBytes), trailer, 'it');
}

/** The stream ended inside the segment: zeros are what the server itself has behind the end of its log. */
function filledUp(streamed: Buffer, segmentSizeBytes: number): Buffer {
  const raw = Buffer.alloc(segmentSizeBytes);
  streamed.copy(raw);
  return raw;
}

/** The pages themselves say whose they are: a swapped file has the right name and the wrong content. */
function checkSegmentIdentity(raw: Buffer, job: SegmentJob): void {
  const identity = readSegmentIdentity(raw);
  if (identity === null) throw damaged('its first page is no page of the log');
  if (identity.systemIdentifier !== job.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `it is of system ${identity.systemIdentifier}, the archive of ${job.systemIdentifier}`,
    );
  }
  if (identity.firstPosition.toString() !== job.firstPosition)
    throw damaged('it holds another part of the log');
  // The first segment of a timeline begins with its parent's pages.
  if (identity.timeline > job.timeline) throw damaged(`it is of timeline ${identity.timeline}`);
}

function damaged(what: string): ClonaError {
  return new ClonaError('archiveDamaged', what);
}
