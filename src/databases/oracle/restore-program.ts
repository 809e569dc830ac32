import { ClonaError } from '../../errors.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import type { Position } from '../../recovery/position.ts';
import type { RestoreFacts } from './restore-facts.ts';
import type { RestoreTarget } from './restore-target.ts';
import { joinGuest, quoteName, quoteRman, requireDbid } from './rman-text.ts';

/** What the mounted clone shows of the control file that was restored: its names and keys are of that file's own time. */
export interface MountedFacts {
  /** V$DATABASE_INCARNATION: key, resetlogs SCN and time, status. */
  incarnations: { key: number; resetlogs: string; resetlogsTime: string | null; status: string }[];
  /** V$LOGFILE.MEMBER: production's paths, which the clone must never open. */
  logMembers: string[];
  /** V$TEMPFILE: number. */
  tempFiles: number[];
  /** V$BLOCK_CHANGE_TRACKING.STATUS is ENABLED. */
  changeTracking: boolean;
  /** V$DATABASE.FLASHBACK_ON is not NO. */
  flashback: boolean;
  /** Names of guaranteed restore points: production's, they hold flashback logs that the clone lacks. */
  restorePoints: string[];
}

export type RestoreUntil = { kind: 'scn'; scn: Position } | { kind: 'time'; wall: string };

/** Programs are for `rman target / nocatalog cmdfile=…`. First: an instance under production's name, its control file, and what the archive holds. NOCATALOG. */
export function writeMountProgram(
  facts: RestoreFacts,
  target: RestoreTarget,
  /** null: the instance is started already, with its keystore open. */
  parameterFile: string | null,
  controlFilePiece: string,
): string {
  return lines([
    '# The clone knows its own control file only. No recovery catalog: nothing of a clone gets into the one of production.',
    `SET DBID ${requireDbid(facts.dbid)};`,
    ...(parameterFile === null
      ? []
      : [`STARTUP FORCE NOMOUNT DBA PFILE=${quoteRman(parameterFile, 'the parameter file')};`]),
    `RESTORE CONTROLFILE FROM ${quoteRman(controlFilePiece, 'the piece with the control file')};`,
    'ALTER DATABASE MOUNT;',
    '# What production configured (channels, deletion policy, snapshot of the control file) is not for the clone.',
    ...clearedSettings.map((setting) => `CONFIGURE ${setting} CLEAR;`),
    ...target.archiveDirs.map((folder) => `CATALOG START WITH ${quoteRman(folder, 'archiveDirs')} NOPROMPT;`),
    'LIST INCARNATION OF DATABASE;',
  ]);
}

/** CONFIGURE settings that travel in the control file (Backup and Recovery Reference, CONFIGURE). */
const clearedSettings = [
  'RETENTION POLICY',
  'BACKUP OPTIMIZATION',
  'DEFAULT DEVICE TYPE',
  'CONTROLFILE AUTOBACKUP',
  'CONTROLFILE AUTOBACKUP FORMAT FOR DEVICE TYPE DISK',
  'DEVICE TYPE DISK',
  'CHANNEL DEVICE TYPE DISK',
  'ARCHIVELOG DELETION POLICY',
  'SNAPSHOT CONTROLFILE NAME',
  'ENCRYPTION FOR DATABASE',
  'MAXSETSIZE',
] as const;

/**
 * Second program: the datafiles to the clone's own disks, redo up to the target, which is exclusive in RMAN too ("up to but
 * not including", Backup and Recovery Reference, untilClause), OPEN RESETLOGS. Throws `questionInvalid` for a plan that a
 * clone cannot follow.
 */
export function writeRestoreProgram(
  plan: PlanAnswer,
  catalog: Catalog,
  mounted: MountedFacts,
  target: RestoreTarget,
  until: RestoreUntil,
): string {
  requireFollowable(plan, catalog);
  const key = findKey(plan, catalog, mounted);
  const channels = Array.from(
    { length: Math.max(1, Math.trunc(target.channels)) },
    (_, index) => `c${index + 1}`,
  );
  return lines([
    ...(key.current ? [] : [`RESET DATABASE TO INCARNATION ${key.key};`]),
    ...(mounted.changeTracking ? ['ALTER DATABASE DISABLE BLOCK CHANGE TRACKING;'] : []),
    ...mounted.restorePoints.map((name) => `DROP RESTORE POINT ${quoteName(name, 'a restore point')};`),
    ...(mounted.flashback ? ['ALTER DATABASE FLASHBACK OFF;'] : []),
    '# The paths of production leave the control file before anything is opened.',
    ...mounted.logMembers.map((member, index) => renameMember(member, index, target)),
    'RUN {',
    ...channels.map((name) => `  ALLOCATE CHANNEL ${name} DEVICE TYPE DISK;`),
    `  SET NEWNAME FOR DATABASE TO ${quoteRman(inData(target, 'file_%f.dbf'), 'dataDir')};`,
    ...mounted.tempFiles.map(
      (file) =>
        `  SET NEWNAME FOR TEMPFILE ${file} TO ${quoteRman(inData(target, `temp_${file}.dbf`), 'dataDir')};`,
    ),
    `  ${writeUntil(until)}`,
    `  RESTORE DATABASE${fromTag(plan, catalog)};`,
    '  SWITCH DATAFILE ALL;',
    '  SWITCH TEMPFILE ALL;',
    `  RECOVER DATABASE${plan.logs.length === 0 && plan.redoFrom === plan.redoTo ? ' NOREDO' : ' DELETE ARCHIVELOG'};`,
    '}',
    'ALTER DATABASE OPEN RESETLOGS;',
  ]);
}

function requireFollowable({ reachable, usesOnlineLog, backup }: PlanAnswer, { engine }: Catalog): void {
  if (engine !== 'oracle') throw new ClonaError('questionInvalid', 'RMAN restores Oracle databases only');
  if (!reachable || backup === null) {
    throw new ClonaError('targetUnreachable', 'there is no way to the target: nothing is restored', {
      hint: 'clona plan says why for every backup, and what can be reached instead',
    });
  }
  if (!usesOnlineLog) return;
  throw new ClonaError(
    'questionInvalid',
    "the plan needs production's online log, which a clone does not have",
    {
      hint: 'plan with --lost online-log: that is what lies in the archive',
    },
  );
}

/** By resetlogs SCN, never by key: the control file that was restored has keys of its own. */
function findKey(
  { target }: PlanAnswer,
  { incarnations }: Catalog,
  mounted: MountedFacts,
): { key: number; current: boolean } {
  const wanted = incarnations.find(({ id }) => id === target.incarnation);
  const candidates = mounted.incarnations.filter(
    ({ resetlogs }) => resetlogs === wanted?.branchPosition.toString(),
  );
  const found =
    candidates.length === 1 ? candidates[0] : candidates.find(({ status }) => status !== 'ORPHAN');
  if (found !== undefined) return { key: found.key, current: found.status === 'CURRENT' };
  throw new ClonaError(
    'recoveryFailed',
    `the restored control file does not know the incarnation that began at ${wanted?.branchPosition ?? '?'}`,
    { hint: 'catalog a log or a backup of that incarnation, or restore a newer backup of the control file' },
  );
}

function renameMember(member: string, index: number, target: RestoreTarget): string {
  const own = inData(target, `redo_${index + 1}.log`);
  return `ALTER DATABASE RENAME FILE ${quoteRman(member, 'a member of the online log')} TO ${quoteRman(own, 'dataDir')};`;
}

function inData({ platform, dataDir }: RestoreTarget, name: string): string {
  return joinGuest(platform, dataDir, name);
}

/** RMAN's own tags name one command, so they can hold RMAN to the backup that the plan chose. Chains choose themselves. */
export function fromTag({ backup }: PlanAnswer, { backups }: Catalog): string {
  const chosen = backups.find(({ label }) => label === backup);
  const isAlone = (chosen?.requires ?? []).length === 0;
  return isAlone && backup !== null && /^TAG\d{8}T\d{6}$/.test(backup) ? ` FROM TAG '${backup}'` : '';
}

export function writeUntil(until: RestoreUntil): string {
  if (until.kind === 'scn') return `SET UNTIL SCN ${until.scn};`;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(until.wall)) {
    throw new ClonaError('usage', `"${until.wall.slice(0, 30)}" is no wall clock time`);
  }
  return `SET UNTIL TIME "TO_DATE('${until.wall.replace('T', ' ')}', 'YYYY-MM-DD HH24:MI:SS')";`;
}

/** A script that stops at the first error with exit code 1, replaces nothing and prints nothing formatted. */
export function sqlPlus(statements: readonly string[]): string {
  return lines([
    'WHENEVER SQLERROR EXIT 1 ROLLBACK',
    'WHENEVER OSERROR EXIT 1 ROLLBACK',
    'SET DEFINE OFF ECHO ON FEEDBACK ON PAGESIZE 0 LINESIZE 32767 NUMWIDTH 38 TRIMSPOOL ON',
    'CONNECT / AS SYSDBA',
    ...statements,
    'EXIT 0',
  ]);
}

/**
 * Recovery that is asked for and cancelled before its first log: only so RESETLOGS is allowed for files that agree. The request is
 * ORA-00279 where the server asks for a log, the cancel ORA-01112 where it had nothing to ask: neither may end the script.
 * Whether the files agree is for OPEN RESETLOGS to say.
 */
export function recoverUntilCancel(using: '' | 'USING BACKUP CONTROLFILE '): string[] {
  return [
    'WHENEVER SQLERROR CONTINUE',
    `ALTER DATABASE RECOVER DATABASE ${using}UNTIL CANCEL;`,
    'ALTER DATABASE RECOVER CANCEL;',
    'WHENEVER SQLERROR EXIT 1 ROLLBACK',
  ];
}

/** A program, one command a line. */
export function lines(list: readonly string[]): string {
  return `${list.join('\n')}\n`;
}
