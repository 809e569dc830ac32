import type { NoticeMessage } from 'pg-protocol/dist/messages.js';
import type { DatabaseAddress } from '../../databases/database.ts';
import { connect, databaseError, type Connection } from '../../databases/postgres/connect.ts';
import { ClonaError } from '../../errors.ts';
import { splitSql, type SqlStatement } from '../split-sql.ts';
import type { StepOutput } from './output.ts';

export interface SqlWork {
  /** Name of the file, for messages. */
  file: string;
  text: string;
  transaction: boolean;
  timeoutMs: number;
  lockTimeoutMs: number | null;
  output: StepOutput;
  /** Told and waited for between the last statement and COMMIT. */
  beforeCommit: (transactionId: string) => Promise<void>;
  signal: AbortSignal;
}

/**
 * Runs one SQL step. `kitStepFailed`: it failed, and (in a transaction) nothing of it stays. Anything else that
 * is thrown leaves the outcome open. Other engines than PostgreSQL bring their own.
 */
export type RunSql = (work: SqlWork) => Promise<void>;

export function runSqlOn(address: DatabaseAddress): RunSql {
  return async (work) => {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(timeoutError(work)), work.timeoutMs);
    const signal = AbortSignal.any([work.signal, timeout.signal]);
    try {
      await using connection = await connect(address, signal, { applicationName: 'clona kit' });
      connection.client.on('notice', (notice: NoticeMessage) =>
        work.output.line(`${notice.severity ?? 'NOTICE'}: ${notice.message ?? ''}`),
      );
      if (work.lockTimeoutMs !== null) {
        await connection.query('SELECT set_config($1, $2, false)', [
          'lock_timeout',
          String(work.lockTimeoutMs),
        ]);
      }
      const { statements } = splitSql(work.text);
      if (work.transaction) await runInTransaction(connection, statements, work, signal);
      else await runStatements(connection, statements, work, signal);
    } catch (error) {
      // A step that did not end in time is a failed one; who stopped the whole run is told as it is.
      if (timeout.signal.aborted && !work.signal.aborted) throw timeout.signal.reason;
      work.signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };
}

async function runInTransaction(
  connection: Connection,
  statements: readonly SqlStatement[],
  work: SqlWork,
  signal: AbortSignal,
): Promise<void> {
  await connection.query('BEGIN');
  try {
    await runStatements(connection, statements, work, signal);
  } catch (error) {
    throw asFailed(error, work);
  }
  if (connection.client.getTransactionStatus() !== 'T') {
    throw new ClonaError('kitStepFailed', `${work.file} ends the transaction of its step by itself`, {
      hint: 'leave BEGIN and COMMIT out, or say transaction: false',
    });
  }
  const [row] = await connection.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
  await work.beforeCommit(row?.id ?? '');
  try {
    await connection.query('COMMIT');
  } catch (error) {
    // Deferred constraints speak at COMMIT; the server's refusal is a failure, its silence is not.
    throw sqlStateOf(error) === undefined ? error : asFailed(error, work);
  }
}

async function runStatements(
  connection: Connection,
  statements: readonly SqlStatement[],
  work: SqlWork,
  signal: AbortSignal,
): Promise<void> {
  for (const { text, line } of statements) {
    signal.throwIfAborted();
    const startedAt = performance.now();
    try {
      const { command, rowCount } = await connection.client.query(text);
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(2);
      work.output.line(
        `${work.file}:${line}: ${[command, rowCount].filter(Boolean).join(' ')} (${seconds} s)`,
      );
    } catch (thrown) {
      const error = databaseError(thrown, undefined, signal);
      if (sqlStateOf(error) === undefined) throw error;
      explain(thrown, work, line);
      throw new ClonaError('kitStepFailed', `${work.file}:${line}: ${error.message}`, {
        hint: error.hint,
        details: error.details,
      });
    }
  }
}

/** The server's DETAIL and CONTEXT often name the row or constraint. */
function explain(thrown: unknown, work: SqlWork, line: number): void {
  if (!(thrown instanceof Error)) return;
  work.output.line(`${work.file}:${line}: ERROR: ${thrown.message}`);
  for (const key of ['detail', 'where', 'hint'] as const) {
    const said: unknown = Reflect.get(thrown, key);
    if (typeof said === 'string' && said !== '') work.output.line(`  ${key}: ${said}`);
  }
}

/** Before COMMIT everything is undone, also when the session was lost: the step failed, and that is certain. */
function asFailed(error: unknown, work: SqlWork): ClonaError {
  if (error instanceof ClonaError && error.kind === 'kitStepFailed') return error;
  const said = error instanceof Error ? error.message : String(error);
  return new ClonaError('kitStepFailed', `${work.file}: ${said}`, {
    cause: error,
    details: error instanceof ClonaError ? error.details : undefined,
  });
}

function sqlStateOf(error: unknown): string | undefined {
  const state = error instanceof ClonaError ? error.details?.['sqlState'] : undefined;
  // Class 57P and 08: the server or the connection goes away; what it did by then is not said.
  return typeof state === 'string' && !/^(?:57P|08)/.test(state) ? state : undefined;
}

function timeoutError(work: SqlWork): ClonaError {
  return new ClonaError('kitStepFailed', `${work.file} did not end within ${work.timeoutMs / 1000} s`, {
    hint: 'look for what it waited on (locks), or give the step more time',
  });
}

/** Whether a transaction of an earlier run was committed; undefined: the server does not know (any more). */
export async function askCommitted(
  address: DatabaseAddress,
  transactionId: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  await using connection = await connect(address, signal);
  const [row] = await connection.query<{ status: string | null }>(
    'SELECT pg_xact_status($1::text::xid8) AS status',
    [transactionId],
  );
  if (row?.status === 'committed') return true;
  return row?.status === 'aborted' ? false : undefined;
}
