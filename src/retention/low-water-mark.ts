import type { LogName } from '../recovery/answer.ts';
import type { ArchivedLog, Backup, Catalog } from '../recovery/catalog.ts';
import type { Lineage } from '../recovery/lineage.ts';
import { tracePath } from '../recovery/lineage.ts';
import type { Position } from '../recovery/position.ts';
import { instantOf } from '../recovery/resolve-time.ts';
import type { LowWaterMark } from './retention.ts';

/** What the kept backups and the logs of one incarnation say. */
interface Holding {
  /** Kept backups that can be rolled forward. */
  kept: Backup[];
  /** Lowest start kept on it or on a descendant. */
  below: Position | null;
  /** A log of it, or of a descendant, is younger than the orphan window allows to abandon. */
  young: boolean;
}

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
  for (const id of order.toReversed()) addToParent(lineage, holdings, id);
  const currentPath = tracePath(lineage, catalog.currentIncarnation);
  const above = new Map<number, Position | null>();
  for (const id of order) above.set(id, lowestAbove(lineage, holdings, above, id));
  return catalog.incarnations.map(({ id }) => {
    const { below, young } = holdings.get(id)!; // there is one for each incarnation
    const abandoned = !currentPath.depthOf.has(id) && below === null && !young;
    return { incarnation: id, position: abandoned ? null : lower(below, above.get(id) ?? null), abandoned };
  });
}

function hold(catalog: Catalog, kept: readonly Backup[], orphanLimitMs: number | null): Map<number, Holding> {
  const holdings = new Map<number, Holding>();
  for (const { id } of catalog.incarnations) holdings.set(id, { kept: [], below: null, young: false });
  for (const backup of kept) {
    const holding = holdings.get(backup.incarnation);
    if (holding === undefined || backup.kind === 'export' || backup.start === null) continue;
    holding.kept.push(backup);
    holding.below = lower(holding.below, backup.start);
  }
  if (orphanLimitMs === null) return holdings;
  for (const { incarnation, nextTime } of catalog.logs) {
    const holding = holdings.get(incarnation);
    if (holding === undefined || holding.young) continue;
    const ended = instantOf(nextTime);
    if (ended === null || ended > orphanLimitMs) holding.young = true;
  }
  return holdings;
}

function listParentsFirst({ byId, childrenOf }: Lineage): number[] {
  const order = [...byId.values()].filter(({ parent }) => parent === null).map(({ id }) => id);
  for (let index = 0; index < order.length; index += 1) {
    for (const { id } of childrenOf.get(order[index]!) ?? []) order.push(id); // below the length
  }
  return order;
}

function addToParent({ byId }: Lineage, holdings: ReadonlyMap<number, Holding>, id: number): void {
  const parent = holdings.get(byId.get(id)?.parent ?? 0);
  const holding = holdings.get(id);
  if (parent === undefined || holding === undefined) return;
  parent.below = lower(parent.below, holding.below);
  parent.young ||= holding.young;
}

/** Lowest start kept on an ancestor and consistent before the path to `id` leaves that ancestor. */
function lowestAbove(
  { byId }: Lineage,
  holdings: ReadonlyMap<number, Holding>,
  above: ReadonlyMap<number, Position | null>,
  id: number,
): Position | null {
  const { parent, branchPosition } = byId.get(id)!; // the order holds known incarnations only
  if (parent === null) return null;
  let lowest = above.get(parent) ?? null;
  for (const { start, consistentFrom } of holdings.get(parent)?.kept ?? []) {
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
  const mayGo = ({ incarnation, next }: ArchivedLog): boolean => {
    const mark = markOf.get(incarnation);
    return mark !== undefined && (mark.abandoned || (mark.position !== null && next <= mark.position));
  };
  const goes = new Map<string, { incarnation: number; thread: number; sequences: Set<number> }>();
  const keyOf = ({ incarnation, thread }: ArchivedLog): string => `${incarnation}/${thread}`;
  for (const log of catalog.logs) {
    if (!mayGo(log)) continue;
    const { incarnation, thread, sequence } = log;
    const group = goes.get(keyOf(log));
    if (group === undefined) goes.set(keyOf(log), { incarnation, thread, sequences: new Set([sequence]) });
    else group.sequences.add(sequence);
  }
  for (const log of catalog.logs) if (!mayGo(log)) goes.get(keyOf(log))?.sequences.delete(log.sequence);
  return [...goes.values()]
    .sort((a, b) => a.incarnation - b.incarnation || a.thread - b.thread)
    .flatMap(({ incarnation, thread, sequences }) =>
      [...sequences].sort((a, b) => a - b).map((sequence) => ({ incarnation, thread, sequence })),
    );
}
