import type { ArchivedLog, Backup, Catalog, Incarnation } from '../../recovery/catalog.ts';
import { checkCatalog } from '../../recovery/check-catalog.ts';
import { toInstant } from '../../recovery/instant.ts';
import type { Position } from '../../recovery/position.ts';

export interface MergedCatalog {
  catalog: Catalog;
  /** Labels that only we remember: the control file has used their records again. */
  forgotten: string[];
  /** What does not fit together: one sentence each. */
  warnings: string[];
}

/**
 * The control file as it is now, and what an earlier reading showed: its records are used again after
 * CONTROL_FILE_RECORD_KEEP_TIME days, the backups are still on their disk. What both know is as the control file says it,
 * but for the grade, which only clona knows (a pin is RMAN's KEEP). What it forgot stays as it was last seen, so that no low water mark rises for
 * having been forgotten. Backups that were running then are not taken over, nor is the online log.
 */
export function mergeRemembered(live: Catalog, remembered: Catalog): MergedCatalog {
  const { incarnations, idOf } = mergeIncarnations(live, remembered);
  const seen = new Map(remembered.backups.map((backup) => [backup.label, backup]));
  const known = new Set(live.backups.map(({ label }) => label));
  const backups = live.backups.map((backup) => withOwnFacts(backup, seen.get(backup.label)));
  const kept = remembered.backups
    .filter(({ label, finishedAt, state }) => !known.has(label) && finishedAt !== null && state !== 'missing')
    .map((backup) => ({ ...backup, incarnation: idOf(backup.incarnation) }));
  const all = dropDangling([...kept, ...backups]);
  const oldLogs = remembered.logs.map((log) => {
    const incarnation = idOf(log.incarnation);
    return incarnation === log.incarnation ? log : { ...log, incarnation };
  });
  const firsts = new Map(live.logs.map((log) => [nameOf(log), log.first]));
  const nowFrom = oldLogs.map((log) => firsts.get(nameOf(log)));
  const logs = mergeLogs(live.logs, oldLogs, nowFrom, lowestStart(all));
  const catalog: Catalog = { ...live, incarnations, backups: all, logs };
  checkCatalog(catalog);
  // What RMAN did not make the control file never knew.
  const forgotten = kept
    .filter(({ kind, label }) => kind === 'managed' || (kind === 'cold' && !label.startsWith('cold_')))
    .map(({ label }) => label);
  return { catalog, forgotten, warnings: warnOfRevert(live, oldLogs, nowFrom) };
}

function withOwnFacts(backup: Backup, old: Backup | undefined): Backup {
  if (old === undefined) return backup;
  return { ...backup, grade: old.grade ?? backup.grade };
}

/**
 * R20: a machine that was reverted, or a control file that was restored, stands before what was archived already, and archives
 * other content under the same names until it opens with RESETLOGS.
 */
function warnOfRevert(live: Catalog, remembered: readonly ArchivedLog[], nowFrom: NowFrom): string[] {
  const { currentIncarnation } = live;
  const ends = [
    ...live.onlineLogs.filter(({ incarnation }) => incarnation === currentIncarnation).map(({ end }) => end),
    ...live.logs.filter(({ incarnation }) => incarnation === currentIncarnation).map(({ next }) => next),
  ];
  if (ends.length === 0) return [];
  const end = ends.reduce((a, b) => (a > b ? a : b));
  const ahead = remembered.filter(
    ({ incarnation, next }) => incarnation === currentIncarnation && next > end,
  );
  const highest = ahead.reduce<Position>((a, { next }) => (next > a ? next : a), end);
  const other = remembered.filter((log, index) => (nowFrom[index] ?? log.first) !== log.first);
  const mend = 'it was reverted or restored, and must open with RESETLOGS before it archives (R20)';
  return [
    ...(ahead.length === 0
      ? []
      : [
          `the server stands at ${end} of incarnation ${currentIncarnation}, its archived log was seen up to ${highest}: ${mend}`,
        ]),
    ...(other.length === 0
      ? []
      : [
          `${other.length} logs have another content than the one that was seen under their names, ${nameOf(other[0]!)} (incarnation/thread/sequence) first: ${mend}`, // not empty
        ]),
  ];
}

/** For each remembered log: where the control file's log of the same name begins; undefined: it has none. */
type NowFrom = readonly (Position | undefined)[];

const nameOf = ({ incarnation, thread, sequence }: ArchivedLog): string =>
  `${incarnation}/${thread}/${sequence}`;

/** By (resetlogs SCN, resetlogs time): the same key may mean another incarnation after an older control file came back. */
function mergeIncarnations(
  live: Catalog,
  remembered: Catalog,
): { incarnations: Incarnation[]; idOf: (id: number) => number } {
  const taken = new Set(live.incarnations.map(({ id }) => id));
  const ids = new Map<number, number>();
  const added: Incarnation[] = [];
  const parents = new Map<number, number | null>();
  for (const one of remembered.incarnations) {
    const same = findSame(live.incarnations, one);
    if (same === undefined) {
      const id = taken.has(one.id) ? Math.max(...taken) + 1 : one.id;
      taken.add(id);
      ids.set(one.id, id);
      added.push({ ...one, id });
    } else {
      ids.set(one.id, same.id);
      parents.set(same.id, one.parent);
    }
  }
  const idOf = (id: number): number => ids.get(id) ?? id;
  const remade = live.incarnations.map((one) => {
    // A parent that the control file has forgotten is still the parent.
    const parent = one.parent === null ? (parents.get(one.id) ?? null) : null;
    return parent === null ? one : { ...one, parent: idOf(parent) };
  });
  const old = added.map((one) => ({ ...one, parent: one.parent === null ? null : idOf(one.parent) }));
  return { incarnations: [...remade, ...old].sort((a, b) => a.id - b.id), idOf };
}

/** The control file's times have no zone: read with another offset (summer, winter, a zone named since) they are shifted. */
function findSame(live: readonly Incarnation[], one: Incarnation): Incarnation | undefined {
  const candidates = live.filter(({ branchPosition }) => branchPosition === one.branchPosition);
  return (
    candidates.find(({ openedAt }) => openedAt === one.openedAt) ??
    candidates.find(({ openedAt }) => isShift(openedAt, one.openedAt))
  );
}

function isShift(a: string | null, b: string | null): boolean {
  if (a === null || b === null) return a === b;
  const apart = Math.abs((toInstant(a) ?? 0) - (toInstant(b) ?? 0));
  return apart <= 14 * 3_600_000 && apart % 900_000 === 0;
}

function mergeLogs(
  live: readonly ArchivedLog[],
  remembered: readonly ArchivedLog[],
  nowFrom: NowFrom,
  needed: Position | null,
): ArchivedLog[] {
  // What ends below every backup is of no use to any plan, and memory must not grow for ever.
  const kept = remembered.filter(
    (log, index) => nowFrom[index] === undefined && (needed === null || log.next > needed),
  );
  return [...kept, ...live];
}

function lowestStart(backups: readonly Backup[]): Position | null {
  return backups.reduce<Position | null>((low, { start }) => {
    if (start === null) return low;
    return low === null || start < low ? start : low;
  }, null);
}

/** A base that neither knows any more: what stands on it cannot be restored, and is said to miss something. */
function dropDangling(backups: Backup[]): Backup[] {
  const labels = new Set(backups.map(({ label }) => label));
  return backups.map((backup) => {
    const { requires = [] } = backup;
    if (requires.every((label) => labels.has(label))) return backup;
    return { ...backup, state: 'missing', requires: requires.filter((label) => labels.has(label)) };
  });
}
