import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import type { OracleSession } from './connect.ts';
import { recoverUntilCancel, sqlPlus } from './restore-program.ts';
import { quoteName, quoteSqlText } from './rman-text.ts';

/** What LIVE can go back by, beside the snapshot of its machine (R20). */
export interface WayBackFacts {
  /** V$OPTION 'Flashback Database' is TRUE: Enterprise Edition. */
  flashbackLicensed: boolean;
  flashbackOn: boolean;
  logMode: string;
  /** DB_RECOVERY_FILE_DEST is set. */
  hasRecoveryArea: boolean;
  currentIncarnation: number;
  /** The recovery area, and what of it cannot be reclaimed; undefined: not asked. */
  areaTotalBytes?: number;
  areaHeldBytes?: number;
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
  const percent = heldPercent(facts);
  if (percent >= tooFull) {
    return {
      kind: 'snapshot',
      reasons: [
        `the recovery area is ${percent} % held: a guaranteed restore point would stop LIVE in the middle of the kit, so the snapshot of the machine is the way back`,
        ...consequences,
      ],
    };
  }
  const how = facts.flashbackOn
    ? 'flashback is on: only what changed since is taken back'
    : 'flashback is off: the guaranteed restore point keeps the blocks as they were at that moment';
  return { kind: 'flashback', reasons: [how, ...warnOfArea(facts), ...consequences] };
}

/** Percent of the recovery area from which on no restore point is made: every block that the kit changes would be copied there. */
const tooFull = 95;

function heldPercent({ areaTotalBytes: total = 0, areaHeldBytes: held = 0 }: WayBackFacts): number {
  return total === 0 ? 0 : Math.floor((held / total) * 100);
}

/** Until it is dropped, the restore point holds every block that a kit changes; the area full, LIVE stops (ORA-00257, ORA-19809). */
function warnOfArea(facts: WayBackFacts): string[] {
  const { areaTotalBytes: total = 0, areaHeldBytes: held = 0 } = facts;
  const percent = heldPercent(facts);
  if (percent < 80) return [];
  const free = Math.floor((total - held) / 1024 ** 2);
  return [
    `the recovery area is ${percent} % held, ${free} MB are left: the restore point keeps every block that the kit changes there, and LIVE stops when it is full`,
  ];
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

type InstanceState = 'down' | 'started' | 'mounted' | 'open';

/**
 * LIVE back at its restore point, on a new incarnation, with the session restricted until it is proven. An interrupted FLASHBACK leaves
 * the database mounted, and is begun again. Source: Backup and Recovery User's Guide, Performing Flashback Database.
 */
export function writeFlashback(name: string, now: InstanceState = 'open'): string {
  return sqlPlus([
    ...writeStop(now, 'IMMEDIATE'),
    'STARTUP RESTRICT MOUNT',
    `FLASHBACK DATABASE TO RESTORE POINT ${quoteName(name, 'the restore point')};`,
    'ALTER DATABASE OPEN RESETLOGS;',
    'SELECT INCARNATION#, RESETLOGS_CHANGE#, STATUS FROM V$DATABASE_INCARNATION;',
  ]);
}

/** What is only mounted has nothing to write: ABORT says no error there, IMMEDIATE says ORA-01109. */
function writeStop(now: InstanceState, open: 'IMMEDIATE' | 'ABORT'): string[] {
  if (now === 'down') return [];
  return [`SHUTDOWN ${now === 'open' ? open : 'ABORT'}`];
}

export interface RevertedLive {
  instance: InstanceState;
  logMode: string;
  /** Those that are not inactive. */
  destinations: readonly { id: number; place: string | null }[];
  /** LOG_ARCHIVE_DEST, where the site has it instead of LOG_ARCHIVE_DEST_n. */
  oldDestination: string | null;
  quarantineDir: string;
}

/**
 * R20, after the machine of LIVE was reverted to its snapshot: the server would go on under log names that are archived already, with
 * other content. So until it has a new incarnation whatever it archives goes to a folder of its own, and to no standby. To defer every
 * destination is not allowed (ORA-16028), so the first one is turned aside. All of it in memory only: the last restart brings the site's
 * own destinations back. An open one is aborted: the machine has started it by itself, and nobody wants what it wrote.
 *
 * First its own online log is applied in the mounted state, so that the new incarnation begins where the snapshot's redo ends: up to
 * there what is archived under the same sequence number is the same, byte for byte, and serves both branches.
 */
export function writeRecoverMounted(live: RevertedLive): string {
  return sqlPlus([
    ...writeStop(live.instance, 'ABORT'),
    'STARTUP RESTRICT MOUNT',
    ...(live.logMode === 'ARCHIVELOG' ? writeAside(live) : []),
    // ORA-00264 where it was shut down cleanly. Whether the files agree is asked, not read from what is said.
    'WHENEVER SQLERROR CONTINUE',
    'ALTER DATABASE RECOVER DATABASE;',
    'WHENEVER SQLERROR EXIT 1 ROLLBACK',
    "SELECT 'clona|fuzzy|' || TO_CHAR(COUNT(*)) FROM V$DATAFILE_HEADER WHERE FUZZY = 'YES';",
  ]);
}

/** Whether all files agree after `writeRecoverMounted`. */
export function areFilesWhole(output: string): boolean {
  return /^\s*clona\|fuzzy\|0\s*$/m.test(output);
}

/** Then, in the same mounted instance: RESETLOGS exactly at the end of the redo that the snapshot holds. */
export const resetMounted = sqlPlus([
  ...recoverUntilCancel(''),
  'ALTER DATABASE OPEN RESETLOGS;',
  'SHUTDOWN IMMEDIATE',
  'STARTUP RESTRICT',
  'SELECT INCARNATION#, RESETLOGS_CHANGE#, STATUS FROM V$DATABASE_INCARNATION;',
]);

/**
 * Where recovery in the mounted state did not make the files agree: the database is opened once for crash recovery, and shut down cleanly.
 * It writes redo of its own meanwhile, under a sequence number that the archive has with other content.
 */
export function writeAfterRevert(live: RevertedLive): string {
  const aside = live.logMode === 'ARCHIVELOG' ? writeAside(live) : [];
  return sqlPlus([
    ...writeStop(live.instance, 'ABORT'),
    'STARTUP RESTRICT MOUNT',
    ...aside,
    'ALTER DATABASE OPEN;',
    'SHUTDOWN IMMEDIATE',
    'STARTUP RESTRICT MOUNT',
    ...aside,
    ...recoverUntilCancel(''),
    'ALTER DATABASE OPEN RESETLOGS;',
    'SHUTDOWN IMMEDIATE',
    'STARTUP RESTRICT',
    'SELECT INCARNATION#, RESETLOGS_CHANGE#, STATUS FROM V$DATABASE_INCARNATION;',
  ]);
}

function writeAside({ destinations, oldDestination, quarantineDir }: RevertedLive): string[] {
  for (const { id } of destinations) {
    if (!Number.isInteger(id) || id < 1 || id > 31)
      throw new ClonaError('usage', `${id} is no archive destination`);
  }
  const set = (name: string, value: string): string => `ALTER SYSTEM SET ${name} = ${value} SCOPE = MEMORY;`;
  if (oldDestination !== null) {
    return [
      set('log_archive_dest', quoteSqlText(quarantineDir, 'the folder of the quarantine')),
      set('log_archive_duplex_dest', "''"),
    ];
  }
  // Its own slot where it has one: a database may have its only destination in any of them.
  const first = Math.min(...destinations.map(({ id }) => id), 31);
  const id = first === 31 && destinations.length === 0 ? 1 : first;
  const place = quoteSqlText(`LOCATION="${quarantineDir}"`, 'the folder of the quarantine');
  return [
    set(`log_archive_dest_${id}`, place),
    set(`log_archive_dest_state_${id}`, 'ENABLE'),
    ...destinations
      .filter((one) => one.id !== id)
      .map((one) => set(`log_archive_dest_state_${one.id}`, 'DEFER')),
  ];
}

/** OPEN RESETLOGS begins a position after the last that is kept; what the server counts on while it opens is no change of anybody's. */
const opening = 1000n;

/** Whether LIVE is where it was: the same SCN as the restore point or the note of the promotion had, never beyond it. */
export function isBackAt(resetlogs: Position, noted: Position): boolean {
  return resetlogs >= noted && resetlogs - noted <= opening;
}
