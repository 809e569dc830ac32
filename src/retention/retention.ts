import type { Backup, Catalog } from '../recovery/catalog.ts';
import { compareLabels, compareNewestFirst, finishedMs } from '../recovery/choose.ts';
import { showInstant } from '../recovery/instant.ts';
import type { LogName } from '../recovery/answer.ts';
import { findDeletableLogs, findLowWaterMarks } from './low-water-mark.ts';
import type { Policy } from './policy.ts';
import type { LowWaterMark } from './low-water-mark.ts';
import { judgeStandings, seriesOf, type Series, type Standings } from './standing.ts';

export interface Verdict {
  label: string;
  keep: boolean;
  /** Why it is kept, or why it is obsolete; never empty. */
  reasons: string[];
  /** Kept although nothing can be restored from it as things are. */
  flagged: boolean;
}

export interface RetentionAnswer {
  /** In the order of the catalog. */
  backups: Verdict[];
  /** One for each incarnation, in the order of the catalog. */
  lowWaterMarks: LowWaterMark[];
  /** Each name once, when all its copies may go (A21). */
  deletableLogs: LogName[];
}

const dayMs = 86_400_000;

/** R10, R11 and A15 to A23: what may go, each with its reasons. `nowMs` in milliseconds since 1970. */
export function decideRetention(catalog: Catalog, policy: Policy, nowMs: number): RetentionAnswer {
  const standings = judgeStandings(catalog);
  const keeping = new Map<string, string[]>();
  const keep = (backup: Backup, reason: string): void => {
    const reasons = keeping.get(backup.label);
    if (reasons === undefined) keeping.set(backup.label, [reason]);
    else reasons.push(reason);
  };
  for (const series of ['backups', 'exports'] as const)
    keepBySeries(catalog, policy, nowMs, standings, series, keep);
  for (const backup of catalog.backups) keepByItself(backup, policy, nowMs, standings, keep);
  keepBases(catalog, keeping, keep);
  const kept = catalog.backups.filter(({ label }) => keeping.has(label));
  const lowWaterMarks = findLowWaterMarks(catalog, standings.lineage, kept, orphanLimit(policy, nowMs));
  return {
    backups: catalog.backups.map((backup) => {
      const reasons = keeping.get(backup.label);
      const keep = reasons !== undefined;
      const flagged = keep && ['gone', 'unusable'].includes(standings.of(backup));
      return {
        label: backup.label,
        keep,
        reasons: reasons ?? [whyObsolete(backup, standings, policy)],
        flagged,
      };
    }),
    lowWaterMarks,
    deletableLogs: findDeletableLogs(catalog, lowWaterMarks),
  };
}

type Keep = (backup: Backup, reason: string) => void;

/** A17 and A18: redundancy, window and best grade, all among those that count. */
function keepBySeries(
  catalog: Catalog,
  { redundancy, windowDays }: Policy,
  nowMs: number,
  standings: Standings,
  series: Series,
  keep: Keep,
): void {
  const newestFirst = catalog.backups
    .filter((backup) => seriesOf(backup) === series && ['usable', 'unusable'].includes(standings.of(backup)))
    .sort((a, b) => compareNewestFirst(a, b) || compareLabels(a, b));
  const counting = newestFirst.filter((backup) => standings.of(backup) === 'usable');
  const name = series === 'exports' ? 'export' : 'backup';
  for (const [index, backup] of counting.slice(0, redundancy).entries()) {
    keep(backup, `redundancy ${redundancy}: it is number ${index + 1} of the newest ${name}s`);
  }
  if (windowDays > 0) keepWindow(counting, windowDays, nowMs - windowDays * dayMs, keep);
  const best = findBestGraded(counting.length > 0 ? counting : newestFirst);
  if (best !== null) {
    keep(
      best,
      `it is the newest ${name} of the best grade (${best.grade ?? 'never verified'}): never obsolete`,
    );
  }
  const newestUsable = counting[0];
  for (const backup of newestFirst) {
    if (standings.of(backup) !== 'unusable') continue;
    if (newestUsable === undefined || finishedMs(newestUsable) <= finishedMs(backup)) {
      keep(backup, `no usable ${name} finished later: kept, but unusable with the archived logs there are`);
    }
  }
}

function keepWindow(counting: readonly Backup[], windowDays: number, fromMs: number, keep: Keep): void {
  const since = showInstant(fromMs);
  for (const backup of counting) {
    if (finishedMs(backup) > fromMs) {
      keep(backup, `recovery window of ${windowDays} days: it finished after ${since}`);
    } else {
      keep(
        backup,
        `recovery window of ${windowDays} days: it is the newest from before ${since}, where the window begins`,
      );
      break;
    }
  }
}

/** The newest of the best grade of a list that is sorted newest first. */
function findBestGraded(newestFirst: readonly Backup[]): Backup | null {
  let best: Backup | null = null;
  for (const backup of newestFirst)
    if (best === null || (backup.grade ?? -1) > (best.grade ?? -1)) best = backup;
  return best;
}

function keepByItself(backup: Backup, policy: Policy, nowMs: number, standings: Standings, keep: Keep): void {
  const standing = standings.of(backup);
  if (backup.pinned) {
    keep(
      backup,
      backup.state === 'available' ? 'it is pinned' : `it is pinned, although it is ${backup.state}`,
    );
  }
  if (standing === 'running') keep(backup, 'it is still running: a running backup is never obsolete');
  const limit = orphanLimit(policy, nowMs);
  if (standing === 'orphan' && limit !== null && finishedMs(backup) > limit) {
    keep(backup, `orphan window of ${policy.orphanDays} days: it finished after ${showInstant(limit)}`);
  }
}

/** Before it, what belongs to an ORPHAN is too old to keep; null: there is no orphan window. */
function orphanLimit({ orphanDays }: Policy, nowMs: number): number | null {
  return orphanDays > 0 ? nowMs - orphanDays * dayMs : null;
}

/** A base is never obsolete before what stands on it. */
function keepBases(catalog: Catalog, keeping: ReadonlyMap<string, unknown>, keep: Keep): void {
  const byLabel = new Map(catalog.backups.map((backup) => [backup.label, backup]));
  const queue = catalog.backups.filter(({ label }) => keeping.has(label));
  const reached = new Set<string>();
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (reached.has(next.label)) continue;
    reached.add(next.label);
    for (const label of next.requires ?? []) {
      const base = byLabel.get(label)!; // checkCatalog found it
      keep(base, `${next.label} stands on it and is kept`);
      queue.push(base);
    }
  }
}

function whyObsolete(backup: Backup, standings: Standings, policy: Policy): string {
  switch (standings.of(backup)) {
    case 'gone':
      return `it is ${backup.state} and not pinned`;
    case 'orphan': {
      const window =
        policy.orphanDays > 0
          ? `finished before the orphan window of ${policy.orphanDays} days`
          : 'there is no orphan window';
      return `it does not serve the CURRENT incarnation (incarnation ${backup.incarnation} was left, or it is consistent only after the branch), and ${window}`;
    }
    case 'unusable':
      return 'the archived logs it needs have a gap, or what it stands on is gone, and a usable one finished later';
    case 'usable':
    case 'running':
      return `newer ones fulfil redundancy ${policy.redundancy} and the window of ${policy.windowDays} days`;
  }
}
