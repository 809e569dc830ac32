import type { LogName } from '../recovery/answer.ts';
import type { Backup, Catalog, Incarnation } from '../recovery/catalog.ts';
import { instantOf } from '../recovery/instant.ts';
import type { Lineage } from '../recovery/lineage.ts';
import { tracePath } from '../recovery/lineage.ts';
import type { Position } from '../recovery/position.ts';

/** What the kept backups and the logs of one incarnation say. */
interface Holding {
  /** Kept backups that can be rolled forward. */
  kept: Backup[];
  /** Lowest start kept on it or on a descendant. */
  below: Position | null;
  /** A log of it, or of a descendant, is younger than the orphan window allows to abandon. */
  young: boolean;
}

type Holdings = ReadonlyMap<number, Holding>;

/**
 * A19: one mark for each incarnation. `orphanLimitMs`: logs that end after it keep an ORPHAN from being
 * abandoned; null: they never do.
 */
export function findLowWaterMarks(
  catalog: Catalog,
  lineage: Lineage,
  kept: readonly Backup[],
  orphanLimitMs: number | null,
): LowWaterMark[] {
  const holdings = hold(catalog, kept, orphanLimitMs);
  const order = listParentsFirst(lineage);
  for (const incarnation of order.toReversed()) addToParent(holdings, incarnation);
  const currentPath = tracePath(lineage, catalog.currentIncarnation);
  const above = new Map<number, Position | null>();
  for (const incarnation of order) above.set(incarnation.id, lowestAbove(holdings, above, incarnation));
  return catalog.incarnations.map(({ id }) => {
    const { below, young } = holdings.get(id)!; // there is one for each incarnation
    const abandoned = !currentPath.depthOf.has(id) && below === null && !young;
    return { incarnation: id, position: abandoned ? null : lower(below, above.get(id)!), abandoned };
  });
}

function hold(catalog: Catalog, kept: readonly Backup[], orphanLimitMs: number | null): Holdings {
  const holdings: Map<number, Holding> = new Map();
  for (const { id } of catalog.incarnations) holdings.set(id, { kept: [], below: null, young: false });
  for (const backup of kept) {
    if (backup.kind === 'export') continue;
    const holding = holdings.get(backup.incarnation)!; // there is one for each incarnation
    holding.kept.push(backup);
    holding.below = lower(holding.below, backup.start);
  }
  if (orphanLimitMs === null) return holdings;
  for (const { incarnation, nextTime } of catalog.logs) {
    const holding = holdings.get(incarnation)!; // as above
    holding.young ||= (instantOf(nextTime) ?? Infinity) > orphanLimitMs;
  }
  return holdings;
}

/** Positions rise along every path, so that a parent begins before its children. */
function listParentsFirst({ byId }: Lineage): Incarnation[] {
  return [...byId.values()].sort((a, b) => (a.branchPosition < b.branchPosition ? -1 : 1));
}

function addToParent(holdings: Holdings, { id, parent: parentId }: Incarnation): void {
  if (parentId === null) return;
  const parent = holdings.get(parentId)!; // there is one for each incarnation
  const { below, young } = holdings.get(id)!; // as above
  parent.below = lower(parent.below, below);
  parent.young ||= young;
}

/** Lowest start kept on an ancestor and consistent before the path to `child` leaves that ancestor. */
function lowestAbove(
  holdings: Holdings,
  above: ReadonlyMap<number, Position | null>,
  { parent, branchPosition }: Incarnation,
): Position | null {
  if (parent === null) return null;
  let lowest = above.get(parent) ?? null;
  for (const { start, consistentFrom } of holdings.get(parent)!.kept) {
    if (consistentFrom !== null && consistentFrom <= branchPosition) lowest = lower(lowest, start);
  }
  return lowest;
}

function lower(a: Position | null, b: Position | null): Position | null {
  if (a === null) return b;
  return b !== null && b < a ? b : a;
}

/** A19 and A21: sorted by incarnation, thread and sequence; a name only when every record of it may go. */
export function findDeletableLogs(catalog: Catalog, marks: readonly LowWaterMark[]): LogName[] {
  const markOf = new Map(marks.map((mark) => [mark.incarnation, mark]));
  const groups = new Map<string, { incarnation: number; thread: number; mayGo: Map<number, boolean> }>();
  for (const { incarnation, thread, sequence, next } of catalog.logs) {
    const { abandoned, position } = markOf.get(incarnation)!; // there is one for each incarnation
    const key = `${incarnation}/${thread}`;
    const group = groups.get(key) ?? { incarnation, thread, mayGo: new Map<number, boolean>() };
    groups.set(key, group);
    const goes = abandoned || (position !== null && next <= position);
    group.mayGo.set(sequence, goes && group.mayGo.get(sequence) !== false);
  }
  return [...groups.values()]
    .sort((a, b) => a.incarnation - b.incarnation || a.thread - b.thread)
    .flatMap(({ incarnation, thread, mayGo }) =>
      [...mayGo]
        .filter(([, goes]) => goes)
        .sort(([a], [b]) => a - b)
        .map(([sequence]) => ({ incarnation, thread, sequence })),
    );
}

export interface LowWaterMark {
  incarnation: number;
  /** Logs that end at or below it may go; null: nothing is kept here. */
  position: Position | null;
  /** Nothing needs this ORPHAN any more: all its logs may go (A19). */
  abandoned: boolean;
}
