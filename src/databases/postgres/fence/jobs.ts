import { ClonaError } from '../../../errors.ts';
import type { Connection } from '../connect.ts';
import { namesOf, setServerSettings, type FenceItem } from './item.ts';

interface Scheduler {
  name: string;
  table: string;
  /** The column without which it is a table of another kind by the same name. */
  column: string;
  off: string;
  active: string;
}

/** Schedulers that keep their jobs in tables, as their own documentation names them. */
export const schedulers = [
  { name: 'pg_cron', table: 'cron.job', column: 'active', off: 'active = false', active: 'active' },
  {
    name: 'pgAgent',
    table: 'pgagent.pga_job',
    column: 'jobenabled',
    off: 'jobenabled = false',
    active: 'jobenabled',
  },
  { name: 'pg_timetable', table: 'timetable.chain', column: 'live', off: 'live = false', active: 'live' },
  {
    name: 'pg_dbms_job',
    table: 'dbms_job.all_scheduled_jobs',
    column: 'broken',
    off: 'broken = true',
    active: 'NOT broken',
  },
  {
    name: 'pgq',
    table: 'pgq.queue',
    column: 'queue_ticker_paused',
    off: 'queue_ticker_paused = true',
    active: 'NOT queue_ticker_paused',
  },
  {
    name: 'TimescaleDB',
    table: '_timescaledb_config.bgw_job',
    column: 'scheduled',
    off: 'scheduled = false',
    active: 'scheduled',
  },
] as const satisfies readonly Scheduler[];

const workerPattern = '(pg_cron|timetable|pgagent|pg_dbms_job|squeeze|partman|pg_net|pgq)';

/** Jobs that run by themselves: they would write, mail and call in production's name. */
export const jobs: FenceItem = {
  name: 'jobs',
  apply: async (context) => {
    for (const { session } of context.databases) {
      for (const scheduler of await present(session)) {
        await session.query(`UPDATE ${scheduler.table} SET ${scheduler.off} WHERE ${scheduler.active}`);
      }
    }
    await setServerSettings(context, { 'cron.launch_active_jobs': 'off', 'pg_partman_bgw.dbname': '' });
    await context.server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type ~* '${workerPattern}'`,
    );
  },
  findHoles: async ({ server, databases }) => {
    const holes: string[] = [];
    for (const { name, session } of databases) {
      for (const scheduler of await present(session)) {
        const [row] = await session.query<{ n: string }>(
          `SELECT count(*)::text AS n FROM ${scheduler.table} WHERE ${scheduler.active}`,
        );
        if (row?.n !== '0') holes.push(`${row?.n ?? '?'} active jobs of ${scheduler.name} in ${name}`);
      }
    }
    holes.push(
      ...(await namesOf(
        server,
        `SELECT 'process ' || backend_type AS name FROM pg_stat_activity WHERE backend_type ~* '${workerPattern}'`,
      )),
    );
    return holes;
  },
};

async function present(session: Connection): Promise<Scheduler[]> {
  const found: Scheduler[] = [];
  for (const scheduler of schedulers) {
    const [row] = await session.query<{ there: boolean; known: boolean }>(
      `SELECT to_regclass($1) IS NOT NULL AS there,
              EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped) AS known`,
      [scheduler.table, scheduler.column],
    );
    if (row?.there !== true) continue;
    if (!row.known) {
      throw new ClonaError(
        'fenceFailed',
        `${scheduler.table} has no column ${scheduler.column}: its jobs cannot be switched off`,
        {
          hint: `this version of ${scheduler.name} is not known: switch its jobs off in staging.fence of the site file`,
        },
      );
    }
    found.push(scheduler);
  }
  return found;
}
