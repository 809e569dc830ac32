import { setTimeout as wait } from 'node:timers/promises';
import type { OracleSql } from '../../databases/oracle/connect.ts';
import { runChecked } from '../../databases/oracle/live/guard.ts';
import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import type { Step } from '../operations.ts';
import { readAndRemember } from './places.ts';
import { sysdbaOn, withTools } from './sessions.ts';

/** A destination that brings nothing for so long does not work, in milliseconds. */
const patienceMs = 300_000;

/**
 * Switches the log of every thread and waits until each destination of LIVE's own has all of it up to `position` (R14: there are
 * two, which doctor looks at). Then the control file is remembered, which knows these logs.
 */
export async function archiveLogTo(
  site: Site,
  live: MachineAccess,
  position: string,
  step: Step,
): Promise<{ archivedTo: string }> {
  const { signal } = step;
  const archivedTo = await withTools(site, live, step.key, signal, async (tools) => {
    const sysdba = sysdbaOn(tools);
    const target = BigInt(position);
    if (!(await isThere(sysdba, target))) {
      await runChecked(tools, 'archive', ['ALTER SYSTEM ARCHIVE LOG CURRENT;']);
    }
    return waitFor(sysdba, target, signal);
  });
  await readAndRemember(site, live, signal);
  return { archivedTo };
}

async function isThere(sysdba: OracleSql, target: bigint): Promise<boolean> {
  const reach = await readReach(sysdba);
  return reach.length > 0 && reach.every(({ next }) => next >= target);
}

async function waitFor(sysdba: OracleSql, target: bigint, signal: AbortSignal): Promise<string> {
  let known = '';
  for (let until = performance.now() + patienceMs; performance.now() < until;) {
    const reach = await readReach(sysdba);
    if (reach.length === 0) {
      throw new ClonaError('databaseFailed', 'LIVE archives its log nowhere', {
        hint: 'LOG_ARCHIVE_DEST_n or a recovery area: clona doctor',
      });
    }
    const broken = reach.find(({ error }) => error !== null);
    if (broken !== undefined) {
      throw new ClonaError(
        'databaseFailed',
        `LIVE cannot archive to destination ${broken.destination}: ${broken.error ?? ''}`,
        { hint: 'V$ARCHIVE_DEST on LIVE, and the room where it leads' },
      );
    }
    if (reach.every(({ next }) => next >= target)) {
      return reach.reduce((low, { next }) => (next < low ? next : low), reach[0]?.next ?? target).toString();
    }
    const now = reach.map(({ next }) => next).join();
    if (now !== known) until = performance.now() + patienceMs;
    known = now;
    await wait(100, undefined, { signal });
  }
  throw new ClonaError('databaseFailed', `LIVE has not archived its log up to ${target}`, {
    hint: 'V$ARCHIVE_DEST on LIVE, and the room where its destinations lead',
  });
}

interface Reach {
  destination: string;
  thread: string;
  /** First position that is not there yet. */
  next: bigint;
  error: string | null;
}

/** By destination and thread: how far the archived log of this incarnation goes. */
async function readReach(sysdba: OracleSql): Promise<Reach[]> {
  const destinations = await sysdba.query(
    `SELECT TO_CHAR(DEST_ID), STATUS, ERROR FROM V$ARCHIVE_DEST
      WHERE STATUS NOT IN ('INACTIVE', 'DEFERRED') AND TARGET <> 'STANDBY'`,
  );
  const threads = await sysdba.query("SELECT TO_CHAR(THREAD#) FROM V$THREAD WHERE ENABLED <> 'DISABLED'");
  const logs = await sysdba.query(
    `SELECT TO_CHAR(DEST_ID), TO_CHAR(THREAD#), TO_CHAR(MAX(NEXT_CHANGE#)) FROM V$ARCHIVED_LOG
      WHERE ARCHIVED = 'YES' AND RESETLOGS_CHANGE# = (SELECT RESETLOGS_CHANGE# FROM V$DATABASE)
      GROUP BY DEST_ID, THREAD#`,
  );
  const next = new Map(logs.map(([id, thread, scn]) => [`${id ?? ''}/${thread ?? ''}`, BigInt(scn ?? '0')]));
  return destinations.flatMap(([destination, status, error]) =>
    threads.map(([thread]) => ({
      destination: destination ?? '',
      thread: thread ?? '',
      next: next.get(`${destination ?? ''}/${thread ?? ''}`) ?? 0n,
      error: status === 'ERROR' || status === 'BAD PARAM' ? (error ?? status) : null,
    })),
  );
}

/** Up to when every destination has the log of every thread, by the server's own clock; null: LIVE archives nowhere. */
export async function readArchivedUntil(session: OracleSql, now: Date): Promise<string | null> {
  const rows = await session.query(
    `SELECT TO_CHAR(ROUND((SYSDATE - MAX(NEXT_TIME)) * 86400)) FROM V$ARCHIVED_LOG
      WHERE ARCHIVED = 'YES' AND STANDBY_DEST = 'NO' GROUP BY DEST_ID, THREAD#`,
  );
  const ages = rows.map(([age]) => Number(age ?? Number.NaN)).filter((age) => !Number.isNaN(age));
  if (ages.length === 0) return null;
  return new Date(now.getTime() - Math.max(0, ...ages) * 1000).toISOString();
}
