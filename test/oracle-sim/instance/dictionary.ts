import { OraError, type Column } from '../wire/values.ts';
import { rowsFrom, type Given } from '../sql/fixtures.ts';
import type { Dictionary, Row, View } from '../sql/scope.ts';
import { viewColumns } from '../sql/view-columns.ts';
import { mayRead, type User } from './accounts.ts';
import type { GivenViews } from './backend.ts';
import type { Instance } from './instance.ts';
import { findTable } from './tables.ts';
import { viewRows } from './views.ts';

/** Everybody may read these. */
const forEverybody =
  /^(?:DUAL|ALL_.*|USER_.*|SESSION_.*|NLS_.*|DATABASE_PROPERTIES|V\$VERSION|V\$OPTION|V\$SESSION_LONGOPS)$/;
/** Fixed views that need no control file. */
const withoutControlFile = new Set([
  'DUAL',
  'V$INSTANCE',
  'V$PARAMETER',
  'V$VERSION',
  'V$OPTION',
  'V$SESSION',
  'V$SESSION_LONGOPS',
]);

/** The names a user finds, with the errors of what it may not see or what is not there yet. */
export function createDictionary(instance: Instance, given: GivenViews, user: User): Dictionary {
  return {
    find(schema, name) {
      const view = schema === null || schema === 'SYS' ? findView(name) : undefined;
      if (view === undefined) return findTable(instance, user, schema, name);
      const { key, columns, global } = view;
      const granted = key.startsWith('V$') ? `V_$${key.slice(2)}` : key;
      if (!forEverybody.test(key) && !mayRead(user, granted)) return null;
      return {
        columns: global ? [{ name: 'INST_ID', type: { kind: 'NUMBER' } }, ...columns] : columns,
        rows: () => {
          checkState(instance, key);
          const rows = readRows(instance, given, key, columns);
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
): Iterable<Row> {
  const own = given[key];
  const rows: Iterable<Given> =
    own === undefined ? viewRows(instance, key) : typeof own === 'function' ? own() : own;
  return rowsFrom(key, columns, rows);
}

function* addInstance(rows: Iterable<Row>): Generator<Row> {
  for (const row of rows) yield [1n, ...row];
}
