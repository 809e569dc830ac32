import type { Incarnation } from '../../recovery/catalog.ts';
import { asPosition, type Position } from '../../recovery/position.ts';
import type { ControlFileRows, RowOf } from './control-file.ts';
import type { ServerClock } from './clock.ts';
import { readNumber, readScn } from './values.ts';

/** What makes an incarnation what it is: keys may come back with another content after an older control file was restored. */
interface Resetlogs {
  resetlogs: string | null;
  resetlogsTime: string | null;
}

export interface IncarnationTree {
  incarnations: Incarnation[];
  current: number;
  /** The incarnation of a record; one that the control file no longer lists is added as an ORPHAN of its own. */
  idOf: (record: Resetlogs) => number;
  warnings: string[];
}

const keyOf = ({ resetlogs, resetlogsTime }: Resetlogs): string =>
  `${resetlogs ?? ''}@${resetlogsTime ?? ''}`;

/** V$DATABASE_INCARNATION as a tree. The parent is found by its own RESETLOGS, which is sure, before its key, which is not. */
export function readIncarnations(rows: ControlFileRows, clock: ServerClock): IncarnationTree {
  const where = 'V$DATABASE_INCARNATION';
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  const warnings: string[] = [];
  const freshId = (): number => Math.max(0, ...taken) + 1;
  const add = (row: Resetlogs, wanted: number): number => {
    const id = taken.has(wanted) ? freshId() : wanted;
    taken.add(id);
    ids.set(keyOf(row), id);
    return id;
  };
  for (const row of rows.incarnations) add(row, readNumber(row.id, `${where}.INCARNATION#`));
  const incarnations = rows.incarnations.map((row): Incarnation => ({
    id: ids.get(keyOf(row)) ?? 0, // added above
    parent: findParent(row, ids),
    branchPosition: readScn(row.resetlogs, `${where}.RESETLOGS_CHANGE#`),
    openedAt: clock.toInstant(row.resetlogsTime),
  }));
  const find = (record: Resetlogs): number => {
    const known = ids.get(keyOf(record));
    if (known !== undefined) return known;
    const id = add(record, freshId());
    const branchPosition = readScn(record.resetlogs, 'RESETLOGS_CHANGE#');
    incarnations.push({ id, parent: null, branchPosition, openedAt: clock.toInstant(record.resetlogsTime) });
    warnings.push(
      `records of an incarnation opened at ${branchPosition} (${record.resetlogsTime ?? 'no time'}) are there, but V$DATABASE_INCARNATION does not list it: taken as ORPHAN ${id}`,
    );
    return id;
  };
  // Records of one incarnation stand together: 100 000 logs ask for the same one.
  let last: (Resetlogs & { id: number }) | undefined;
  const idOf = ({ resetlogs, resetlogsTime }: Resetlogs): number => {
    if (last === undefined || last.resetlogs !== resetlogs || last.resetlogsTime !== resetlogsTime)
      last = { resetlogs, resetlogsTime, id: find({ resetlogs, resetlogsTime }) };
    return last.id;
  };
  return { incarnations, current: findCurrent(rows, ids, idOf), idOf, warnings };
}

function findParent(row: RowOf<'incarnations'>, ids: ReadonlyMap<string, number>): number | null {
  const prior = { resetlogs: row.priorResetlogs, resetlogsTime: row.priorResetlogsTime };
  const byIdentity = ids.get(keyOf(prior));
  if (byIdentity !== undefined) return byIdentity;
  const key = row.prior === null ? 0 : Number(row.prior);
  return key > 0 && [...ids.values()].includes(key) && row.priorResetlogs !== '0' ? key : null;
}

/** The database says itself which RESETLOGS it lives on; STATUS says it in words only as long as it is mounted whole. */
function findCurrent(
  { database, incarnations }: ControlFileRows,
  ids: ReadonlyMap<string, number>,
  idOf: IncarnationTree['idOf'],
): number {
  const [own] = database;
  const marked = incarnations.find(({ status }) => status === 'CURRENT');
  if (own !== undefined && (ids.has(keyOf(own)) || marked === undefined)) return idOf(own);
  return marked === undefined ? 0 : idOf(marked);
}

/** The incarnation of the path root → `current` on which `position` lies. */
export function ownerOnPath(
  incarnations: readonly Incarnation[],
  current: number,
  position: Position,
): number {
  const byId = new Map(incarnations.map((one) => [one.id, one]));
  let at = byId.get(current);
  while (at !== undefined && at.parent !== null && position < at.branchPosition) at = byId.get(at.parent);
  return at?.id ?? current;
}

/** The ids from `from` up to its root, `from` first, each with the position up to which it is valid on the way. */
export function pathUp(incarnations: readonly Incarnation[], from: number): ReadonlyMap<number, Position> {
  const byId = new Map(incarnations.map((one) => [one.id, one]));
  const path = new Map<number, Position>();
  let cut = asPosition((1n << 64n) - 1n);
  for (let at = byId.get(from); at !== undefined && !path.has(at.id);) {
    path.set(at.id, cut);
    cut = at.branchPosition;
    at = at.parent === null ? undefined : byId.get(at.parent);
  }
  return path;
}
