import type { ArchivedLog } from '../../recovery/catalog.ts';
import type { FoundSegment } from './catalog-log.ts';

/**
 * Gives each log its times: from the last commit of the segment before to its own last commit, so that a time
 * between two segments falls into one. A segment without commits ends when the one before ended; without one
 * before, when it was archived. Both lists are in the order of timeline and number.
 */
export function withTimes(logs: readonly ArchivedLog[], segments: readonly FoundSegment[]): ArchivedLog[] {
  let before: { timeline: number; number: number; time: string | null } | undefined;
  return logs.map((log, index) => {
    const { timeline, number, firstTime, lastTime, archivedAt } = segments[index]!; // same length, same order
    const follows = before !== undefined && before.timeline === timeline && before.number === number - 1;
    const from = (follows ? before?.time : null) ?? firstTime;
    const to = later(lastTime, follows ? (before?.time ?? null) : null) ?? archivedAt;
    before = { timeline, number, time: to };
    return { ...log, firstTime: from, nextTime: to };
  });
}

/** Commit times need not rise with the position: the later one bounds both. */
function later(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return Date.parse(a) >= Date.parse(b) ? a : b;
}
