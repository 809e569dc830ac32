import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import type { CopyContext } from './backup-context.ts';
import { connect, quoteIdentifier, type Connection } from './connect.ts';
import { parseLsn } from './lsn.ts';

export interface Pause {
  /** Where the restore point's record ends. */
  position: Position;
  /** From the first lock to the release of the last. */
  pauseMs: number;
  attempts: number;
}

/** Below deadlock_timeout's default of 1 s: see `tryPause`. */
const defaultLimitMs = 700;
const defaultAttempts = 20;

/**
 * Sets a restore point at a moment when no transaction with changes is open in any database: every table is locked IN
 * SHARE MODE, which waits for running writers and holds new ones back. Never longer than the limit: else everything is
 * let go and tried again a little later, and in the end given up.
 */
export async function pauseWriters(context: CopyContext, name: string): Promise<Pause> {
  const { address, session, options, signal, onProgress } = context;
  const limitMs = Math.min(options.pauseLimitMs ?? defaultLimitMs, await readDeadlockLimit(session));
  const attemptsAtMost = options.pauseAttempts ?? defaultAttempts;
  const databases = await session.query<{ name: string }>(
    `SELECT datname AS name FROM pg_catalog.pg_database WHERE datallowconn ORDER BY datname <> current_database(), datname`,
  );
  const sessions: { session: Connection; database: string }[] = [];
  try {
    for (const { name: database } of databases) {
      sessions.push({ session: await connect({ ...address, database }, signal), database });
    }
    for (let attempt = 1; attempt <= attemptsAtMost; attempt += 1) {
      const lockers: Locker[] = [];
      for (const { session, database } of sessions) lockers.push(await prepareLocker(session, database));
      const found = await tryPause(lockers, name, limitMs);
      if (found !== undefined) return { ...found, attempts: attempt };
      onProgress({ step: 'pausing the writers', state: 'running', detail: `attempt ${attempt} given up` });
      // Time enough for the writers to go on; a little more each time.
      await wait(100 * attempt, undefined, { signal });
    }
  } finally {
    await Promise.all(sessions.map(async ({ session }) => session[Symbol.asyncDispose]()));
  }
  throw new ClonaError(
    'databaseFailed',
    `the writers could not be paused within ${limitMs} ms, tried ${attemptsAtMost} times`,
    {
      hint: 'a long transaction holds its tables: take the backup at a quieter time, or a managed one, which pauses nobody',
    },
  );
}

interface Locker {
  session: Connection;
  tables: string[];
}

async function prepareLocker(session: Connection, database: string): Promise<Locker> {
  const rows = await session.query<{ schema: string; name: string; allowed: boolean }>(
    `SELECT n.nspname AS schema, c.relname AS name,
            pg_catalog.has_table_privilege(c.oid, 'UPDATE') OR pg_catalog.has_table_privilege(c.oid, 'DELETE')
              OR pg_catalog.has_table_privilege(c.oid, 'TRUNCATE') AS allowed
       FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE (c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384
             AND n.nspname NOT IN ('pg_catalog', 'information_schema'))
         OR c.oid = 'pg_catalog.pg_largeobject'::regclass AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
      ORDER BY c.oid`,
  );
  const refused = rows.find(({ allowed }) => !allowed);
  if (refused !== undefined) {
    throw new ClonaError(
      'databaseFailed',
      `this user may not lock ${refused.schema}.${refused.name} of ${database}`,
      {
        hint: 'a quiesced backup locks every table for a moment: give the role UPDATE on all, or take a managed backup',
      },
    );
  }
  return {
    session,
    tables: rows.map(({ schema, name }) => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`),
  };
}

/** A share of the time after which a waiting writer would look for deadlocks: we are always gone before. */
async function readDeadlockLimit(session: Connection): Promise<number> {
  const [row] = await session.query<{ ms: number }>(
    `SELECT setting::int AS ms FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'`,
  );
  return Math.max(10, Math.floor((row?.ms ?? 1000) * 0.8));
}

/**
 * Undefined: not all locks in time. A writer may hold a table we wait for and wait for one we hold: that is a deadlock, and
 * the server would end one of the two after deadlock_timeout. We give up before, so it is never the writer.
 */
async function tryPause(
  lockers: Locker[],
  name: string,
  limitMs: number,
): Promise<Omit<Pause, 'attempts'> | undefined> {
  const from = performance.now();
  const leftMs = (): number => Math.floor(limitMs - (performance.now() - from));
  let found: Omit<Pause, 'attempts'> | undefined;
  try {
    for (const locker of lockers) {
      await begin(locker.session);
      if (!(await lockTables(locker, leftMs))) return undefined;
    }
    const [first] = lockers as [Locker, ...Locker[]];
    await limit(first.session, leftMs());
    // A number of its own makes the commit flush the log, and with it the restore point.
    const [row] = await first.session.query<{ lsn: string }>(
      `SELECT pg_catalog.pg_create_restore_point($1)::text AS lsn, pg_catalog.pg_current_xact_id()`,
      [name],
    );
    await first.session.query('COMMIT');
    found = { position: parseLsn(row?.lsn ?? '', 'the restore point'), pauseMs: 0 };
  } catch (error) {
    if (!isTimeout(error)) throw error;
  } finally {
    await Promise.all(lockers.map(async ({ session }) => session.query('ROLLBACK')));
  }
  return found === undefined ? undefined : { ...found, pauseMs: Math.round(performance.now() - from) };
}

async function begin(session: Connection): Promise<void> {
  await session.query('BEGIN');
  // Our own look for deadlocks comes early: it also asks an autovacuum in our way to stop. Only superusers may set it.
  await session.query(`SAVEPOINT own_look`);
  await session
    .query(`SET LOCAL deadlock_timeout = '20ms'`)
    .catch(async () => session.query('ROLLBACK TO own_look'));
}

const tablesAtOnce = 200;

async function lockTables({ session, tables }: Locker, leftMs: () => number): Promise<boolean> {
  for (let at = 0; at < tables.length; at += tablesAtOnce) {
    const left = leftMs();
    if (left <= 0) return false;
    await limit(session, left);
    const names = tables.slice(at, at + tablesAtOnce).map((table) => `ONLY ${table}`);
    await session.query(`LOCK TABLE ${names.join(', ')} IN SHARE MODE`);
  }
  return leftMs() > 0;
}

async function limit(session: Connection, leftMs: number): Promise<void> {
  const ms = Math.max(1, leftMs);
  await session.query(`SET LOCAL statement_timeout = ${ms}`);
}

/** lock_not_available, query_canceled, deadlock_detected; a table dropped meanwhile. */
const retriedStates = new Set(['55P03', '57014', '40P01', '42P01']);

function isTimeout(error: unknown): boolean {
  return error instanceof ClonaError && retriedStates.has(String(error.details?.['sqlState']));
}
