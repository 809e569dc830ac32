import type { Position } from '../position.ts';

/** Where positions lie across a picture, from 0 to 1. Never falls; not in proportion where that would hide things. */
export interface Scale {
  place: (position: Position) => number;
  /** The positions that were asked to be told apart, rising. */
  marks: readonly Position[];
}

/** Of the whole width, the share that is dealt out evenly between neighbouring marks. */
const evenShare = 0.45;
/** With more marks than this an even share would only blur the proportions. */
const mostMarks = 80;

/** Real positions cluster: a branch may lie a few records after the last backup, years after the one before. */
export function makeScale(positions: readonly Position[]): Scale {
  const marks = [...new Set(positions)].sort((a, b) => (a < b ? -1 : 1));
  const first = marks[0] ?? (0n as Position);
  const last = marks.at(-1) ?? first;
  const span = last > first ? last - first : 1n;
  const even = marks.length > mostMarks ? 0 : evenShare;
  const places = marks.map(
    (mark, index) => (1 - even) * ratio(mark - first, span) + even * (index / Math.max(1, marks.length - 1)),
  );
  return { marks, place };

  function place(position: Position): number {
    if (position <= first) return 0;
    if (position >= last) return places.at(-1) ?? 0;
    let at = 0;
    // Few marks: a linear search costs nothing.
    while (marks[at + 1]! <= position) at += 1; // the last mark is above
    const [from, to] = [marks[at]!, marks[at + 1]!];
    return places[at]! + (places[at + 1]! - places[at]!) * ratio(position - from, to - from);
  }
}

function ratio(part: bigint, whole: bigint): number {
  return Number((part * 1_000_000n) / whole) / 1_000_000;
}
