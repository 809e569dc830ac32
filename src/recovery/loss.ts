import type { PlanAnswer } from './answer.ts';
import type { Coverage, KnownLog } from './coverage.ts';
import { instantOf, showInstant } from './instant.ts';
import type { Position } from './position.ts';
import { timeAt } from './resolve-time.ts';

/** The record of the path that reaches furthest, whatever its state; null: no log is known. */
export function findEnd(coverage: Coverage): KnownLog | null {
  let end: KnownLog | null = null;
  for (const log of coverage.known) if (end === null || log.cutEnd > end.cutEnd) end = log;
  return end;
}

/** R7: what the log once held beyond `until` on the path, in positions and in time. */
export function measureLoss(coverage: Coverage, until: Position): PlanAnswer['loss'] {
  const end = findEnd(coverage);
  if (end === null || end.cutEnd <= until) return { positions: 0n, from: null, to: null };
  const from = timeAt(coverage, until);
  const to = end.cutEnd === end.next ? instantOf(end.nextTime) : timeAt(coverage, end.cutEnd);
  return {
    positions: end.cutEnd - until,
    from: from === null ? null : showInstant(from),
    to: to === null ? null : showInstant(to),
  };
}
