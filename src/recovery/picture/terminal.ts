import type { Catalog } from '../catalog.ts';
import { showPosition, type Position } from '../position.ts';
import { layHistory, type History, type HistoryExtras, type Lane } from './layout.ts';

/** What a stretch of a line looks like. */
const ink = { none: ' ', life: '·', held: '─', online: '╌', gap: '×', way: '═' } as const;

/**
 * The same picture for a terminal: `─` log in the archive, `╌` online log, `×` gap, `·` known by nothing, `═` the
 * way to the target `◎`; a backup stands above its line, at the position from which it is consistent.
 */
export function sketchHistory(catalog: Catalog, extras: HistoryExtras = {}, columns = 100): string {
  const history = layHistory(catalog, extras);
  const names = history.lanes.map(({ id, status }) => `${id} ${status}`);
  const indent = Math.max(...names.map(({ length }) => length)) + 2;
  const width = Math.max(20, columns - indent - 1);
  const column = (position: Position): number => Math.round(history.scale.place(position) * (width - 1));
  const show = (position: Position): string => showPosition(catalog.engine, position);
  const rows: string[] = [pad(indent) + axis(history, column, show, width)];
  for (const [index, lane] of history.lanes.entries()) {
    const passing = history.lanes.filter((child, at) => at >= index && startsAbove(history, child, index));
    rows.push(pad(indent) + backupsRow(lane, passing, column, width));
    rows.push(names[index]!.padEnd(indent) + laneRow(lane, history, column, width));
    if (lane.mark !== null) rows.push(pad(indent) + put('', column(lane.mark), `▲ALWM ${show(lane.mark)}`));
  }
  if (history.hidden > 0) rows.push(`${history.hidden} more incarnations are not drawn`);
  rows.push(legend(history, show));
  return rows.map((row) => row.trimEnd()).join('\n');
}

/** Whether the parent of that lane is drawn, and above lane `index`. */
function startsAbove({ lanes }: History, { parent }: Lane, index: number): boolean {
  const parentAt = lanes.findIndex(({ id }) => id === parent);
  return parentAt >= 0 && parentAt < index;
}

function axis(
  history: History,
  column: (position: Position) => number,
  show: (position: Position) => string,
  width: number,
): string {
  let row = '';
  for (const mark of history.scale.marks) {
    const text = show(mark);
    const at = Math.min(column(mark), width - text.length);
    if (row.length === 0 || at > row.length) row = put(row, at, text);
  }
  return row;
}

function backupsRow(
  lane: Lane,
  passing: readonly Lane[],
  column: (position: Position) => number,
  width: number,
): string {
  const cells = Array.from({ length: width }, () => ' ');
  for (const { branchPosition } of passing) cells[column(branchPosition)] = '│';
  const places = lane.backups
    .flatMap((backup) => {
      const at = backup.consistentFrom ?? backup.start;
      return at === null
        ? []
        : [{ at: column(at), text: `▾${backup.label}${backup.state === 'available' ? '' : '✗'}` }];
    })
    .sort((a, b) => a.at - b.at);
  let free = 0;
  for (const { at, text } of places) {
    const shown = at < free || at + text.length > width ? '▾' : text;
    if (at < free && cells[at] !== ' ') continue;
    for (const [offset, letter] of Array.from(shown).entries()) cells[at + offset] = letter;
    free = Math.max(free, at + shown.length + 1);
  }
  return cells.join('');
}

function laneRow(
  lane: Lane,
  history: History,
  column: (position: Position) => number,
  width: number,
): string {
  const cells: string[] = Array.from({ length: width }, () => ink.none);
  const fill = (from: Position, to: Position, letter: string): void => {
    const last = Math.max(column(from), column(to) - 1);
    for (let at = column(from); at <= last; at += 1) cells[at] = letter;
  };
  fill(lane.from, lane.to, ink.life);
  for (const { held } of lane.threads) for (const { from, to } of held) fill(from, to, ink.held);
  for (const { from, to } of lane.online) fill(from, to, ink.online);
  if (lane.way !== null) fill(lane.way.from, lane.way.to, ink.way);
  // A gap in any thread is a gap.
  for (const { gaps } of lane.threads) for (const { from, to } of gaps) fill(from, to, ink.gap);
  cells[column(lane.branchPosition)] = lane.parent === null ? '├' : '└';
  for (const child of history.lanes) {
    if (child.parent === lane.id) cells[column(child.branchPosition)] = '┬';
  }
  const { target } = history;
  if (target?.incarnation === lane.id) cells[column(target.position)] = target.reachable ? '◎' : '⊗';
  return cells.join('');
}

function legend({ target }: History, show: (position: Position) => string): string {
  const parts = ['─ archived log', '╌ online log', '× gap', '▾ backup (✗ not available)'];
  if (target !== null) {
    parts.push(
      '═ the way',
      target.reachable ? `◎ until ${show(target.position)}` : `⊗ unreachable: ${show(target.position)}`,
    );
  }
  return parts.join('   ');
}

function put(row: string, at: number, text: string): string {
  return row.padEnd(Math.max(0, at)) + text;
}

function pad(count: number): string {
  return ' '.repeat(count);
}
