import { setTimeout as wait } from 'node:timers/promises';
import { connect, type Connection } from '../../databases/postgres/connect.ts';
import { ClonaError } from '../../errors.ts';
import type { MachineAccess } from '../machine/access.ts';
import type { RunUserSql } from '../machine/user-steps.ts';
import { listMoved, type Bearing, type Losses, type Observation, type Step } from '../operations.ts';

/** The site's statements that close or open LIVE, each in a session of its own. */
export function userSqlOn({ address }: MachineAccess): RunUserSql {
  return async (sql, signal) => {
    await using session = await connect(address, signal, { applicationName: 'clona users' });
    await session.query(sql);
  };
}

interface Left extends Record<string, unknown> {
  who: string;
  state: string;
}

/**
 * Waits until every transaction that was under way when it began has ended and none that writes is left, in any
 * database of the server: a rollback takes all of them back. New ones that LIVE turns away at its door may come and go.
 */
export async function drainSessions(machine: MachineAccess, patienceMs: number, step: Step): Promise<void> {
  await using session = await connect(machine.address, step.signal, { applicationName: 'clona drain' });
  const [begun] = await session.query<{ at: string }>('select clock_timestamp()::text as at');
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const left = await listRunning(session, begun?.at ?? '');
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      const named = left.slice(0, 3).map(({ who, state }) => `${who}, ${state}`);
      throw new ClonaError(
        'databaseFailed',
        `LIVE does not come to rest: ${left.length} transactions still run`,
        {
          hint: `end them or give them more time (promotion.drainTimeout): ${named.join('; ')}`,
          details: { left },
        },
      );
    }
    await wait(50, undefined, { signal: step.signal });
  }
}

/** A prepared transaction has no session and keeps its locks for ever: a step of the kit would wait for it. */
async function listRunning(session: Connection, begunAt: string): Promise<Left[]> {
  return session.query<Left>(
    `select coalesce(usename, '') || coalesce(' (' || nullif(application_name, '') || ')', '') || ' in ' || datname
              || ', process ' || pid as who, coalesce(state, '') as state
       from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()
        and xact_start is not null and (xact_start < $1::timestamptz or backend_xid is not null)
     union all
     select owner || ' in ' || database || ', prepared transaction ' || quote_literal(gid), 'prepared ' || prepared
       from pg_prepared_xacts`,
    [begunAt],
  );
}

/** What came after P: at most so many transactions, so much log, and how the business counts moved. */
export async function measureLosses(
  machine: MachineAccess,
  bearing: Bearing,
  now: Observation,
  signal: AbortSignal,
): Promise<Losses> {
  await using session = await connect(machine.address, signal, { applicationName: 'clona losses' });
  const [row] = await session.query<{ transactions: string; bytes: string }>(
    `select (pg_snapshot_xmax(pg_current_snapshot())::text::numeric - $1::numeric)::text as transactions,
            ((pg_current_wal_lsn() - '0/0'::pg_lsn) - $2::numeric)::text as bytes`,
    [bearing.nextTransaction, bearing.position],
  );
  const counts = listMoved(bearing, now);
  return { transactions: row?.transactions ?? '0', logBytes: row?.bytes ?? '0', counts };
}
