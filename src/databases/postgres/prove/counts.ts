import { ClonaError } from '../../../errors.ts';
import type { DatabaseAddress } from '../../database.ts';
import { connect, databaseError, quoteLiteral, type Connection } from '../connect.ts';
import { parseLsn } from '../lsn.ts';
import { compareNumbers } from './compare-numbers.ts';

/** A question of the site whose answer is one row of numbers. */
export interface BusinessCount {
  name: string;
  sql: string;
}

/** Numbers as the server writes them: exact, whatever their size. null: SQL null. */
export type CountValues = Record<string, string | null>;

export interface TakenCounts {
  /** exact: taken while nobody wrote, at the restore point; bounds: writers went on, before and after it. */
  mode: 'exact' | 'bounds';
  /** Why not exact. */
  reason: string | null;
  restorePoint: string;
  /** Position of the restore point, decimal. */
  position: string;
  timeline: number;
  takenAt: string;
  lockMs: number | null;
  counts: { name: string; low: CountValues; high: CountValues }[];
}

export interface TakeCountsOptions {
  /** Production; a role that may lock its tables and create a restore point (superuser, or EXECUTE granted). */
  address: DatabaseAddress;
  counts: readonly BusinessCount[];
  /** false: the site forbids the lock. */
  lock: boolean;
  /** The lock is given up after this: writers are more important. */
  lockTimeoutMs: number;
  restorePointName: string;
  signal: AbortSignal;
}

/**
 * Grade 5, production's side: the site's numbers at a named restore point. With the lock, every ordinary table is locked
 * IN SHARE MODE for as long as the questions take (writers wait, readers do not), so the numbers hold exactly there.
 * Without it, they are asked before and after the point and hold as bounds.
 */
export async function takeBusinessCounts(options: TakeCountsOptions): Promise<TakenCounts> {
  const { address, lock, signal } = options;
  await using session = await connect(address, signal, { applicationName: 'clona counts' });
  if (!lock) return await takeBounds(session, options, 'the site forbids the lock');
  const exact = await takeExact(session, options);
  return 'reason' in exact ? await takeBounds(session, options, exact.reason) : exact.taken;
}

async function takeExact(
  session: Connection,
  options: TakeCountsOptions,
): Promise<{ taken: TakenCounts } | { reason: string }> {
  const { counts, lockTimeoutMs, signal } = options;
  await session.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  const started = performance.now();
  try {
    await lockTables(session, lockTimeoutMs);
    // The questions themselves must not hold writers longer than the lock may take.
    await session.query(`SET LOCAL statement_timeout = ${Math.max(1, Math.round(lockTimeoutMs))}`);
    const values = await askAll(session, counts);
    const place = await createRestorePoint(session, options);
    await session.query('COMMIT');
    const lockMs = performance.now() - started;
    return {
      taken: {
        mode: 'exact',
        reason: null,
        ...place,
        lockMs,
        counts: values.map(({ name, values: v }) => ({ name, low: v, high: v })),
      },
    };
  } catch (error) {
    signal.throwIfAborted();
    await session.query('ROLLBACK').catch(() => {});
    if (error instanceof ClonaError && error.kind !== 'databaseFailed') throw error;
    const message = databaseError(error).message.replace(/^the database says: /, '');
    return { reason: `the lock was given up: ${message}` };
  }
}

async function takeBounds(
  session: Connection,
  options: TakeCountsOptions,
  reason: string,
): Promise<TakenCounts> {
  const { counts } = options;
  const before = await askInSnapshot(session, counts);
  const place = await createRestorePoint(session, options);
  const after = await askInSnapshot(session, counts);
  const pairs = before.map(({ name, values }, index) => ({
    name,
    ...widen(values, after[index]?.values ?? {}),
  }));
  return { mode: 'bounds', reason, ...place, lockMs: null, counts: pairs };
}

/** The site's numbers in one snapshot. */
export async function askInSnapshot(
  session: Connection,
  counts: readonly BusinessCount[],
): Promise<Answer[]> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    return await askAll(session, counts);
  } finally {
    await session.query('ROLLBACK');
  }
}

/**
 * All locks within one budget, below deadlock_timeout: should a writer and we wait for each other, we give up before the
 * server looks for a deadlock and cancels the writer.
 */
async function lockTables(session: Connection, lockTimeoutMs: number): Promise<void> {
  const [row] = await session.query<{ ms: number }>(
    `SELECT (extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000)::int AS ms`,
  );
  const until = performance.now() + Math.min(lockTimeoutMs, (row?.ms ?? 1000) * 0.8);
  for (const table of await lockableTables(session)) {
    const leftMs = Math.max(1, Math.floor(until - performance.now()));
    await session.query(`SET LOCAL lock_timeout = ${leftMs}`);
    await session.query(`LOCK TABLE ONLY ${table} IN SHARE MODE`);
    if (performance.now() > until) throw new Error('the locks took too long');
  }
}

/** Ordinary tables and partitions of the database; a lock on system tables is neither possible nor needed. */
async function lockableTables(session: Connection): Promise<string[]> {
  const rows = await session.query<{ name: string }>(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY c.oid`);
  return rows.map(({ name }) => name);
}

async function createRestorePoint(
  session: Connection,
  { restorePointName }: TakeCountsOptions,
): Promise<Pick<TakenCounts, 'restorePoint' | 'position' | 'timeline' | 'takenAt'>> {
  const [row] = await session.query<{ lsn: string; timeline: number; at: string }>(
    `SELECT pg_create_restore_point(${quoteLiteral(restorePointName)})::text AS lsn,
            ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int AS timeline,
            to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at`,
  );
  return {
    restorePoint: restorePointName,
    position: String(parseLsn(row?.lsn ?? '', 'restore point')),
    timeline: row?.timeline ?? 0,
    takenAt: row?.at ?? '',
  };
}

export interface Answer {
  name: string;
  values: CountValues;
}

async function askAll(session: Connection, counts: readonly BusinessCount[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const count of counts) answers.push({ name: count.name, values: await ask(session, count) });
  return answers;
}

/** One row of numbers; anything else is the site's mistake. */
async function ask(session: Connection, { name, sql }: BusinessCount): Promise<CountValues> {
  const rows = await session.query(sql.trim().replace(/;\s*$/, '')).catch((error: unknown) => {
    throw refusedCount(name, error);
  });
  const [row] = rows;
  if (row === undefined || rows.length !== 1) {
    throw new ClonaError('proofFailed', `the business count "${name}" gave ${rows.length} rows, not one`);
  }
  const values: CountValues = {};
  for (const [column, value] of Object.entries(row)) {
    // The driver gives numbers, and texts for those it cannot hold exactly.
    const text = typeof value === 'number' ? `${value}` : typeof value === 'string' ? value : null;
    if (text === null && value !== null) throw notANumber(name, column);
    if (text !== null && !/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) {
      throw notANumber(name, column);
    }
    values[column] = text;
  }
  return values;
}

/** Which of the site's questions it is; what the server says of it stays, its SQLSTATE too. */
function refusedCount(name: string, thrown: unknown): unknown {
  if (!(thrown instanceof ClonaError) || thrown.kind !== 'databaseFailed') return thrown;
  const said = thrown.message.replace(/^the database says: /, '');
  const { details } = thrown;
  return new ClonaError('databaseFailed', `the business count "${name}": ${said}`, {
    cause: thrown.cause,
    hint: thrown.hint ?? 'correct database.businessCounts in the site file',
    details,
  });
}

function notANumber(name: string, column: string): ClonaError {
  return new ClonaError('proofFailed', `the business count "${name}": ${column} is not a number`);
}

/** The lower and the higher of two answers, column by column. */
export function widen(a: CountValues, b: CountValues): { low: CountValues; high: CountValues } {
  const low: CountValues = {};
  const high: CountValues = {};
  for (const column of Object.keys(a)) {
    const [first, second] = [a[column] ?? null, b[column] ?? null];
    const rising = first === null || second === null || compareNumbers(first, second) <= 0;
    low[column] = rising ? first : second;
    high[column] = rising ? second : first;
  }
  return { low, high };
}

/** The numbers as they are now, in one snapshot: `name.column` → value. */
export async function readBusinessCounts(options: {
  address: DatabaseAddress;
  counts: readonly BusinessCount[];
  signal: AbortSignal;
}): Promise<Record<string, string>> {
  await using session = await connect(options.address, options.signal, { applicationName: 'clona counts' });
  return flattenCounts(await askInSnapshot(session, options.counts));
}

/** `name.column` → value, as text. */
export function flattenCounts(
  answers: readonly { name: string; values: CountValues }[],
): Record<string, string> {
  return Object.fromEntries(
    answers.flatMap(({ name, values }) =>
      Object.entries(values).map(([column, value]) => [`${name}.${column}`, value ?? 'null']),
    ),
  );
}
