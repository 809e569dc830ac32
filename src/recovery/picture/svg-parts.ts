import type { Position } from '../position.ts';
import type { HistoryExtras } from './layout.ts';

/** Where things lie, in pixels. */
export interface Draw {
  x: (position: Position) => number;
  /** null, as the parent of a root: none. */
  row: ReadonlyMap<number | null, number>;
  show: (position: Position) => string;
  extras: HistoryExtras;
  bottom: number;
}

/** Width of a letter of the small text, near enough to keep labels apart. */
export const letterWidth = 6.4;

export function line(look: string, from: number, to: number, y: number): string {
  return `<line class="${look}" x1="${px(from)}" y1="${px(y)}" x2="${px(to)}" y2="${px(y)}"/>`;
}

export function atLeast(from: number, to: number): number {
  return Math.max(to, from + 2);
}

export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function escape(text: string): string {
  // oxlint-disable-next-line no-control-regex -- XML 1.0 allows none of them, not even as references
  const printable = text.replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '\uFFFD');
  return printable.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
}
