import type { Backup } from '../catalog.ts';
import { upper } from '../position.ts';
import type { HistoryExtras, Lane, Stretch } from './layout.ts';
import { atLeast, escape, letterWidth, line, px, type Draw } from './svg-parts.ts';

/** Labels of backups are written on up to so many lines above a lane; the others have only their tooltip. */
const labelLines = 2;

export function drawLane(lane: Lane, draw: Draw): string[] {
  const { x, row, show } = draw;
  const y = row.get(lane.id)!; // every lane has a row
  return [
    `<g><title>incarnation ${lane.id}, ${lane.status}, from ${show(lane.branchPosition)}</title>`,
    `<text class="id" x="20" y="${y + 2}">${lane.id}</text>`,
    `<text class="${lane.status}-text" x="20" y="${y + 18}">${lane.status}</text>`,
    drawBranch(lane, y, draw),
    line(`life ${lane.status}`, x(lane.from), x(lane.to), y),
    ...drawLog(lane, y, draw),
    ...drawBackups(lane, y, draw),
    ...drawMark(lane, y, draw),
    '</g>',
  ];
}

function drawBranch({ parent, branchPosition, status }: Lane, y: number, { x, row }: Draw): string {
  const parentRow = row.get(parent);
  const at = x(branchPosition);
  if (parentRow === undefined) {
    return `<circle class="${status}" fill="#fff" stroke-width="2" cx="${px(at)}" cy="${y}" r="4"/>`;
  }
  const turn = `Q${px(at)} ${y} ${px(at + 8)} ${y}`;
  return `<path class="branch ${status}" d="M${px(at)} ${parentRow} L${px(at)} ${y - 10} ${turn}"/>`;
}

function drawLog(lane: Lane, y: number, draw: Draw): string[] {
  const { x, show } = draw;
  const parts: string[] = [];
  const threads = [...new Set([...lane.threads, ...lane.online].map(({ thread }) => thread))];
  const rowOf = (thread: number): number => y + (threads.indexOf(thread) - (threads.length - 1) / 2) * 7;
  for (const { thread, held, gaps } of lane.threads) {
    const at = rowOf(thread);
    for (const one of thin(held, draw)) parts.push(line(`held ${lane.status}`, x(one.from), x(one.to), at));
    for (const one of thin(gaps, draw)) {
      const [from, to] = [x(one.from), atLeast(x(one.from), x(one.to))];
      const where = `[${show(one.from)}, ${show(one.to)})`;
      parts.push(
        `<g><title>no usable log of thread ${thread} for ${where}</title>`,
        `<line stroke="#fff" stroke-width="6" x1="${px(from)}" y1="${px(at)}" x2="${px(to)}" y2="${px(at)}"/>`,
        `${line('gap', from, to, at)}</g>`,
      );
    }
  }
  for (const one of lane.online)
    parts.push(line(`online ${lane.status}`, x(one.from), x(one.to), rowOf(one.thread)));
  if (lane.leftAt !== null && lane.leftAt < lane.to) {
    const [at, end] = [x(lane.leftAt) + 3, x(lane.to) + 1];
    parts.push(
      `<rect fill="#fff" opacity=".62" x="${px(at)}" y="${y - 7}" width="${px(Math.max(0, end - at))}" height="14">` +
        `<title>given up when the history branched at ${show(lane.leftAt)}</title></rect>`,
    );
  }
  return parts;
}

function drawMark({ mark }: Lane, y: number, { x, show }: Draw): string[] {
  if (mark === null) return [];
  const at = x(mark);
  return [
    `<path class="alwm" d="M${px(at)} ${y + 5} l5 9 h-10 z"/>`,
    `<text class="alwm-text" x="${px(at + 8)}" y="${y + 15}">ALWM ${show(mark)}</text>`,
  ];
}

/** Stretches that no eye could tell apart are drawn as one. */
function thin(stretches: readonly Stretch[], { x }: Draw): Stretch[] {
  const drawn: Stretch[] = [];
  for (const { from, to } of stretches) {
    const last = drawn.at(-1);
    if (last !== undefined && x(from) - x(last.to) < 0.3 && x(to) - x(last.from) < 1)
      last.to = upper(last.to, to);
    else drawn.push({ from, to });
  }
  return drawn;
}

function drawBackups(lane: Lane, y: number, draw: Draw): string[] {
  const { x, extras, show } = draw;
  const parts: string[] = [];
  const free = Array.from({ length: labelLines }, () => 0);
  const byPlace = lane.backups
    .flatMap((backup) => {
      const at = backup.consistentFrom ?? backup.start;
      return at === null ? [] : [{ backup, at }];
    })
    .sort((a, b) => (a.at < b.at ? -1 : 1));
  for (const { backup, at } of byPlace) {
    const { label, start, state, kind } = backup;
    const cx = x(at);
    const look = lookOf(backup, extras);
    parts.push(
      `<g><title>${escape(label)}: ${kind}, start ${start === null ? 'none' : show(start)}, consistent from ${show(at)}, ${state}${look === 'obsolete' ? ', OBSOLETE' : ''}</title>`,
    );
    if (start !== null && start < at) parts.push(line('fuzzy', x(start), cx, y - 9));
    parts.push(drawSymbol(kind, cx, y - 9, look), '</g>');
    const half = (label.length * letterWidth) / 2;
    const lineIndex = free.findIndex((end) => cx - half > end);
    if (lineIndex < 0 || label.length > 24) continue;
    free[lineIndex] = cx + half + 4;
    parts.push(
      `<text class="small" x="${px(cx)}" y="${y - 17 - lineIndex * 11}" text-anchor="middle">${escape(label)}</text>`,
    );
  }
  return parts;
}

function lookOf({ state, label }: Backup, { obsolete }: HistoryExtras): 'backup' | 'obsolete' | 'gone' {
  if (state !== 'available') return 'gone';
  return obsolete?.has(label) === true ? 'obsolete' : 'backup';
}

function drawSymbol(kind: Backup['kind'], x: number, y: number, look: string): string {
  switch (kind) {
    case 'managed':
      return `<circle class="${look}" cx="${px(x)}" cy="${px(y)}" r="5"/>`;
    case 'hot':
      return `<path class="${look}" d="M${px(x)} ${px(y - 6)} l6 11 h-12 z"/>`;
    case 'quiesced':
    case 'cold':
      return `<rect class="${look}" x="${px(x - 5)}" y="${px(y - 5)}" width="10" height="10"/>`;
    case 'export':
      return `<path class="${look}" d="M${px(x)} ${px(y - 6)} l6 6 l-6 6 l-6 -6 z"/>`;
  }
}
