import { openLink } from './outlets.ts';
import { OraError, SqlDate, SqlTimestamp, Clob, type SqlValue } from '../wire/values.ts';
import { compile, type Compiler } from '../sql/compile.ts';
import { compileCondition } from '../sql/conditions.ts';
import { toNumber, toText } from '../sql/coerce.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { formatDate } from '../sql/formats.ts';
import type { Given } from '../sql/fixtures.ts';
import { parseExpression, type ParseContext } from '../sql/parse-expression.ts';
import type { Environment, Row } from '../sql/scope.ts';
import type { Command } from '../sql/session.ts';
import { parseType } from '../sql/view-columns.ts';
import type { Session } from './session.ts';
import { databaseOf } from './startup.ts';
import { bytesOf } from '../pump/characters.ts';
import { opened } from './physical/database.ts';
import { findPlace, findTable, saveTable, type StoredTable } from './tables.ts';

interface Target {
  schema: string | null;
  name: string;
}

/** INSERT … VALUES, UPDATE … SET … WHERE, DELETE FROM … WHERE on one table. */
export function prepareDml(cursor: TokenCursor, _sql: string, session: Session): Command {
  const context: ParseContext = {
    cursor,
    binds: { count: 0 },
    parseQuery: () => {
      throw new OraError(936, 'missing expression', cursor.token.at);
    },
  };
  const verb = cursor.next().text;
  const prepared =
    verb === 'INSERT'
      ? prepareInsert(context, session)
      : verb === 'UPDATE'
        ? prepareUpdate(context, session)
        : prepareDelete(context, session);
  if (cursor.token.kind !== 'end') throw new OraError(933, 'SQL command not properly ended', cursor.token.at);
  return {
    run: (binds) => ({
      rowCount: prepared({ context: session.context, binds, outer: [], group: null, rowNumber: 0 }),
    }),
  };
}

function readTarget(cursor: TokenCursor): Target {
  const first = cursor.name();
  return cursor.accept('.') ? { schema: first, name: cursor.name() } : { schema: null, name: first };
}

function openTable(
  session: Session,
  { schema, name }: Target,
  privilege: string,
  at: number,
): ReturnType<typeof findPlace> & object {
  const database = databaseOf(session.instance);
  opened(database);
  const place = findPlace(
    database,
    session.user,
    schema ?? session.schema(),
    name,
    privilege,
    session.transaction(),
  );
  if (place === null) throw new OraError(942, 'table or view does not exist', at);
  return place;
}

function compilerFor(session: Session, { schema, name }: Target, table: StoredTable): Compiler {
  const columns = table.columns.map((column) => ({
    name: column.name,
    type: parseType(column.type),
    source: name,
  }));
  const dictionary = {
    openLink: (name: string, at: number) => openLink(session.instance, session.user.name, name, at),
    find: () =>
      findTable(session.instance, session.user, schema ?? session.schema(), name, session.transaction()),
  };
  return {
    scope: { columns, parent: null, dictionary, named: new Map() },
    compileCondition,
    compileQuery: () => {
      throw new OraError(936, 'missing expression');
    },
  };
}

type Run = (environment: Environment) => number;

function prepareInsert(context: ParseContext, session: Session): Run {
  const { cursor } = context;
  cursor.expect('INTO', 925, 'missing INTO keyword');
  const { at } = cursor.token;
  const target = readTarget(cursor);
  const { table } = openTable(session, target, 'INSERT', at);
  const names = readNames(cursor) ?? table.columns.map(({ name }) => name);
  const places = names.map((name) => indexOf(table, name));
  cursor.expect('VALUES', 926, 'missing VALUES keyword');
  cursor.expect('(', 906, 'missing left parenthesis');
  const values = [parseExpression(context)];
  while (cursor.accept(',')) values.push(parseExpression(context));
  cursor.expect(')', 917, 'missing comma');
  if (values.length < names.length) throw new OraError(947, 'not enough values');
  if (values.length > names.length) throw new OraError(913, 'too many values');
  const compiled = values.map((value) =>
    compile(compilerFor(session, target, { columns: [], rows: [] }), value),
  );
  return (environment) => {
    const place = openTable(session, target, 'INSERT', at);
    const row: Given[string][] = place.table.columns.map(() => null);
    for (const [index, value] of compiled.entries()) {
      row[places[index]!] = store(
        value.evaluate([], environment),
        place.table.columns[places[index]!]!.type,
        session.instance,
      );
    }
    saveTable(databaseOf(session.instance), session.transaction(), place, {
      ...place.table,
      rows: [...place.table.rows, row],
    });
    return 1;
  };
}

function readNames(cursor: TokenCursor): string[] | null {
  if (!cursor.accept('(')) return null;
  const names = [cursor.name()];
  while (cursor.accept(',')) names.push(cursor.name());
  cursor.expect(')', 907, 'missing right parenthesis');
  return names;
}

function indexOf({ columns }: StoredTable, name: string): number {
  const index = columns.findIndex((column) => column.name === name);
  if (index === -1) throw new OraError(904, `"${name}": invalid identifier`);
  return index;
}

/** Applies `change` to the rows where the condition holds; null: the row goes. */
function changeRows(
  session: Session,
  target: Target,
  privilege: string,
  at: number,
  where: ((row: Row, environment: Environment) => boolean | null) | null,
  change: (
    row: Row,
    environment: Environment,
    stored: Given[string][],
    table: StoredTable,
  ) => Given[string][] | null,
): Run {
  return (environment) => {
    const place = openTable(session, target, privilege, at);
    const rows = [
      ...findTable(
        session.instance,
        session.user,
        target.schema ?? session.schema(),
        target.name,
        session.transaction(),
      )!.rows(environment),
    ];
    let count = 0;
    const kept = place.table.rows.flatMap((stored, index) => {
      const row = rows[index]!;
      if (where !== null && where(row, environment) !== true) return [stored];
      count += 1;
      const changed = change(row, environment, stored, place.table);
      return changed === null ? [] : [changed];
    });
    if (count > 0)
      saveTable(databaseOf(session.instance), session.transaction(), place, { ...place.table, rows: kept });
    return count;
  };
}

function prepareUpdate(context: ParseContext, session: Session): Run {
  const { cursor } = context;
  const { at } = cursor.token;
  const target = readTarget(cursor);
  const { table } = openTable(session, target, 'UPDATE', at);
  const compiler = compilerFor(session, target, table);
  cursor.expect('SET', 971, 'missing SET keyword');
  const sets: { index: number; value: ReturnType<typeof compile> }[] = [];
  do {
    const index = indexOf(table, cursor.name());
    cursor.expect('=', 927, 'missing equal sign');
    sets.push({ index, value: compile(compiler, parseExpression(context)) });
  } while (cursor.accept(','));
  const where = cursor.accept('WHERE') ? compileCondition(compiler, parseExpression(context)) : null;
  return changeRows(session, target, 'UPDATE', at, where, (row, environment, stored, { columns }) => {
    const changed = [...stored];
    for (const { index, value } of sets)
      changed[index] = store(value.evaluate(row, environment), columns[index]!.type, session.instance);
    return changed;
  });
}

function prepareDelete(context: ParseContext, session: Session): Run {
  const { cursor } = context;
  cursor.accept('FROM');
  const { at } = cursor.token;
  const target = readTarget(cursor);
  const { table } = openTable(session, target, 'DELETE', at);
  const where = cursor.accept('WHERE')
    ? compileCondition(compilerFor(session, target, table), parseExpression(context))
    : null;
  return changeRows(session, target, 'DELETE', at, where, () => null);
}

/** A value as a block holds it. */
function store(value: SqlValue, type: string, { settings }: Session['instance']): Given[string] {
  if (value === null) return null;
  const parsed = parseType(type);
  if (parsed.kind === 'NUMBER') return toNumber(value);
  if (parsed.kind === 'RAW' && value instanceof Uint8Array) return value;
  if (parsed.kind === 'DATE' && (value instanceof SqlDate || value instanceof SqlTimestamp))
    return formatDate(new SqlDate(value.seconds), 'YYYY-MM-DD HH24:MI:SS');
  if (parsed.kind.startsWith('TIMESTAMP') && value instanceof SqlTimestamp)
    return formatDate(
      value,
      parsed.kind === 'TIMESTAMP' ? 'YYYY-MM-DD HH24:MI:SS.FF9' : 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM',
    );
  if (parsed.kind === 'CLOB') return value instanceof Clob ? value.text : toText(value);
  if (parsed.kind !== 'VARCHAR2')
    throw new OraError(932, `inconsistent datatypes: expected ${parsed.kind} got CHAR`);
  const text = toText(value)!;
  const bytes = bytesOf(text, settings.characterSet);
  if (bytes > parsed.size)
    throw new OraError(12899, `value too large for column (actual: ${bytes}, maximum: ${parsed.size})`);
  return text;
}
