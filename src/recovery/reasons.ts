import type { Backup } from './catalog.ts';
import { decidingRule } from './choose.ts';
import { lastAtOrBelow, nextStart, reachFrom, type Coverage, type KnownLog } from './coverage.ts';
import { cutOf, showPath } from './lineage.ts';
import type { Position } from './position.ts';
import { isRunning, isWhole, lowOf, type WholeBackup } from './serve.ts';
import { sortByFirst } from './sort-by-first.ts';

/** What every reason looks at. */
export interface ReasonContext {
  coverage: Coverage;
  broken: ReadonlyMap<string, string>;
  lost: LostLogs;
  show: (position: Position) => string;
}

/** By thread the logs that cannot be read, rising: what a gap is explained by. */
export type LostLogs = ReadonlyMap<number, { firsts: readonly Position[]; logs: readonly KnownLog[] }>;

export function findLost({ known }: Coverage): LostLogs {
  const byThread = Map.groupBy(
    known.filter(({ usable }) => !usable),
    ({ thread }) => thread,
  );
  return new Map(
    [...byThread].map(([thread, lost]) => {
      const logs = sortByFirst(lost);
      return [thread, { firsts: logs.map(({ first }) => first), logs }];
    }),
  );
}

/** Every reason why this backup does not serve `until` (null: nothing at all); empty when it does (R9). */
export function whyUnserved(backup: Backup, until: Position | null, context: ReasonContext): string[] {
  const { coverage, broken, show } = context;
  const { state, incarnation, consistentFrom, label } = backup;
  if (backup.kind === 'export') {
    return [`it is an export: it can be imported (--until backup:${label}), not rolled forward`];
  }
  const reasons: string[] = [];
  if (state !== 'available') reasons.push(`it is ${state}`);
  if (isRunning(backup)) reasons.push('it is still running, or was never finished');
  const base = broken.get(label);
  if (base !== undefined) reasons.push(`it stands on ${base}, which is not available`);
  const cut = cutOf(coverage.path, incarnation);
  if (cut === undefined) {
    reasons.push(
      `it belongs to incarnation ${incarnation}, which is not on the path${showPath(coverage.path)}`,
    );
  } else if (cut !== null && consistentFrom !== null && consistentFrom > cut) {
    reasons.push(
      `it is consistent only from ${show(consistentFrom)}, after the path left incarnation ${incarnation} at ${show(cut)}`,
    );
  }
  if (consistentFrom !== null && until !== null && consistentFrom > until) {
    reasons.push(`it is consistent only from ${show(consistentFrom)}, the target ${show(until)} is earlier`);
  }
  if (cut !== undefined && isWhole(backup)) reasons.push(...whyUncovered(backup, until, context));
  return reasons;
}

/** R7: below consistentFrom a gap makes the files useless, above it the way just ends there. */
function whyUncovered(backup: WholeBackup, until: Position | null, context: ReasonContext): string[] {
  const low = lowOf(backup);
  const { consistentFrom } = backup;
  const aim = until === null || until < consistentFrom ? consistentFrom : until;
  if (aim === low) return [];
  const { threads } = context.coverage;
  const needed = threads.filter(({ firstKnown }) => firstKnown < aim);
  if (needed.length === 0) return [`no log at all is known below ${context.show(aim)} on the path`];
  const reasons: string[] = [];
  for (const { thread, usable } of needed) {
    const from = reachFrom(usable, low);
    if (from >= aim) continue;
    const again = nextStart(usable, from);
    const to = again === null || again > aim ? aim : again;
    const where = `thread ${thread} has no usable log for [${context.show(from)}, ${context.show(to)})`;
    const what = from < consistentFrom ? '; without it the restored files never agree with each other' : '';
    reasons.push(`${where}${explainGap(thread, from, context)}${what}`);
  }
  return reasons;
}

/** What the catalog knows of the log that should hold `position`. */
function explainGap(thread: number, position: Position, { lost }: ReasonContext): string {
  const known = lost.get(thread);
  const log = known?.logs[lastAtOrBelow(known.firsts, position)];
  if (log === undefined || log.cutEnd <= position) return '';
  if (log.archived === null) return ' (the online log is lost)';
  const { incarnation, sequence, state } = log.archived;
  const name = `log ${sequence} of incarnation ${incarnation}`;
  return state === 'available' ? ` (${name} is lost)` : ` (${name} is ${state})`;
}

/** Why a backup that serves as well was not taken (R4). */
export function whyNotChosen(other: WholeBackup, chosen: WholeBackup, until: Position): string {
  switch (decidingRule(chosen, other)) {
    case 'redo':
      return `it serves too, but needs more redo: ${until - other.start} positions, ${chosen.label} only ${until - chosen.start}`;
    case 'grade':
      return `it serves too with as much redo, but is verified less: ${showGrade(other)}, ${chosen.label} ${showGrade(chosen)}`;
    case 'age':
      return `it serves too with as much redo and as well verified, but is older: ${other.finishedAt}, ${chosen.label} ${chosen.finishedAt}`;
    case 'label':
      return `it serves exactly as well; ${chosen.label} has the lower label`;
  }
}

export function showGrade({ grade }: Backup): string {
  return grade === null ? 'never verified' : `grade ${grade}`;
}
