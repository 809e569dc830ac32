import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { QueryArrayResult } from 'pg';
import { connect, databaseError, type Connection } from '../databases/postgres/connect.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import type { SmokeFile } from './files.ts';
import type { SmokeMachine } from './machine.ts';
import type { SmokeTest } from './report.ts';
import { judge, parseSqlChecks, type SqlCheck } from './sql-checks.ts';

/** A check that gives more rows than this is cut: nobody reads them, and they must fit into memory. */
const mostRows = 10_000;
const shownRows = 3;

/** Runs the checks of one file, each in a read-only transaction of its own that is rolled back. */
export async function runSqlChecks(
  directory: string,
  file: SmokeFile,
  machine: SmokeMachine,
  onTest: (test: SmokeTest) => void,
  signal: AbortSignal,
): Promise<void> {
  const checks = parseSqlChecks(await readFile(join(directory, file.path), 'utf8'));
  const about = { department: file.department, file: file.path, kind: 'sql' as const };
  if (checks.length === 0) {
    onTest({ ...about, name: file.path, state: 'failed', seconds: 0, detail: 'the file holds no check' });
    return;
  }
  await using asker = await openAsker(machine, signal);
  for (const check of checks) {
    signal.throwIfAborted();
    const startedAt = performance.now();
    const detail =
      'message' in check
        ? `line ${check.line}: ${check.message}`
        : await runCheck(asker, check, machine, signal);
    const seconds = (performance.now() - startedAt) / 1000;
    onTest({ ...about, name: check.name, state: detail === null ? 'passed' : 'failed', seconds, detail });
  }
}

/** How a database is asked, whatever its engine. */
interface Asker extends AsyncDisposable {
  /** In a transaction that changes nothing; at most `mostRows` and one more. */
  ask: (sql: string) => Promise<Found>;
  /** What the server says of the check; throws where the connection broke, or the server goes away. */
  explain: (thrown: unknown) => string;
}

interface Found {
  fields: string[];
  /** The first of them. */
  rows: (string | null)[][];
  count: number;
}

async function openAsker({ database }: SmokeMachine, signal: AbortSignal): Promise<Asker> {
  if (database.engine === 'oracle') return openOracleAsker(database, signal);
  const connection = await connect(database, signal, { applicationName: 'clona smoke' });
  return {
    ask: async (sql) => {
      try {
        await connection.query('BEGIN READ ONLY');
        // A cursor: a check that gives a million rows must cost neither the memory nor the time of them.
        return await fetchRows(connection, sql);
      } finally {
        await connection.query('ROLLBACK').catch(() => {});
      }
    },
    explain: (thrown) => {
      const error = databaseError(thrown, undefined, signal);
      const state = error.details?.['sqlState'];
      // Without a state it was the connection; class 57P and 08: the server goes away.
      if (typeof state !== 'string' || /^(?:57P|08)/.test(state)) throw error;
      return error.message;
    },
    [Symbol.asyncDispose]: async () => connection[Symbol.asyncDispose](),
  };
}

async function openOracleAsker(database: DatabaseAddress, signal: AbortSignal): Promise<Asker> {
  const { connectOracle } = await import('../databases/oracle/connect.ts');
  const { askReadOnly } = await import('../databases/oracle/ask-read-only.ts');
  const { serverError, isConnectionLost } = await import('../databases/oracle/server-errors.ts');
  const session = await connectOracle(database, signal, { module: 'clona smoke' });
  return {
    ask: async (sql) => {
      const { fields, rows } = await askReadOnly(session, sql, mostRows + 1);
      return { fields, rows, count: rows.length };
    },
    explain: (thrown) => {
      const error = serverError(thrown, 'the database says', signal);
      if (isConnectionLost(thrown)) throw error;
      return error.message;
    },
    [Symbol.asyncDispose]: async () => session[Symbol.asyncDispose](),
  };
}

async function runCheck(
  asker: Asker,
  check: SqlCheck,
  machine: SmokeMachine,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const { fields, rows, count } = await asker.ask(check.sql);
    const [first] = rows;
    const wrong = judge(check.expectation, {
      rows: count,
      columns: fields.length,
      first: first?.[0] ?? null,
    });
    if (wrong === null) return null;
    // Rows of LIVE are people's data: they are counted, not shown.
    const shown = machine.role === 'live' || rows.length === 0 ? '' : `\n${showRows(fields, rows)}`;
    return `line ${check.line}: ${wrong}${shown}`;
  } catch (thrown) {
    signal.throwIfAborted();
    return `line ${check.line}: ${asker.explain(thrown)}`;
  }
}

async function fetchRows(connection: Connection, sql: string): Promise<Found> {
  await connection.client.query(`DECLARE clona_check NO SCROLL CURSOR FOR ${sql}`);
  const query = {
    text: `FETCH ${mostRows + 1} FROM clona_check`,
    rowMode: 'array' as const,
    // As text, whatever the type: exact, and as people see it in psql.
    types: { getTypeParser: () => (value: string) => value },
  };
  const result = (await connection.client.query(query)) as QueryArrayResult<(string | null)[]>;
  return { fields: result.fields.map(({ name }) => name), rows: result.rows, count: result.rows.length };
}

function showRows(fields: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  const lines = rows
    .slice(0, shownRows)
    .map((row) => fields.map((field, index) => `${field}=${row[index]?.slice(0, 80) ?? 'null'}`).join(' '));
  if (rows.length > shownRows)
    lines.push(`… ${rows.length > mostRows ? `more than ${mostRows}` : rows.length} rows`);
  return lines.join('\n');
}
