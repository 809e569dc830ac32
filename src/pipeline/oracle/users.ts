import { setTimeout as wait } from 'node:timers/promises';
import type { OracleSql } from '../../databases/oracle/connect.ts';
import { releaseGuard, restrictLive } from '../../databases/oracle/live/guard.ts';
import { readLiveState } from '../../databases/oracle/live/state.ts';
import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import { runUserSteps, type RunUserSql } from '../machine/user-steps.ts';
import { listMoved, type Bearing, type Losses, type Observation, type Step } from '../operations.ts';
import { guardPrefix } from './names.ts';
import { sysdbaOn, withSession, withTools } from './sessions.ts';
import { refuseStartAtBoot } from './start-at-boot.ts';

/** The site's own steps first (services, an application server), then nobody new gets in but who may, as we must. */
export async function closeForUsers(
  site: Site,
  live: MachineAccess,
  bootsDatabase: boolean,
  step: Step,
): Promise<void> {
  await withTools(site, live, step.key, step.signal, async (tools) => {
    if ((await readLiveState(tools)).cluster) {
      throw new ClonaError(
        'usage',
        'LIVE is a cluster: clona closes one instance, and people work on the others',
        {
          hint: 'promote it by hand, or stop all instances but one before',
        },
      );
    }
    if (bootsDatabase) await refuseStartAtBoot(tools);
    await requireWayIn(live, step.signal);
    await runUserSteps(live, site.promotion.closeForUsers, userSqlBy(sysdbaOn(tools)), step);
    await restrictLive(tools, true);
  });
}

/**
 * Lets everybody in again. The restore points of ours go with it: from now on people write, and a guaranteed one would keep
 * every block that they change until the recovery area is full and LIVE stops.
 */
export async function openForUsers(site: Site, live: MachineAccess, step: Step): Promise<void> {
  await withTools(site, live, step.key, step.signal, async (tools) => {
    const { restorePoints } = await readLiveState(tools);
    for (const { name, guaranteed } of restorePoints) {
      if (guaranteed && name.startsWith(guardPrefix)) await releaseGuard(tools, name);
    }
    await restrictLive(tools, false);
    await runUserSteps(live, site.promotion.openForUsers, userSqlBy(sysdbaOn(tools)), step);
  });
}

/** Seen before anybody is disturbed: else the promotion would find LIVE closed for itself, too. */
async function requireWayIn(live: MachineAccess, signal: AbortSignal): Promise<void> {
  // Who connects with an administrative privilege is never kept out.
  if ((live.address.oracle?.privilege ?? 'normal') !== 'normal') return;
  const rows = await withSession(live, signal, async (session) =>
    session.query("SELECT PRIVILEGE FROM SESSION_PRIVS WHERE PRIVILEGE = 'RESTRICTED SESSION'"),
  );
  if (rows.length > 0) return;
  const user = live.address.user.toUpperCase();
  throw new ClonaError('databasePrivilege', `${user} would not get into a LIVE that is closed for users`, {
    hint: `GRANT RESTRICTED SESSION TO ${user}`,
  });
}

function userSqlBy(sysdba: OracleSql): RunUserSql {
  return async (sql) => {
    await sysdba.execute(sql);
  };
}

interface Left {
  sid: string;
  serial: string;
  who: string;
  writes: boolean;
}

/**
 * Waits until nobody but administrators is left. A session without a transaction is ended: the restriction keeps new ones out,
 * not those that are there, which could begin to write again. One that writes is waited for, up to the site's patience, and never
 * ended: its work would be rolled back.
 */
export async function drainSessions(
  site: Site,
  live: MachineAccess,
  patienceMs: number,
  step: Step,
): Promise<void> {
  const { signal } = step;
  await withTools(site, live, step.key, signal, async (tools) => {
    const sysdba = sysdbaOn(tools);
    const own = (live.address.user === '' ? (site.database.user ?? '') : live.address.user).toUpperCase();
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const left = await listSessions(sysdba, own);
      if (left.length === 0) return;
      for (const one of left.filter(({ writes }) => !writes)) await endSession(sysdba, one);
      if (performance.now() > deadline) throw restless(left);
      await wait(200, undefined, { signal });
    }
  });
}

/** Administrators' own sessions may stay while they change nothing, and ours. */
const administrators = new Set(['SYS', 'SYSBACKUP', 'SYSDG', 'SYSKM', 'SYSRAC']);

async function listSessions(sysdba: OracleSql, own: string): Promise<Left[]> {
  const rows = await sysdba.query(
    `SELECT TO_CHAR(SID), TO_CHAR(SERIAL#), USERNAME, PROGRAM, MACHINE, TADDR FROM V$SESSION
      WHERE TYPE = 'USER' AND USERNAME IS NOT NULL AND STATUS <> 'KILLED'`,
  );
  return rows.flatMap(([sid = '', serial = '', user, program, machine, transaction = null]) => {
    const writes = transaction !== null;
    if (!writes && (administrators.has(user ?? '') || user === own)) return [];
    const who = `${user ?? ''} (${[program, machine].filter(Boolean).join(' on ')})`;
    return [{ sid: sid ?? '', serial: serial ?? '', who, writes }];
  });
}

/** Gone meanwhile: ORA-00030; marked for it because it works: ORA-00031. */
async function endSession(sysdba: OracleSql, { sid, serial }: Left): Promise<void> {
  if (!/^\d+$/.test(sid) || !/^\d+$/.test(serial)) return;
  try {
    await sysdba.execute(`ALTER SYSTEM KILL SESSION '${sid},${serial}' IMMEDIATE`);
  } catch (error) {
    if (!/ORA-0003[01]/.test(error instanceof Error ? error.message : '')) throw error;
  }
}

function restless(left: readonly Left[]): ClonaError {
  const named = left.slice(0, 3).map(({ who, writes }) => `${who}${writes ? ', writing' : ''}`);
  return new ClonaError('databaseFailed', `LIVE does not come to rest: ${left.length} sessions are left`, {
    hint: `end them or give them more time (promotion.drainTimeout): ${named.join('; ')}`,
    details: { left },
  });
}

/** What came after P: at most so many commits (an SCN each), so much log, and how the business counts moved. */
export async function measureLosses(
  machine: MachineAccess,
  bearing: Bearing,
  now: Observation,
  signal: AbortSignal,
): Promise<Losses> {
  return withSession(machine, signal, async (session) => {
    const [[scn = null] = []] = await session.query('SELECT TO_CHAR(CURRENT_SCN) FROM V$DATABASE');
    const from = BigInt(bearing.position);
    const archived = await session.query(
      `SELECT DISTINCT TO_CHAR(THREAD#), TO_CHAR(SEQUENCE#), TO_CHAR(BLOCKS * BLOCK_SIZE) FROM V$ARCHIVED_LOG
        WHERE NEXT_CHANGE# > ${from} AND RESETLOGS_CHANGE# = (SELECT RESETLOGS_CHANGE# FROM V$DATABASE)`,
    );
    const logBytes = archived.reduce((sum, [, , bytes]) => sum + BigInt(bytes ?? '0'), 0n);
    const counts = listMoved(bearing, now);
    const commits = BigInt(scn ?? '0') - from;
    return { transactions: (commits > 0n ? commits : 0n).toString(), logBytes: logBytes.toString(), counts };
  });
}
