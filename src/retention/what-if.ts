import type { Catalog } from '../recovery/catalog.ts';
import { ClonaError } from '../errors.ts';
import { asPosition, showPosition, type Position } from '../recovery/position.ts';
import { findCandidates, startSearch } from '../recovery/search.ts';
import type { Reach } from '../recovery/serve.ts';

/** Targets of one incarnation, both ends included. */
export interface Stretch {
  incarnation: number;
  from: Position;
  to: Position;
}

export interface WhatIf {
  /** The backups asked for, and those that stand on them. */
  removed: string[];
  /** Targets that can be reached now and could not be then. */
  lost: Stretch[];
}

/**
 * What-if of `clona retention --remove LABEL`: which targets would become unreachable without these backups and without
 * those that stand on them (`requires`). Throws `questionInvalid` for a label that is not in the catalog.
 */
export function whatIfRemoved(catalog: Catalog, labels: readonly string[]): WhatIf {
  for (const label of labels) {
    if (catalog.backups.some((backup) => backup.label === label)) continue;
    throw new ClonaError('questionInvalid', `there is no backup "${label}" in the catalog`);
  }
  const removed = withDependents(catalog, labels);
  const rest = { ...catalog, backups: catalog.backups.filter(({ label }) => !removed.has(label)) };
  const lost = catalog.incarnations.flatMap(({ id, parent, branchPosition }) => {
    // Up to the branch position a target is the parent's (PLANNER.md A1), and is told there.
    const lowest = parent === null ? asPosition(0n) : asPosition(branchPosition + 1n);
    const then = reachable(rest, id);
    return reachable(catalog, id)
      .flatMap((reach) => without(reach, then))
      .filter(({ to }) => to >= lowest)
      .map(({ from, to }) => ({ incarnation: id, from: from < lowest ? lowest : from, to }));
  });
  return { removed: [...removed].sort(), lost };
}

export function explainWhatIf({ engine }: Pick<Catalog, 'engine'>, { removed, lost }: WhatIf): string {
  const title = `without ${removed.join(', ')}:`;
  if (lost.length === 0) return `${title} every target that can be reached now still could be`;
  const lines = lost.map(({ incarnation, from, to }) => {
    const stretch =
      from === to
        ? showPosition(engine, from)
        : `${showPosition(engine, from)} to ${showPosition(engine, to)}`;
    return `  incarnation ${incarnation}: ${stretch}`;
  });
  return [title, 'these targets could not be reached any more:', ...lines].join('\n');
}

/** The document of `clona retention --remove LABEL --json`: positions become decimal strings. */
export function whatIfToJson({ removed, lost }: WhatIf): Record<string, unknown> {
  return { removed, lost: lost.map((one) => ({ ...one, from: String(one.from), to: String(one.to) })) };
}

function withDependents(catalog: Catalog, labels: readonly string[]): ReadonlySet<string> {
  const removed = new Set(labels);
  for (let size = -1; size !== removed.size;) {
    size = removed.size;
    for (const { label, requires } of catalog.backups) {
      if (requires?.some((base) => removed.has(base)) === true) removed.add(label);
    }
  }
  return removed;
}

/** The union of what the backups reach along the path of one incarnation, rising and disjoint. */
function reachable(catalog: Catalog, incarnation: number): Reach[] {
  const until = { kind: 'incarnation' as const, incarnation, position: null };
  const reaches = findCandidates(startSearch(catalog, { until, lost: 'database' })).map(({ reach }) => reach);
  const merged: Reach[] = [];
  // Of those that begin together any may come first.
  for (const reach of reaches.sort((a, b) => (a.from < b.from ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || reach.from > last.to + 1n) merged.push({ ...reach });
    else if (reach.to > last.to) last.to = reach.to;
  }
  return merged;
}

/** The parts of one stretch that no stretch of `others` (rising and disjoint) holds. */
function without({ from, to }: Reach, others: readonly Reach[]): Reach[] {
  const parts: Reach[] = [];
  let at = from;
  for (const other of others) {
    if (other.to < at || other.from > to) continue;
    if (other.from > at) parts.push({ from: at, to: asPosition(other.from - 1n) });
    at = asPosition(other.to + 1n);
  }
  return at > to ? parts : [...parts, { from: at, to }];
}
