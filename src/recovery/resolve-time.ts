import type { Coverage, KnownLog } from './coverage.ts';
import { instantOf } from './instant.ts';
import { asPosition, cutAt, type Position } from './position.ts';

/**
 * A13: the position of a time on the path, by the metadata of its logs; null when the time lies before all
 * that is known. Meant for planning: a server resolves a time by its commit records.
 */
export function positionAt(coverage: Coverage, instantMs: number): Position | null {
  let found: { depth: number; position: Position } | null = null;
  let before: Position | null = null;
  for (const log of coverage.known) {
    const to = instantOf(log.nextTime);
    if (to === null) continue;
    if (to <= instantMs) {
      if (before === null || log.cutEnd > before) before = log.cutEnd;
      continue;
    }
    const from = instantOf(log.firstTime);
    if (from === null || from > instantMs) continue;
    const position = interpolate(log, from, to, instantMs);
    if (
      found === null ||
      log.depth > found.depth ||
      (log.depth === found.depth && position < found.position)
    ) {
      found = { depth: log.depth, position };
    }
  }
  return found?.position ?? before;
}

function interpolate(log: KnownLog, from: number, to: number, instantMs: number): Position {
  const passed = ((log.next - log.first) * BigInt(instantMs - from)) / BigInt(to - from);
  return cutAt(asPosition(log.first + passed), log.cutEnd);
}

/** The way back, for showing a loss: the time of a position on the path, rounded down; null when unknown. */
export function timeAt(coverage: Coverage, position: Position): number | null {
  let best: { depth: number; instantMs: number } | null = null;
  for (const log of coverage.known) {
    if (log.first > position || log.cutEnd < position) continue;
    if (best !== null && best.depth >= log.depth) continue;
    const from = instantOf(log.firstTime);
    const to = instantOf(log.nextTime);
    if (from === null || to === null) continue;
    const passed = (BigInt(to - from) * (position - log.first)) / (log.next - log.first);
    best = { depth: log.depth, instantMs: from + Number(passed) };
  }
  return best?.instantMs ?? null;
}
