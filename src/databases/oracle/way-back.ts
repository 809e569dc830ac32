import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import type { OracleSession } from './connect.ts';
import { recoverUntilCancel, sqlPlus } from './restore-program.ts';
import { quoteName } from './rman-text.ts';

/** What LIVE can go back by, beside the snapshot of its machine (R20). */
export interface WayBackFacts {
  /** V$OPTION 'Flashback Database' is TRUE: Enterprise Edition. */
  flashbackLicensed: boolean;
  flashbackOn: boolean;
  logMode: string;
  /** DB_RECOVERY_FILE_DEST is set. */
  hasRecoveryArea: boolean;
  currentIncarnation: number;
}

export interface WayBack {
  kind: 'flashback' | 'snapshot';
  /** Why, and what it does to the history: shown before the promotion begins. */
  reasons: string[];
}

/** Decides by which way a failed promotion goes back, and says what that means for backups and logs. */
export function decideWayBack(facts: WayBackFacts): WayBack {
  const consequences = [
    `LIVE reopens with RESETLOGS: a new incarnation whose parent is ${facts.currentIncarnation}; what was written since becomes an ORPHAN`,
    'backups of before still serve targets up to that point, later ones serve the ORPHAN only: back up at once',
  ];
  if (!facts.flashbackLicensed) {
    return {
      kind: 'snapshot',
      reasons: [
        'this edition has no FLASHBACK DATABASE (ORA-00439): the snapshot of the machine is the way back',
        ...consequences,
      ],
    };
  }
  if (facts.logMode !== 'ARCHIVELOG' || !facts.hasRecoveryArea) {
    const lack = facts.hasRecoveryArea ? 'the database is in NOARCHIVELOG mode' : 'there is no recovery area';
    return {
      kind: 'snapshot',
      reasons: [`a guaranteed restore point cannot be made: ${lack}`, ...consequences],
    };
  }
  const how = facts.flashbackOn
    ? 'flashback is on: only what changed since is taken back'
    : 'flashback is off: the guaranteed restore point keeps the blocks as they were at that moment';
  return { kind: 'flashback', reasons: [how, ...consequences] };
}

export async function readWayBackFacts(
  session: OracleSession,
  currentIncarnation: number,
): Promise<WayBackFacts> {
  const [[flashback = null, logMode = null] = []] = await session.query(
    'SELECT FLASHBACK_ON, LOG_MODE FROM V$DATABASE',
  );
  const option = await session.query("SELECT VALUE FROM V$OPTION WHERE PARAMETER = 'Flashback Database'");
  const area = await session.query("SELECT VALUE FROM V$PARAMETER WHERE NAME = 'db_recovery_file_dest'");
  return {
    flashbackLicensed: option[0]?.[0] === 'TRUE',
    // RESTORE POINT ONLY: nothing but the blocks that a guaranteed one needs is kept.
    flashbackOn: flashback === 'YES',
    logMode: logMode ?? '',
    hasRecoveryArea: (area[0]?.[0] ?? null) !== null,
    currentIncarnation,
  };
}

/** Guaranteed: kept until it is dropped, whatever room it takes; it is a claim on the log (R11). Gives its SCN. */
export async function createRestorePoint(session: OracleSession, name: string): Promise<string> {
  await session.execute(
    `CREATE RESTORE POINT ${quoteName(name, 'the restore point')} GUARANTEE FLASHBACK DATABASE`,
  );
  const rows = await session.query('SELECT SCN FROM V$RESTORE_POINT WHERE NAME = :name', { name });
  const scn = rows[0]?.[0];
  if (scn === undefined || scn === null)
    throw new ClonaError('databaseFailed', `the restore point ${name} is not there`);
  return scn;
}

/** Only after the promotion is confirmed: until then it is the way back. */
export async function dropRestorePoint(session: OracleSession, name: string): Promise<void> {
  await session.execute(`DROP RESTORE POINT ${quoteName(name, 'the restore point')}`);
}

/** LIVE back at its restore point, on a new incarnation, with the session restricted until it is proven. */
export function writeFlashback(name: string): string {
  return sqlPlus([
    'SHUTDOWN IMMEDIATE',
    'STARTUP RESTRICT MOUNT',
    `FLASHBACK DATABASE TO RESTORE POINT ${quoteName(name, 'the restore point')};`,
    'ALTER DATABASE OPEN RESETLOGS;',
    'SELECT INCARNATION#, RESETLOGS_CHANGE#, STATUS FROM V$DATABASE_INCARNATION;',
  ]);
}

/**
 * R20, after the machine of LIVE was reverted to its snapshot: the server would go on under log names that are archived
 * already, with other content. So nothing is archived until it has a new incarnation: destinations deferred in the mounted
 * state, one open for crash recovery, a clean shutdown, then RESETLOGS. `destinations`: the ids to defer and enable again.
 */
export function writeAfterRevert(destinations: readonly number[]): string {
  for (const id of destinations) {
    if (!Number.isInteger(id) || id < 1 || id > 31)
      throw new ClonaError('usage', `${id} is no archive destination`);
  }
  const set = (state: 'DEFER' | 'ENABLE'): string[] =>
    destinations.map((id) => `ALTER SYSTEM SET log_archive_dest_state_${id} = ${state} SCOPE = MEMORY;`);
  return sqlPlus([
    'STARTUP RESTRICT MOUNT',
    ...set('DEFER'),
    'ALTER DATABASE OPEN;',
    'SHUTDOWN IMMEDIATE',
    'STARTUP RESTRICT MOUNT',
    ...set('DEFER'),
    ...recoverUntilCancel(''),
    'ALTER DATABASE OPEN RESETLOGS;',
    ...set('ENABLE'),
    'ALTER SYSTEM ARCHIVE LOG CURRENT;',
    'SELECT INCARNATION#, RESETLOGS_CHANGE#, STATUS FROM V$DATABASE_INCARNATION;',
  ]);
}

/** Whether LIVE is where it was: the same SCN as the restore point or the note of the promotion had, never beyond it. */
export function isBackAt(resetlogs: Position, noted: Position): boolean {
  // OPEN RESETLOGS begins one position after the last that is kept; the server may count a record more.
  return resetlogs >= noted && resetlogs - noted <= 2n;
}
