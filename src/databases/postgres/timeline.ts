import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import { formatLsn, formatTimeline, readLsn } from './lsn.ts';

/** One line of a .history file: the log of `timeline` counts up to `switchPoint`. */
export interface TimelineEnd {
  timeline: number;
  switchPoint: Position;
  /** Free text of the server. It names the first transaction not replayed, not the target: never a fact to act on. */
  reason: string;
}

/** A .history file: how the log of `timeline` came about, oldest part first. */
export interface TimelineHistory {
  timeline: number;
  ends: TimelineEnd[];
}

const largestTimeline = 2 ** 32 - 1;

/**
 * Reads the text of a .history file (the manual's "timeline history files"; timeline.c of the server). Blank lines
 * and comments stand in real files; switch points need not rise, timelines must. Throws `archiveDamaged` with file
 * and line.
 */
export function parseTimelineHistory(text: string, timeline: number): TimelineHistory {
  const file = `${formatTimeline(timeline)}.history`;
  const ends: TimelineEnd[] = [];
  const lines = text.split('\n');
  // The server ends every line, so a last line without its end was cut off.
  if (lines.pop() !== '') throw damaged(file, lines.length + 1, 'is cut off');
  for (const [index, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const end = parseLine(line);
    if (end === undefined) throw damaged(file, index + 1, `reads ${JSON.stringify(line.slice(0, 60))}`);
    const before = ends.at(-1)?.timeline ?? 0;
    if (end.timeline <= before || end.timeline >= timeline) {
      throw damaged(file, index + 1, `names timeline ${end.timeline} after ${before}`);
    }
    ends.push(end);
  }
  if (ends.length === 0) throw damaged(file, lines.length + 1, 'ends without naming a parent');
  return { timeline, ends };
}

function parseLine(line: string): TimelineEnd | undefined {
  const [, timeline, lsn, reason] = /^\s*(\d{1,10})\s+([0-9A-Fa-f/]+)(?:\s+(.*?))?\s*$/s.exec(line) ?? [];
  const switchPoint = readLsn(lsn ?? '');
  if (timeline === undefined || switchPoint === undefined || switchPoint === 0n) return undefined;
  if (Number(timeline) > largestTimeline) return undefined;
  return { timeline: Number(timeline), switchPoint, reason: reason ?? '' };
}

function damaged(file: string, line: number, what: string): ClonaError {
  return new ClonaError('archiveDamaged', `${file}: line ${line} ${what}`, {
    hint: 'a line is a timeline, a log position such as 0/3000158 and a reason; take the file from the mirror',
    details: { file, line },
  });
}

/** A timeline as an incarnation (R1). */
export interface TimelineBranch {
  timeline: number;
  parent: number | null;
  /** 0 for a root. */
  branchPosition: Position;
}

export interface TimelineTree {
  branches: TimelineBranch[];
  /** What could not be known, one sentence each. */
  warnings: string[];
}

/**
 * Makes incarnations of .history files. A file also tells of its ancestors, so a lost one may be known from a
 * descendant's. A server names the timeline it was told to follow as the parent even when recovery stopped below that one's
 * own beginning; the parent named here is the deepest timeline of the file that began before the switch point, so
 * that positions rise along every path (PLANNER.md's last paragraph).
 *
 * `seen` are timelines that backups or segments speak of. Throws `archiveDamaged` where two files contradict each other.
 */
export function buildTimelineTree(
  histories: readonly TimelineHistory[],
  seen: Iterable<number>,
): TimelineTree {
  const branches = new Map<number, TimelineBranch>();
  const toldBy = new Map<number, number>();
  for (const history of [...histories].sort((a, b) => a.timeline - b.timeline)) {
    for (const branch of branchesOf(history)) {
      const known = branches.get(branch.timeline);
      if (known !== undefined && !isSameBranch(known, branch)) {
        throw contradiction(known, toldBy.get(known.timeline)!, branch, history.timeline);
      }
      if (known === undefined) toldBy.set(branch.timeline, history.timeline);
      branches.set(branch.timeline, branch);
    }
  }
  const warnings: string[] = [];
  for (const timeline of [...seen].sort((a, b) => a - b)) {
    if (branches.has(timeline)) continue;
    branches.set(timeline, root(timeline));
    if (timeline !== 1) {
      warnings.push(
        `${formatTimeline(timeline)}.history is missing: where timeline ${timeline} begins is not known`,
      );
    }
  }
  return { branches: [...branches.values()].sort((a, b) => a.timeline - b.timeline), warnings };
}

/** The timeline itself and every ancestor its file tells of. */
function branchesOf({ timeline, ends }: TimelineHistory): TimelineBranch[] {
  const chain = [...ends.map((end) => end.timeline), timeline];
  const branches: TimelineBranch[] = [];
  for (const [index, member] of chain.entries()) {
    const switchPoint = ends[index - 1]?.switchPoint;
    if (switchPoint === undefined) branches.push(root(member));
    else {
      const parent = branches.findLast((branch) => branch.branchPosition < switchPoint);
      // The root begins at 0 and no switch point is 0, so there always is one.
      branches.push({ timeline: member, parent: parent!.timeline, branchPosition: switchPoint });
    }
  }
  return branches;
}

function root(timeline: number): TimelineBranch {
  return { timeline, parent: null, branchPosition: 0n as Position };
}

function isSameBranch(a: TimelineBranch, b: TimelineBranch): boolean {
  return a.parent === b.parent && a.branchPosition === b.branchPosition;
}

function contradiction(a: TimelineBranch, fileOfA: number, b: TimelineBranch, fileOfB: number): ClonaError {
  const say = (branch: TimelineBranch): string =>
    branch.parent === null
      ? 'without a parent'
      : `from ${branch.parent} at ${formatLsn(branch.branchPosition)}`;
  return new ClonaError(
    'archiveDamaged',
    `${formatTimeline(fileOfA)}.history and ${formatTimeline(fileOfB)}.history contradict each other: ` +
      `timeline ${a.timeline} begins ${say(a)}, or ${say(b)}`,
    {
      hint: 'one of them is damaged or belongs to another database; compare them with the mirror',
      details: { timeline: a.timeline },
    },
  );
}
