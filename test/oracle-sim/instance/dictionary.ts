import { OraError, type Column } from '../wire/values.ts';
import { rowsFrom, type Given } from '../sql/fixtures.ts';
import type { Dictionary, Row, View } from '../sql/scope.ts';
import { viewColumns } from '../sql/view-columns.ts';
import { mayRead, type User } from './accounts.ts';
import type { Instance } from './instance.ts';
import type { GivenViews } from './given-views.ts';
import { openLink } from './outlets.ts';
import { findTable } from './tables.ts';
import { sessionRows } from './views-schema.ts';
import { viewRows } from './views.ts';

/** Everybody may read these. */
const forEverybody =
  /^(?:DUAL|ALL_.*|USER_.*|SESSION_.*|NLS_.*|DATABASE_PROPERTIES|V\$VERSION|V\$OPTION|V\$NLS_PARAMETERS|V\$SESSION_LONGOPS)$/;
/** Fixed views that need no control file. */
const withoutControlFile = new Set([
  'DUAL',
  'V$INSTANCE',
  'V$PARAMETER',
  'V$VERSION',
  'V$OPTION',
  'V$NLS_PARAMETERS',
  'V$SESSION',
  'V$SESSION_LONGOPS',
  'V$SYSSTAT',
]);

/** The names a user finds, with the errors of what it may not see or what is not there yet. */
export function createDictionary({
  instance,
  given,
  user,
  transaction,
  currentSchema,
  asOf,
}: {
  instance: Instance;
  given: GivenViews;
  user: User;
  transaction: number;
  currentSchema: string;
  /** The moment that queries see when they run; null: now. A statement that is kept outlives the moment it was parsed in. */
  asOf: () => bigint | null;
}): Dictionary {
  return {
    openLink: (name, at) => openLink(instance, user.name, name, at),
    find(schema, name) {
      const view = schema === null || schema === 'SYS' ? findView(name) : undefined;
      if (view === undefined)
        return findTable(instance, user, schema ?? currentSchema, name, transaction, asOf);
      const { key, columns, global } = view;
      const granted = key.startsWith('V$') ? `V_$${key.slice(2)}` : key;
      if (!forEverybody.test(key) && !mayRead(user, granted)) return null;
      return {
        columns: global ? [{ name: 'INST_ID', type: { kind: 'NUMBER' } }, ...columns] : columns,
        rows: () => {
          checkState(instance, key);
          const rows = readRows(instance, given, key, columns, user);
          return global ? addInstance(rows) : rows;
        },
      } satisfies View;
    },
  };
}

function findView(name: string): { key: string; columns: readonly Column[]; global: boolean } | undefined {
  const global = /^GV_?\$/.test(name);
  const key = name.replace(/^G?V_?\$/, 'V$');
  const columns = viewColumns.get(key);
  return columns === undefined ? undefined : { key, columns, global };
}

function checkState({ status }: Instance, key: string): void {
  if (status === 'STARTED' && !withoutControlFile.has(key)) throw new OraError(1507, 'database not mounted');
  if (status === 'MOUNTED' && key !== 'DUAL' && !key.startsWith('V$')) {
    throw new OraError(
      1219,
      'database or pluggable database not open: queries allowed on fixed tables or views only',
    );
  }
}

function readRows(
  instance: Instance,
  given: GivenViews,
  key: string,
  columns: readonly Column[],
  user: User,
): Iterable<Row> {
  const own = given[key];
  if (own === undefined) return rowsFrom(key, columns, sessionRows(key, user) ?? viewRows(instance, key));
  if (typeof own === 'function') return rowsFrom(key, columns, own());
  const known = converted.get(own);
  if (known !== undefined) return known;
  const rows = rowsFrom(key, columns, own);
  converted.set(own, rows);
  return rows;
}

/** Rows given once and for all are converted once. */
const converted = new WeakMap<Iterable<Given>, Row[]>();

function* addInstance(rows: Iterable<Row>): Generator<Row> {
  for (const row of rows) yield [1n, ...row];
}
