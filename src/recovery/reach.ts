import type { Backup, Catalog } from './catalog.ts';
import { readCoverage } from './coverage.ts';
import { readLineage, tracePath } from './lineage.ts';
import { planRecovery } from './plan.ts';
import type { Position } from './position.ts';
import { findBroken, reachOf } from './serve.ts';

/** What an archive can bring back on CURRENT's path by its own logs alone: the online log counts as lost. */
export interface Reach {
  /** "latest" (R3), and the backup from which; null: nothing can be reached. */
  newest: { position: Position; backup: string } | null;
  /** The lowest position that some backup serves. */
  oldest: { position: Position; backup: string } | null;
  /** The newest end of a backup that was restored and opened (grade 3 or better, R15). */
  newestProven: { position: Position; backup: string; grade: number } | null;
  /** How far the proven backups reach with the log. */
  newestProvable: Position | null;
}

const openedGrade = 3;

export function readReach(catalog: Catalog): Reach {
  const latest = reachLatest(catalog);
  const path = tracePath(readLineage(catalog), catalog.currentIncarnation);
  const coverage = readCoverage(catalog, path, 'online-log');
  const broken = findBroken(catalog.backups);
  const serving = catalog.backups
    .filter((one) => one.state === 'available' && !broken.has(one.label))
    .filter((one) => reachOf(one, coverage, 'archived') !== null)
    // Rising: the first is the oldest.
    .sort((a, b) => (endOf(a) < endOf(b) ? -1 : 1));
  const [oldest] = serving;
  const proven = serving.filter(({ grade }) => grade !== null && grade >= openedGrade);
  const newestProven = proven.at(-1);
  return {
    newest: latest,
    oldest: oldest === undefined ? null : { position: endOf(oldest), backup: oldest.label },
    newestProven:
      newestProven === undefined
        ? null
        : { position: endOf(newestProven), backup: newestProven.label, grade: newestProven.grade! }, // filtered above
    // What they stand on is there, else they would not serve.
    newestProvable: reachLatest({ ...catalog, backups: proven })?.position ?? null,
  };
}

function endOf({ consistentFrom }: Backup): Position {
  return consistentFrom!; // liesOn is false without
}

function reachLatest(catalog: Catalog): Reach['newest'] {
  const { backup, redoTo } = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' });
  // Both or neither: a target that is reached by redo.
  return backup !== null && redoTo !== null ? { position: redoTo, backup } : null;
}

/** As JSON: positions are decimal strings. */
export function reachToJson({
  newest,
  oldest,
  newestProven,
  newestProvable,
}: Reach): Record<string, unknown> {
  const show = (one: { position: Position } | null): unknown =>
    one === null ? null : { ...one, position: String(one.position) };
  return {
    newest: show(newest),
    oldest: show(oldest),
    newestProven: show(newestProven),
    newestProvable: newestProvable === null ? null : String(newestProvable),
  };
}
