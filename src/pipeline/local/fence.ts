import { connect, type Connection } from '../../databases/postgres/connect.ts';
import { startGuestServer } from '../../databases/postgres/guest-server.ts';
import { ClonaError } from '../../errors.ts';
import { withProgress } from '../../progress.ts';
import type { Step } from '../operations.ts';
import { accessMachine, nameOf, withGuest, type SiteAccess } from './access.ts';

interface FencePart {
  name: string;
  /** Gives what still leads out; empty: cut off. */
  findHole: (session: Connection) => Promise<string[]>;
}

/** What a restored server must not do by itself (R21). The restore has put it out of action; this looks whether it is. */
const parts: readonly FencePart[] = [
  {
    name: 'archiving',
    findHole: async (session) =>
      namesOf(
        session,
        `select name || ' = ' || setting as name from pg_settings
          where (name = 'archive_mode' and setting <> 'off')
             or (name in ('archive_command', 'archive_library') and setting not in ('', '(disabled)'))`,
      ),
  },
  {
    name: 'replication',
    findHole: async (session) =>
      namesOf(
        session,
        `select 'slot ' || slot_name as name from pg_replication_slots
         union all select 'subscription ' || subname from pg_subscription where subenabled
         union all select name || ' = ' || setting from pg_settings
          where name in ('primary_conninfo', 'synchronous_standby_names') and setting <> ''`,
      ),
  },
  {
    name: 'jobs',
    findHole: async (session) =>
      namesOf(
        session,
        `select 'background worker ' || backend_type as name from pg_stat_activity
          where backend_type ~* '(pg_cron|timetable|pgagent|squeeze|partman)'`,
      ),
  },
];

/**
 * Starts the restored database inside its machine and tests the fence round it: the network from inside, the
 * server's own ways out, then the site's list, each cut off by its SQL and tested by its check. Throws `fenceFailed`.
 */
export async function fenceMachine(
  access: SiteAccess,
  name: string,
  step: Step,
): Promise<{ fenced: boolean; parts: string[] }> {
  const { site, machines } = access;
  await machines.powerOn(nameOf(access, name), step.signal);
  const machine = await accessMachine(access, name, step.signal);
  const tested: string[] = [await testNetwork(access, name, machine.facts.isolation, step)];
  await withGuest(machine, step.signal, async (_guest, server) =>
    startGuestServer(server, { signal: step.signal }),
  );
  await using session = await connect(machine.address, step.signal, { applicationName: 'clona fence' });
  for (const part of parts) {
    const holes = await withProgress(step.onProgress, `fence: ${part.name}`, async () =>
      part.findHole(session),
    );
    if (holes.length > 0) throw hole(part.name, holes);
    tested.push(part.name);
  }
  for (const { name, sql, check } of site.staging.fence) {
    await session.query(sql);
    const [row] = await session.query(check);
    if (row === undefined || Object.values(row)[0] !== true)
      throw hole(name, ['its check does not give true']);
    tested.push(name);
  }
  return { fenced: true, parts: tested };
}

async function testNetwork(
  { machines }: SiteAccess,
  name: string,
  isolation: 'network' | 'configuration' | 'none',
  step: Step,
): Promise<string> {
  if (isolation === 'configuration') return 'network (by configuration only)';
  if (isolation === 'none') throw hole('network', ['the machine is not isolated at all']);
  const reached = await machines.probeIsolation(name, step.signal);
  if (reached.length > 0) throw hole('network', reached);
  return 'network';
}

function hole(name: string, holes: readonly string[]): ClonaError {
  return new ClonaError('fenceFailed', `the fence round staging has a hole: ${name}: ${holes.join(', ')}`, {
    hint: 'nobody is let in; mend the fence in the site file, then refresh again',
    details: { part: name, holes },
  });
}

async function namesOf(session: Connection, query: string): Promise<string[]> {
  return (await session.query<{ name: string }>(query)).map(({ name }) => name);
}
