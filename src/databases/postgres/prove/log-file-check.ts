import { decodeLogTrailer, unpackLogFrame } from '../../../archive/log-file.ts';
import { logTrailerBytes } from '../../../archive/format.ts';
import { largestLogFileBytes, readRegularSync } from '../../../archive/regular-file.ts';
import { freeMemory } from '../../../archive/pack-frame.ts';
import { findBranchRecord } from '../branch-record.ts';
import { readSegmentTimes } from '../log-times.ts';
import { findLogPageFault, logPageBytes, type LogPageFault, type LogPageRules } from './log-pages.ts';

export interface LogFileTask {
  path: string;
  /** Name of the segment, without `.partial`. */
  segment: string;
  rules: LogPageRules;
  /** Pages from here on are not wanted: the path leaves this timeline. null: all are. */
  limit: bigint | null;
  /** A timeline that begins in this very segment. */
  branch: { timeline: number; parent: number; position: bigint } | null;
}

export interface LogFileFindings {
  /** Of the segment as it was archived: copies must agree. */
  sha256: string;
  rawBytes: number;
  problems: string[];
}

/**
 * Checks one archived segment against all it says of itself: the checksums in its trailer, the system and name there, the
 * times there, every page's header, and where a timeline begins in it, the record that begins it. Throws where it does
 * not unpack to what was archived.
 */
export function checkLogFile({ path, segment, rules, limit, branch }: LogFileTask): LogFileFindings {
  const bytes = readRegularSync(path, { maxBytes: largestLogFileBytes });
  const trailer = decodeLogTrailer(bytes, 'the file');
  const raw = unpackLogFrame(bytes.subarray(0, bytes.length - logTrailerBytes), trailer, 'the file');
  const problems: string[] = [];
  if (trailer.name.replace(/\.partial$/, '') !== segment) problems.push(`says it is ${trailer.name}`);
  if (trailer.systemIdentifier !== rules.systemIdentifier)
    problems.push(`is of system ${trailer.systemIdentifier}`);
  if (raw.length !== rules.segmentSizeBytes)
    problems.push(`holds ${raw.length} bytes, not ${rules.segmentSizeBytes}`);
  const fault = findLogPageFault(raw, segment, 0, rules);
  if (fault !== null && isWanted(fault, limit))
    problems.push(`the page at ${fault.position} ${fault.message}`);
  if (!trailer.name.endsWith('.partial'))
    problems.push(...compareTimes(raw, trailer.firstTime, trailer.lastTime));
  if (branch !== null) problems.push(...findBranchFault(raw, branch));
  const rawBytes = raw.length;
  freeMemory(raw);
  return { sha256: trailer.sha256, rawBytes, problems };
}

/** Behind a log switch a segment is empty; behind a branch it holds what the abandoned end held. */
function isWanted(fault: LogPageFault, limit: bigint | null): boolean {
  if (limit !== null && fault.position + BigInt(logPageBytes) > limit)
    return fault.position < limit && !fault.restEmpty;
  return !fault.restEmpty;
}

function compareTimes(raw: Buffer, firstTime: string | null, lastTime: string | null): string[] {
  const { first, last } = readSegmentTimes(raw);
  const differs = (told: string | null, found: Date | null): boolean =>
    told !== null && Date.parse(told) !== found?.getTime();
  return [
    ...(differs(firstTime, first)
      ? [`its first transaction ended at ${first?.toISOString() ?? 'no time'}, not at ${firstTime}`]
      : []),
    ...(differs(lastTime, last)
      ? [`its last transaction ended at ${last?.toISOString() ?? 'no time'}, not at ${lastTime}`]
      : []),
  ];
}

/** The first record of a timeline says which it is, where it came from, and stands at the switch point (xlog.c). */
function findBranchFault(
  raw: Buffer,
  { timeline, parent, position }: NonNullable<LogFileTask['branch']>,
): string[] {
  const found = findBranchRecord(raw, timeline);
  if (found === null) return [`holds no record that begins timeline ${timeline}`];
  if (position !== found.position && position !== found.switchPoint) {
    return [`timeline ${timeline} begins at ${found.position}, its .history file says ${position}`];
  }
  return found.parent === parent
    ? []
    : [`timeline ${timeline} comes from ${found.parent}, its .history file says ${parent}`];
}
