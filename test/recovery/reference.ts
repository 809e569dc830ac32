import type { Backup, Catalog } from '../../src/recovery/catalog.ts';

/**
 * The settled details once more, word by word and position by position: no index, no interval arithmetic, only
 * loops over catalogs whose positions are small. It shares nothing with src/ but the types.
 */
export type LostWord = 'database' | 'online-log' | 'all-logs' | 'everything';

export const highest = 64;

interface Target {
  /** The incarnation whose path is asked for. */
  path: number[];
  lost: LostWord;
  catalog: Catalog;
}

export function pathOf(catalog: Catalog, id: number): number[] {
  const found = catalog.incarnations.find((one) => one.id === id)!;
  return found.parent === null ? [id] : [...pathOf(catalog, found.parent), id];
}

export function branchOf(catalog: Catalog, id: number): number {
  return Number(catalog.incarnations.find((one) => one.id === id)!.branchPosition);
}

export function cutIn(catalog: Catalog, path: number[], id: number): number {
  const child = path[path.indexOf(id) + 1];
  return child === undefined ? Infinity : branchOf(catalog, child);
}

/** R1 */
function holds(
  target: Target,
  log: { incarnation: number; first: bigint; to: bigint },
  position: number,
): boolean {
  const { catalog, path } = target;
  return (
    path.includes(log.incarnation) &&
    Number(log.first) <= position &&
    position < Math.min(Number(log.to), cutIn(catalog, path, log.incarnation))
  );
}

function records(target: Target, which: 'known' | 'usable' | 'archived') {
  const { catalog, lost } = target;
  const logs = catalog.logs
    .filter(
      (log) => which === 'known' || (log.state === 'available' && !['all-logs', 'everything'].includes(lost)),
    )
    .map((log) => ({ ...log, to: log.next }));
  const online = catalog.onlineLogs
    .filter((log) => log.incarnation === catalog.currentIncarnation)
    .filter(() => which === 'known' || (which === 'usable' && lost === 'database'))
    .map((log) => ({ ...log, to: log.end }));
  return [...logs, ...online];
}

function isEmpty(target: Target, log: { incarnation: number; first: bigint; to: bigint }): boolean {
  return !holds(target, log, Number(log.first));
}

/** A4 */
function threads(target: Target, p: number): number[] {
  const known = records(target, 'known').filter((log) => !isEmpty(target, log) && Number(log.first) < p);
  return [...new Set(known.map(({ thread }) => thread))];
}

function covered(target: Target, low: number, p: number, which: 'usable' | 'archived'): boolean {
  if (low >= p) return true;
  const needed = threads(target, p);
  if (needed.length === 0) return false;
  const logs = records(target, which);
  for (const thread of needed) {
    for (let position = low; position < p; position += 1) {
      if (!logs.some((log) => log.thread === thread && holds(target, log, position))) return false;
    }
  }
  return true;
}

export function running(backup: Backup): boolean {
  return backup.consistentFrom === null || backup.finishedAt === null;
}

function wholeChain(catalog: Catalog, backup: Backup): boolean {
  return (backup.requires ?? []).every((label) => {
    const base = catalog.backups.find((one) => one.label === label)!;
    return base.state === 'available' && !running(base) && wholeChain(catalog, base);
  });
}

export function lowest(backup: Backup): number {
  return Number(backup.ownLog ? backup.consistentFrom : backup.start);
}

/** R2 */
export function serves(
  target: Target,
  backup: Backup,
  p: number,
  which: 'usable' | 'archived' = 'usable',
): boolean {
  const { catalog, path } = target;
  if (backup.kind === 'export' || backup.state !== 'available' || running(backup)) return false;
  if (!wholeChain(catalog, backup) || !path.includes(backup.incarnation)) return false;
  const consistent = Number(backup.consistentFrom);
  if (consistent > p || consistent > cutIn(catalog, path, backup.incarnation)) return false;
  if (Number(backup.start) === consistent && consistent === p) return true;
  return covered(target, lowest(backup), p, which);
}

function byRule4(p: number): (a: Backup, b: Backup) => number {
  const redo = (one: Backup): number => p - Number(one.start);
  return (a, b) =>
    redo(a) - redo(b) ||
    (b.grade ?? -1) - (a.grade ?? -1) ||
    Date.parse(b.finishedAt ?? '') - Date.parse(a.finishedAt ?? '') ||
    (a.label < b.label ? -1 : 1);
}

export interface ReferenceAnswer {
  reachable: boolean;
  incarnation: number;
  until: number | null;
  backup: string | null;
  logs: string[];
  usesOnlineLog: boolean;
  reset: number | null;
  opens: boolean;
  redoFrom: number | null;
  redoTo: number | null;
  below: number | null;
  above: number | null;
}

/** Asks for (path of `end`, p); p null: the highest reachable one. */
export function ask(
  catalog: Catalog,
  end: number,
  asked: number | null,
  lost: LostWord,
  only?: string,
): ReferenceAnswer {
  const path = pathOf(catalog, end);
  const target: Target = { catalog, path, lost };
  const backups = catalog.backups.filter(({ label }) => only === undefined || label === only);
  const reaches = (p: number): boolean => backups.some((backup) => serves(target, backup, p));
  const all = Array.from({ length: highest + 1 }, (_, p) => p).filter(reaches);
  const p = asked ?? all.at(-1) ?? null;
  if (p === null || !reaches(p)) {
    const near = asked !== null && only === undefined;
    return {
      reachable: false,
      incarnation: p === null ? end : stateOf(catalog, path, p),
      until: p,
      backup: null,
      logs: [],
      usesOnlineLog: false,
      reset: null,
      opens: false,
      redoFrom: null,
      redoTo: null,
      below: near ? (all.findLast((one) => one < asked) ?? null) : null,
      above: near ? (all.find((one) => one > asked) ?? null) : null,
    };
  }
  const chosen = backups.filter((backup) => serves(target, backup, p)).sort(byRule4(p))[0]!;
  const incarnation = stateOf(catalog, path, p);
  return {
    reachable: true,
    incarnation,
    until: p,
    backup: chosen.label,
    logs: logsOf(target, lowest(chosen), p),
    usesOnlineLog: !covered(target, lowest(chosen), p, 'archived'),
    reset: incarnation === catalog.currentIncarnation ? null : incarnation,
    opens: opens(catalog, incarnation, p, lost),
    redoFrom: Number(chosen.start),
    redoTo: p,
    below: null,
    above: null,
  };
}

/** A1 */
function stateOf(catalog: Catalog, path: number[], p: number): number {
  return path.findLast((id) => branchOf(catalog, id) < p) ?? path[0]!;
}

/** A7 */
function logsOf(target: Target, low: number, p: number): string[] {
  const names = new Set<string>();
  for (const log of target.catalog.logs) {
    if (log.state !== 'available' || ['all-logs', 'everything'].includes(target.lost)) continue;
    for (let position = low; position < p; position += 1) {
      if (holds(target, { ...log, to: log.next }, position)) {
        names.add(`${log.incarnation}/${log.thread}/${log.sequence}`);
      }
    }
  }
  return [...names].sort();
}

/** A3 */
function opens(catalog: Catalog, incarnation: number, p: number, lost: LostWord): boolean {
  const current = catalog.currentIncarnation;
  const online = catalog.onlineLogs.filter((log) => log.incarnation === current);
  const stays =
    catalog.engine === 'oracle' &&
    incarnation === current &&
    lost === 'database' &&
    online.length > 0 &&
    online.every(({ end }) => Number(end) <= p) &&
    catalog.logs.filter((log) => log.incarnation === current).every(({ next }) => Number(next) <= p);
  return !stays;
}

/** A13; 'none' when nothing is known at or before the time. */
export function positionOfTime(catalog: Catalog, instantMs: number): number | null {
  const path = pathOf(catalog, catalog.currentIncarnation);
  const target: Target = { catalog, path, lost: 'database' };
  const known = [
    ...catalog.logs.map((log) => ({ ...log, to: log.next, toTime: log.nextTime })),
    ...catalog.onlineLogs
      .filter((log) => log.incarnation === catalog.currentIncarnation)
      .map((log) => ({ ...log, to: log.end, toTime: log.endTime })),
  ].filter((log) => !isEmpty(target, log));
  const cut = (log: { incarnation: number }): number => cutIn(catalog, path, log.incarnation);
  const within = known.filter(
    ({ firstTime, toTime }) =>
      firstTime !== null &&
      toTime !== null &&
      Date.parse(firstTime) <= instantMs &&
      instantMs < Date.parse(toTime),
  );
  const deepest = path.findLast((id) => within.some(({ incarnation }) => incarnation === id));
  const positions = within
    .filter(({ incarnation }) => incarnation === deepest)
    .map((log) => {
      const from = Date.parse(log.firstTime!);
      const to = Date.parse(log.toTime!);
      const share = (Number(log.to - log.first) * (instantMs - from)) / (to - from);
      return Math.min(cut(log), Number(log.first) + Math.floor(share));
    });
  if (positions.length > 0) return Math.min(...positions);
  const before = known.filter(({ toTime }) => toTime !== null && Date.parse(toTime) <= instantMs);
  if (before.length === 0) return null;
  return Math.max(...before.map((log) => Math.min(cut(log), Number(log.to))));
}

/** Lowest reachable of CURRENT's path. */
export function lowestReachable(catalog: Catalog, lost: LostWord): number | null {
  const target: Target = { catalog, path: pathOf(catalog, catalog.currentIncarnation), lost };
  for (let p = 0; p <= highest; p += 1)
    if (catalog.backups.some((backup) => serves(target, backup, p))) return p;
  return null;
}
