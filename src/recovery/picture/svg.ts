import type { Catalog } from '../catalog.ts';
import { showPosition, type Position } from '../position.ts';
import { layHistory, type History, type HistoryExtras, type Lane } from './layout.ts';
import { drawLane } from './svg-lane.ts';
import { escape, letterWidth, px, type Draw } from './svg-parts.ts';

const width = 1200;
const left = 150;
const right = 60;
const top = 64;
const laneHeight = 74;
const footer = 64;

const style = `
text{font:12px "DejaVu Sans",Verdana,sans-serif;fill:#24292f}
.small{font-size:10.5px;fill:#57606a}.title{font-size:16px;font-weight:600}.id{font-size:15px;font-weight:600}
.axis{stroke:#d8dee4;stroke-width:1}.branch{fill:none;stroke-width:2}
.CURRENT{stroke:#1a7f37}.PARENT{stroke:#0969da}.ORPHAN{stroke:#8c959f}
.CURRENT-text{fill:#1a7f37}.PARENT-text{fill:#0969da}.ORPHAN-text{fill:#6e7781}
.held{stroke-width:5}.gap{stroke:#cf222e;stroke-width:2;stroke-dasharray:2 3}.online{stroke-width:5;stroke-dasharray:5 2}
.life{stroke-width:1.5}.way{fill:none;stroke:#f5b400;stroke-width:15;stroke-linecap:round;stroke-linejoin:round;opacity:.45}
.fuzzy{stroke:#24292f;stroke-width:2}.backup{fill:#24292f;stroke:#fff;stroke-width:1}
.obsolete{fill:#fff;stroke:#57606a;stroke-width:1.5}.gone{fill:#fff;stroke:#cf222e;stroke-width:1.5}
.alwm{fill:#8250df}.alwm-text{fill:#8250df;font-size:10.5px}
.target{stroke:#bc4c00;stroke-width:2;stroke-dasharray:4 3}.target-text{fill:#bc4c00;font-weight:600}`;

/**
 * The history as one SVG: every incarnation a line along positions, branching off where it was opened; the log the
 * archive holds as a bar with its gaps, backups with the stretch until they are consistent, CURRENT, PARENT,
 * ORPHAN, ALWM, and with a plan the target and the way to it. Where things cluster the scale is stretched.
 */
export function drawHistory(catalog: Catalog, extras: HistoryExtras = {}): string {
  const history = layHistory(catalog, extras);
  const height = top + history.lanes.length * laneHeight + footer;
  const x = (position: Position): number => left + history.scale.place(position) * (width - left - right);
  const draw: Draw = {
    x,
    row: new Map(history.lanes.map(({ id }, index) => [id, top + index * laneHeight + 44])),
    show: (position) => showPosition(catalog.engine, position),
    extras,
    bottom: height - footer,
  };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>History of ${escape(catalog.database)}</title>`,
    `<style>${style}</style>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text class="title" x="20" y="30">History of ${escape(catalog.database)}</text>`,
    ...drawAxis(history, draw),
    ...history.lanes.flatMap((lane) => drawWay(lane, history, draw)),
    ...history.lanes.flatMap((lane) => drawLane(lane, draw)),
    ...drawTarget(history, draw),
    ...drawLegend(history, draw, height),
    '</svg>',
    '',
  ].join('\n');
}

function drawAxis(history: History, { x, show, bottom }: Draw): string[] {
  const parts: string[] = [];
  let free = left - 40;
  for (const mark of history.scale.marks) {
    const at = x(mark);
    const text = show(mark);
    const half = (text.length * letterWidth) / 2;
    if (at - half < free) continue;
    free = at + half + 8;
    parts.push(`<line class="axis" x1="${px(at)}" y1="${top - 6}" x2="${px(at)}" y2="${px(bottom)}"/>`);
    parts.push(`<text class="small" x="${px(at)}" y="${top - 12}" text-anchor="middle">${text}</text>`);
  }
  return parts;
}

function drawWay(lane: Lane, history: History, { x, row }: Draw): string[] {
  if (lane.way === null) return [];
  const y = row.get(lane.id)!; // every lane has a row
  const from = px(x(lane.way.from));
  const above = history.lanes.find(({ id, way }) => id === lane.parent && way !== null);
  // Where the parent is on the way, too, it comes down from there.
  const down = above === undefined ? '' : `${row.get(above.id)!} L${from} `; // as above
  return [`<path class="way" d="M${from} ${down}${y} L${px(x(lane.way.to))} ${y}"/>`];
}

function drawTarget({ target }: History, { x, row, show }: Draw): string[] {
  if (target === null) return [];
  const y = row.get(target.incarnation)!; // it is always among those that are drawn
  const at = x(target.position);
  const text = `${target.reachable ? 'until' : 'unreachable:'} ${show(target.position)}`;
  const anchor = at > width - 160 ? 'end' : 'start';
  return [
    `<line class="target" x1="${px(at)}" y1="${y - 30}" x2="${px(at)}" y2="${y + 26}"/>`,
    `<text class="target-text" x="${px(at + (anchor === 'end' ? -5 : 5))}" y="${y + 28}" text-anchor="${anchor}">${text}</text>`,
  ];
}

function drawLegend({ hidden }: History, { extras }: Draw, height: number): string[] {
  const y = height - 30;
  const entries: [string, string][] = [
    [`<circle class="backup" cx="6" cy="-4" r="5"/>`, 'managed'],
    [`<path class="backup" d="M6 -10 l6 11 h-12 z"/>`, 'hot'],
    [`<rect class="backup" x="1" y="-9" width="10" height="10"/>`, 'cold, quiesced'],
    [`<path class="backup" d="M6 -10 l6 6 l-6 6 l-6 -6 z"/>`, 'export'],
    [`<circle class="gone" cx="6" cy="-4" r="5"/>`, 'not available'],
    [`<line class="held PARENT" x1="0" y1="-4" x2="14" y2="-4"/>`, 'archived log'],
    [`<line class="gap" x1="0" y1="-4" x2="14" y2="-4"/>`, 'gap'],
  ];
  if (extras.obsolete !== undefined) {
    entries.splice(5, 0, [`<circle class="obsolete" cx="6" cy="-4" r="5"/>`, 'obsolete']);
    entries.push([`<path class="alwm" d="M6 -9 l5 9 h-10 z"/>`, 'ALWM']);
  }
  if (extras.plan?.reachable === true)
    entries.push([`<line class="way" x1="6" y1="-4" x2="10" y2="-4"/>`, 'the way']);
  let x = 20;
  const parts: string[] = [];
  for (const [symbol, text] of entries) {
    parts.push(
      `<g transform="translate(${px(x)} ${y})">${symbol}<text class="small" x="22" y="0">${text}</text></g>`,
    );
    x += 40 + text.length * letterWidth;
  }
  if (hidden > 0)
    parts.push(
      `<text class="small" x="20" y="${height - 10}">${hidden} more incarnations are not drawn</text>`,
    );
  return parts;
}
