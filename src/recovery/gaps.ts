import type { Catalog } from './catalog.ts';
import { readLineage, tracePath, type Path } from './lineage.ts';
import { cutAt, lower, upper, type Position } from './position.ts';
import { isWhole, liesOn, lowOf } from './serve.ts';
import { sortByFirst } from './sort-by-first.ts';

/** A stretch of redo that neither an archived log nor the online log holds. */
export interface LogGap {
  /** Whose redo it is. */
  incarnation: number;
  thread: number;
  from: Position;
  /** Exclusive. */
  to: Position;
}

/**
 * Every hole in the log on the way to any incarnation: between logs, where one is missing or damaged, before the first that a
 * backup needs, and between a parent's last log and its child's branch (R1, R2). What was removed below the low water
 * mark is none: no backup that is there needs it. Ways that leave an incarnation at different branches see different ends of
 * one hole: it is told once, with all of it. By incarnation, thread and position; n log n in the number of logs.
 */
export function findGaps(catalog: Catalog): LogGap[] {
  const lineage = readLineage(catalog);
  const logs = readThreads(catalog);
  const found = catalog.incarnations.flatMap(({ id }) => gapsOnPath(catalog, tracePath(lineage, id), logs));
  const order = new Map(catalog.incarnations.map(({ id }, index) => [id, index]));
  return joinGaps(
    found.sort(
      (a, b) =>
        order.get(a.incarnation)! - order.get(b.incarnation)! || // every gap is of an incarnation of the catalog
        a.thread - b.thread ||
        (a.from < b.from ? -1 : 1),
    ),
  );
}

function joinGaps(sorted: readonly LogGap[]): LogGap[] {
  const joined: LogGap[] = [];
  for (const gap of sorted) {
    const last = joined.at(-1);
    const isSame = last?.incarnation === gap.incarnation && last.thread === gap.thread && gap.from <= last.to;
    if (isSame) joined[joined.length - 1] = { ...last, to: upper(last.to, gap.to) };
    else joined.push(gap);
  }
  return joined;
}

/** Those on the way to CURRENT. */
export function findCurrentGaps(catalog: Catalog): LogGap[] {
  const path = tracePath(readLineage(catalog), catalog.currentIncarnation);
  return gapsOnPath(catalog, path, readThreads(catalog));
}

interface Stretch {
  first: Position;
  next: Position;
}

/** What is known of one thread on one incarnation. */
interface ThreadLog {
  /** Joined where they touch, rising. */
  usable: Stretch[];
  /** From the lowest to the highest position of any log, there or not. */
  known: Stretch;
}

type Threads = ReadonlyMap<number, ReadonlyMap<number, ThreadLog>>;

function readThreads(catalog: Catalog): Threads {
  const all = new Map<number, Map<number, (Stretch & { usable: boolean })[]>>();
  const add = (
    incarnation: number,
    thread: number,
    first: Position,
    next: Position,
    usable: boolean,
  ): void => {
    if (first >= next) return;
    const threads = all.get(incarnation) ?? new Map<number, (Stretch & { usable: boolean })[]>();
    all.set(incarnation, threads);
    const list = threads.get(thread) ?? [];
    threads.set(thread, list);
    list.push({ first, next, usable });
  };
  for (const { incarnation, thread, first, next, state } of catalog.logs)
    add(incarnation, thread, first, next, state === 'available');
  // A5: only CURRENT's counts.
  for (const { incarnation, thread, first, end } of catalog.onlineLogs)
    if (incarnation === catalog.currentIncarnation) add(incarnation, thread, first, end, true);
  for (const { incarnation, thread, from, to } of catalog.idleThreads ?? []) {
    // One that goes on is no gap anywhere: nothing of it is known above.
    const own = all.get(incarnation)?.get(thread);
    if (own !== undefined && to !== null) add(incarnation, thread, from, to, true);
  }
  return new Map(
    [...all].map(([incarnation, threads]) => [
      incarnation,
      new Map(
        [...threads].map(([thread, list]) => [
          thread,
          {
            usable: join(list.filter(({ usable }) => usable)),
            known: spanOf(list),
          },
        ]),
      ),
    ]),
  );
}

function join(stretches: readonly Stretch[]): Stretch[] {
  const joined: Stretch[] = [];
  for (const { first, next } of sortByFirst(stretches)) {
    const last = joined.at(-1);
    if (last !== undefined && first <= last.next) last.next = upper(last.next, next);
    else joined.push({ first, next });
  }
  return joined;
}

function gapsOnPath(catalog: Catalog, path: Path, threads: Threads): LogGap[] {
  const need = needOn(catalog, path);
  const names = new Set(path.incarnations.flatMap(({ id }) => [...(threads.get(id)?.keys() ?? [])]));
  return [...names]
    .sort((a, b) => a - b)
    .flatMap((thread) => {
      const parts = path.incarnations.flatMap(({ id }, depth) => {
        const log = threads.get(id)?.get(thread);
        return log === undefined ? [] : [{ log, cut: path.cuts[depth] ?? null }];
      });
      const known = parts.flatMap(({ log, cut }) => cutStretch(log.known, cut));
      const usable = join(parts.flatMap(({ log, cut }) => log.usable.flatMap((one) => cutStretch(one, cut))));
      return holesIn(usable, known, need).flatMap((hole) => ownersOf(path, hole, thread));
    });
}

function cutStretch({ first, next }: Stretch, cut: Position | null): Stretch[] {
  const end = cutAt(next, cut);
  return first < end ? [{ first, next: end }] : [];
}

/** The lowest position whose redo a backup that is there needs on this path; null: there is none. */
function needOn(catalog: Catalog, path: Path): Position | null {
  let need: Position | null = null;
  for (const backup of catalog.backups) {
    if (backup.state !== 'available' || !isWhole(backup) || !liesOn(path, backup)) continue;
    const low = lowOf(backup);
    need = need === null ? low : lower(need, low);
  }
  return need;
}

function spanOf(stretches: readonly Stretch[]): Stretch {
  return stretches.reduce((a, b) => ({ first: lower(a.first, b.first), next: upper(a.next, b.next) }));
}

/** Rising; empty ones among them, which belong to nobody. */
function holesIn(usable: readonly Stretch[], known: readonly Stretch[], need: Position | null): Stretch[] {
  if (known.length === 0) return [];
  const { first, next: high } = spanOf(known);
  const holes: Stretch[] = [];
  let at = need === null ? first : lower(need, first);
  for (const stretch of usable) {
    holes.push({ first: at, next: stretch.first });
    at = stretch.next;
  }
  return [...holes, { first: at, next: high }];
}

/** A hole that reaches over a branch is one of the parent and one of the child. */
function ownersOf(path: Path, { first, next }: Stretch, thread: number): LogGap[] {
  return path.incarnations.flatMap(({ id, branchPosition }, depth) => {
    const from = depth === 0 ? first : upper(first, branchPosition);
    const to = cutAt(next, path.cuts[depth] ?? null);
    return from < to ? [{ incarnation: id, thread, from, to }] : [];
  });
}
