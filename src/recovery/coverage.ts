import type { ArchivedLog, Catalog, OnlineLog } from './catalog.ts';
import type { Path } from './lineage.ts';
import { cutAt, lower, upper, type Position } from './position.ts';
import type { Lost } from './question.ts';
import { sortByFirst } from './sort-by-first.ts';

/** Disjoint stretches of log, rising; stretch i is [starts[i], ends[i]). */
export interface Stretches {
  starts: readonly Position[];
  ends: readonly Position[];
}

export interface ThreadCoverage {
  thread: number;
  /** Lowest first of what is known of this thread on the path, in any state, the online log even if lost (A4). */
  firstKnown: Position;
  /** What archived logs hold. */
  archived: Stretches;
  /** What archived and online log hold. */
  usable: Stretches;
}

/** The log along one path, as far as `lost` leaves it. */
export interface Coverage {
  path: Path;
  threads: readonly ThreadCoverage[];
  /** Archived logs that are available, not lost, and not empty after the cut; as the catalog lists them. */
  archivedLogs: readonly ArchivedLog[];
  /** Every log of the path in any state and CURRENT's online log even if lost, not empty after the cut. */
  known: readonly KnownLog[];
  onlineUsable: boolean;
}

/** One log as its metadata tells it, whether or not it can still be read. */
export interface KnownLog {
  depth: number;
  thread: number;
  first: Position;
  /** As recorded, before the cut. */
  next: Position;
  cutEnd: Position;
  firstTime: string | null;
  nextTime: string | null;
  /** What recovery can use of it. */
  usable: boolean;
  /** Sequence and state of an archived log; null for the online log. */
  archived: ArchivedLog | null;
}

export function readCoverage(catalog: Catalog, path: Path, lost: Lost): Coverage {
  const archivedUsable = lost === 'database' || lost === 'online-log';
  const onlineUsable = lost === 'database';
  const known: KnownLog[] = [];
  const archivedLogs: ArchivedLog[] = [];
  for (const log of catalog.logs) {
    const usable = archivedUsable && log.state === 'available';
    const entry = describeLog(path, log, log.next, log.nextTime, usable, log);
    if (entry === null) continue;
    known.push(entry);
    if (usable) archivedLogs.push(log);
  }
  for (const log of catalog.onlineLogs) {
    // A5: what was the online log of another incarnation is gone since.
    if (log.incarnation !== catalog.currentIncarnation) continue;
    const entry = describeLog(path, log, log.end, log.endTime, onlineUsable, null);
    if (entry !== null) known.push(entry);
  }
  return {
    path,
    threads: coverThreads(known, readIdle(catalog, path, known)),
    archivedLogs,
    known,
    onlineUsable,
  };
}

function describeLog(
  path: Path,
  { incarnation, thread, first, firstTime }: ArchivedLog | OnlineLog,
  next: Position,
  nextTime: string | null,
  usable: boolean,
  archived: ArchivedLog | null,
): KnownLog | null {
  const depth = path.depthOf.get(incarnation);
  if (depth === undefined) return null;
  const cutEnd = cutAt(next, path.cuts[depth] ?? null);
  if (first >= cutEnd) return null;
  return { depth, thread, first, next, cutEnd, firstTime, nextTime, usable, archived };
}

interface Idle extends Held {
  thread: number;
}

/** Stretches in which a thread was disabled: nothing of it is missing there. One that goes on ends with all that is known. */
function readIdle({ idleThreads = [] }: Catalog, path: Path, known: readonly KnownLog[]): Idle[] {
  return idleThreads.flatMap(({ incarnation, thread, from, to }) => {
    const depth = path.depthOf.get(incarnation);
    if (depth === undefined) return [];
    const end = to ?? known.reduce((high, { cutEnd }) => upper(high, cutEnd), from);
    // Behind the cut it may end before it begins: that holds nothing.
    return [{ thread, first: from, cutEnd: cutAt(end, path.cuts[depth] ?? null) }];
  });
}

function coverThreads(known: readonly KnownLog[], idle: readonly Idle[]): ThreadCoverage[] {
  const byThread = new Map<number, { firstKnown: Position; archived: KnownLog[]; online: KnownLog[] }>();
  for (const log of known) {
    let thread = byThread.get(log.thread);
    if (thread === undefined) {
      thread = { firstKnown: log.first, archived: [], online: [] };
      byThread.set(log.thread, thread);
    }
    if (log.first < thread.firstKnown) thread.firstKnown = log.first;
    if (!log.usable) continue;
    if (log.archived === null) thread.online.push(log);
    else thread.archived.push(log);
  }
  return [...byThread]
    .sort(([a], [b]) => a - b)
    .map(([thread, { firstKnown, archived, online }]) => {
      const rests = idle.filter((one) => one.thread === thread);
      const held = [...archived, ...rests];
      const stretches = joinStretches(held);
      const usable = online.length === 0 ? stretches : joinStretches([...held, ...online]);
      return { thread, firstKnown, archived: stretches, usable };
    });
}

/** What holds [first, cutEnd). */
interface Held {
  first: Position;
  cutEnd: Position;
}

/** Joins what touches or overlaps. */
function joinStretches(logs: readonly Held[]): Stretches {
  const starts: Position[] = [];
  const ends: Position[] = [];
  for (const { first, cutEnd } of sortByFirst(logs)) {
    const end = ends.at(-1);
    if (end === undefined || first > end) {
      starts.push(first);
      ends.push(cutEnd);
    } else if (cutEnd > end) ends[ends.length - 1] = cutEnd;
  }
  return { starts, ends };
}

/** How far the log reaches from `from` without a gap; `from` itself when it is not held. */
export function reachFrom(stretches: Stretches, from: Position): Position {
  return upper(from, stretches.ends[lastAtOrBelow(stretches.starts, from)] ?? from);
}

/** Where the log begins again after a gap at `from`; null: nowhere. */
export function nextStart(stretches: Stretches, from: Position): Position | null {
  return stretches.starts[lastAtOrBelow(stretches.starts, from) + 1] ?? null;
}

/** Index of the last of the rising positions that is ≤ `position`, -1 when there is none. */
export function lastAtOrBelow(rising: readonly Position[], position: Position): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rising[middle]! <= position) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * A4: the highest p up to which every thread with redo below p covers [low, p); `low` itself where no p above it is
 * covered. A thread that first appears above `low` is no gap below its first record, and always one above.
 */
export function coveredUpTo(
  threads: readonly ThreadCoverage[],
  low: Position,
  source: 'archived' | 'usable',
): Position {
  if (!threads.some(({ firstKnown }) => firstKnown <= low)) return low;
  return threads
    .map((thread) => (thread.firstKnown <= low ? reachFrom(thread[source], low) : thread.firstKnown))
    .reduce(lower);
}
