import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import type { Given } from '../sql/fixtures.ts';
import { parseType } from '../sql/view-columns.ts';
import type { Instance } from './instance.ts';
import type { Action, Session } from './session.ts';
import { databaseOf } from './startup.ts';
import { findPlace, listTables, saveTable, type StoredTable } from './tables.ts';

export interface StoredConstraint {
  name: string;
  type: 'P' | 'U' | 'R' | 'C';
  columns: string[];
  enabled: boolean;
  validated: boolean;
  generated: boolean;
  references: { owner: string; table: string } | null;
}

/** ALTER TABLE t ADD (column type), ADD CONSTRAINT, ENABLE, DISABLE, DROP CONSTRAINT; conditions of checks are read over. */
export function parseAlterTable(cursor: TokenCursor, session: Session): Action {
  const { at } = cursor.token;
  const first = cursor.name();
  const [owner, name] = cursor.accept('.') ? [first, cursor.name()] : [session.schema(), first];
  const change = parseChange(cursor, owner);
  return () => {
    const database = databaseOf(session.instance);
    const place = findPlace(database, session.user, owner, name, 'ALTER', session.transaction());
    if (place === null) throw new OraError(942, 'table or view does not exist', at);
    saveTable(database, session.transaction(), place, change(place.table));
    session.commit();
  };
}

type Change = (table: StoredTable) => StoredTable;

function parseChange(cursor: TokenCursor, owner: string): Change {
  if (cursor.accept('ADD', 'CONSTRAINT')) return addConstraint(parseConstraint(cursor, owner));
  if (cursor.accept('ADD')) return addColumn(cursor);
  if (cursor.accept('DROP', 'CONSTRAINT')) {
    const name = cursor.name();
    return changeConstraint(name, 2443, () => null);
  }
  const enable = cursor.accept('ENABLE', 'CONSTRAINT') || cursor.accept('ENABLE', 'VALIDATE', 'CONSTRAINT');
  if (!enable && !cursor.accept('DISABLE', 'CONSTRAINT')) {
    throw new OraError(1735, 'invalid ALTER TABLE option', cursor.token.at);
  }
  const name = cursor.name();
  return changeConstraint(name, enable ? 2430 : 2431, (one) => ({
    ...one,
    enabled: enable,
    validated: enable,
  }));
}

function addColumn(cursor: TokenCursor): Change {
  const inBrackets = cursor.accept('(');
  const name = cursor.name();
  let type = cursor.name();
  if (cursor.accept('(')) {
    const size = cursor.next().text;
    if (type !== 'NUMBER' && type !== 'TIMESTAMP') type = `${type}(${size})`;
    while (!cursor.accept(')'))
      if (cursor.next().kind === 'end') throw new OraError(907, 'missing right parenthesis');
  }
  if (cursor.accept('DEFAULT')) cursor.next();
  cursor.accept('NOT', 'NULL');
  if (inBrackets) cursor.expect(')', 907, 'missing right parenthesis');
  try {
    parseType(type);
  } catch {
    throw new OraError(902, 'invalid datatype', cursor.token.at);
  }
  return (table) => {
    if (table.columns.some((column) => column.name === name)) {
      throw new OraError(1430, 'column being added already exists in table');
    }
    return {
      ...table,
      columns: [...table.columns, { name, type }],
      rows: table.rows.map((row) => [...row, null]),
    };
  };
}

function parseConstraint(cursor: TokenCursor, owner: string): StoredConstraint {
  const name = cursor.name();
  const constraint: StoredConstraint = {
    name,
    type: 'C',
    columns: [],
    enabled: true,
    validated: true,
    generated: false,
    references: null,
  };
  if (cursor.accept('PRIMARY', 'KEY')) constraint.type = 'P';
  else if (cursor.accept('UNIQUE')) constraint.type = 'U';
  else if (cursor.accept('FOREIGN', 'KEY')) constraint.type = 'R';
  else cursor.expect('CHECK', 904, ': invalid identifier');
  const list = readBrackets(cursor);
  if (constraint.type !== 'C') constraint.columns = list;
  if (constraint.type === 'R') {
    cursor.expect('REFERENCES', 905, 'missing keyword');
    const first = cursor.name();
    constraint.references = cursor.accept('.')
      ? { owner: first, table: cursor.name() }
      : { owner, table: first };
    if (cursor.is('(')) readBrackets(cursor);
  }
  if (cursor.accept('DISABLE')) Object.assign(constraint, { enabled: false, validated: false });
  else if (cursor.accept('ENABLE', 'NOVALIDATE')) constraint.validated = false;
  else cursor.accept('ENABLE');
  return constraint;
}

function readBrackets(cursor: TokenCursor): string[] {
  cursor.expect('(', 906, 'missing left parenthesis');
  const names: string[] = [];
  for (let depth = 1; depth > 0;) {
    const { kind, text } = cursor.next();
    if (kind === 'end') throw new OraError(907, 'missing right parenthesis');
    if (text === '(' && kind === 'operator') depth += 1;
    else if (text === ')' && kind === 'operator') depth -= 1;
    else if (kind === 'word' || kind === 'quoted') names.push(text);
  }
  return names;
}

function addConstraint(constraint: StoredConstraint): Change {
  return (table) => {
    const { constraints = [] } = table;
    if (constraints.some(({ name }) => name === constraint.name)) {
      throw new OraError(2264, 'name already used by an existing constraint');
    }
    const keys = constraint.columns.map((name) => table.columns.findIndex((column) => column.name === name));
    if (keys.includes(-1))
      throw new OraError(904, `"${constraint.columns[keys.indexOf(-1)]}": invalid identifier`);
    if (constraint.enabled && (constraint.type === 'P' || constraint.type === 'U')) {
      const seen = new Set(table.rows.map((row) => JSON.stringify(keys.map((key) => String(row[key])))));
      if (seen.size < table.rows.length) {
        throw constraint.type === 'P'
          ? new OraError(2437, `cannot validate (${constraint.name}) - primary key violated`)
          : new OraError(2299, `cannot validate (${constraint.name}) - duplicate keys found`);
      }
    }
    return { ...table, constraints: [...constraints, constraint] };
  };
}

function changeConstraint(
  name: string,
  code: number,
  change: (one: StoredConstraint) => StoredConstraint | null,
): Change {
  return (table) => {
    const { constraints = [] } = table;
    if (!constraints.some((one) => one.name === name)) {
      throw new OraError(code, `cannot change constraint (${name}) - no such constraint`);
    }
    const changed = constraints.flatMap((one) => (one.name === name ? (change(one) ?? []) : one));
    return { ...table, constraints: changed };
  };
}

export function constraintRows(instance: Instance): Given[] {
  const { database } = instance;
  if (database === null || database.open === null) return [];
  return listTables(database).flatMap(({ owner, name, table }) =>
    (table.constraints ?? []).map((one) => ({
      OWNER: owner,
      CONSTRAINT_NAME: one.name,
      CONSTRAINT_TYPE: one.type,
      TABLE_NAME: name,
      R_OWNER: one.references?.owner ?? null,
      STATUS: one.enabled ? 'ENABLED' : 'DISABLED',
      VALIDATED: one.validated ? 'VALIDATED' : 'NOT VALIDATED',
      GENERATED: one.generated ? 'GENERATED NAME' : 'USER NAME',
    })),
  );
}
