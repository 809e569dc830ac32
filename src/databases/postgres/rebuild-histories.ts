import { readLogSegment } from '../../archive/log-file.ts';
import { largestLogFileBytes, readRegular } from '../../archive/regular-file.ts';
import type { Position } from '../../recovery/position.ts';
import { findBranchRecord, type BranchRecord } from './branch-record.ts';
import type { FoundSegment } from './catalog-log.ts';
import { formatLsn, formatTimeline } from './lsn.ts';
import type { TimelineHistory } from './timeline.ts';

export interface RebuiltHistories {
  /** One for each timeline that could be told, in no order. */
  histories: TimelineHistory[];
  /** What each was made of, one sentence each. */
  told: string[];
}

/**
 * Makes the .history files that are lost or damaged again: of a descendant's file, which repeats all before its own line, else
 * of the log itself, whose first record on a timeline names its parent and stands at the switch point (R1). A timeline
 * whose first segment is gone, too, stays unknown.
 */
export async function rebuildHistories(
  lost: readonly number[],
  histories: readonly TimelineHistory[],
  segments: readonly FoundSegment[],
  signal: AbortSignal,
): Promise<RebuiltHistories> {
  const known = new Map(histories.map((history) => [history.timeline, history]));
  const rebuilt: RebuiltHistories = { histories: [], told: [] };
  // Ancestors have lower numbers, so that a chain of lost files is made from its beginning.
  for (const timeline of [...lost].sort((a, b) => a - b)) {
    signal.throwIfAborted();
    const found = fromDescendant(timeline, histories) ?? (await fromLog(timeline, known, segments));
    if (found === null) continue;
    known.set(timeline, found.history);
    rebuilt.histories.push(found.history);
    rebuilt.told.push(`${formatTimeline(timeline)}.history was made again of ${found.source}`);
  }
  return rebuilt;
}

interface Rebuilt {
  history: TimelineHistory;
  source: string;
}

function fromDescendant(timeline: number, histories: readonly TimelineHistory[]): Rebuilt | null {
  for (const { timeline: descendant, ends } of histories) {
    const index = ends.findIndex((end) => end.timeline === timeline);
    // Where it stands first it may be the oldest of all, or only the oldest that was told.
    if (index < 1) continue;
    return {
      history: { timeline, ends: ends.slice(0, index) },
      source: `${formatTimeline(descendant)}.history`,
    };
  }
  return null;
}

async function fromLog(
  timeline: number,
  known: ReadonlyMap<number, TimelineHistory>,
  segments: readonly FoundSegment[],
): Promise<Rebuilt | null> {
  const record = await readBranchRecord(timeline, segments);
  if (record === null || record.parent >= timeline) return null;
  const before = known.get(record.parent)?.ends ?? [];
  const end = {
    timeline: record.parent,
    switchPoint: record.switchPoint as Position, // a position of the log itself
    reason: 'made again of the log',
  };
  return {
    history: { timeline, ends: [...before, end] },
    source: `the first record of its log, at ${formatLsn(end.switchPoint)}`,
  };
}

/** Null: the log of this timeline does not begin in the archive, or cannot be read there. */
export async function readBranchRecord(
  timeline: number,
  segments: readonly FoundSegment[],
): Promise<BranchRecord | null> {
  const own = segments.filter((segment) => segment.timeline === timeline && segment.state === 'available');
  const [first] = own.sort((a, b) => a.number - b.number);
  if (first === undefined) return null;
  try {
    const content =
      first.form === 'stream'
        ? await readRegular(first.path, { maxBytes: largestLogFileBytes })
        : (await readLogSegment(first.path)).segment;
    return findBranchRecord(content, timeline);
  } catch {
    // Damage in it is named by the proof and by the restore that reads it.
    return null;
  }
}

/** The text of a .history file, as the server writes it. */
export function formatHistory({ ends }: TimelineHistory): string {
  return ends
    .map(({ timeline, switchPoint, reason }) => `${timeline}\t${formatLsn(switchPoint)}\t${reason}\n`)
    .join('');
}
