import type { ErrorKind } from '../../errors.ts';

export interface RecoveryCodeRow {
  kind: ErrorKind;
  /** `$1`, `$2` …: the numbers of the message, in their order; they are the same in every language. */
  what: string;
  hint: string;
}

/**
 * What RMAN and the server say when a restore fails, the cause before its consequences: of all codes in a log the first of
 * this table names it. Source: Oracle Database Error Messages (RMAN, ORA), Backup and Recovery User's Guide, chapters on
 * troubleshooting RMAN and on user-managed recovery.
 */
export const recoveryCodes = {
  // The disk, the memory, the keys of the clone
  'ORA-19587': {
    kind: 'archiveDamaged',
    what: 'a backup piece ends before its end: it was cut off',
    hint: 'look at the disk it lies on; plan again, another backup may serve',
  },
  'ORA-19691': {
    kind: 'archiveForeign',
    what: 'a backup piece is of another database',
    hint: 'somebody put it there under the name of ours: look where ours went; plan again, another backup may serve',
  },
  'ORA-19502': {
    kind: 'diskFull',
    what: 'a file of the clone could not be written',
    hint: 'the clone needs at least as much room as production: staging.size',
  },
  'ORA-27072': {
    kind: 'diskFull',
    what: 'a file of the clone could not be written',
    hint: 'the clone needs at least as much room as production: staging.size',
  },
  'ORA-19504': {
    kind: 'targetFailed',
    what: 'a file of the clone could not be created',
    hint: 'is there room, and may the owner of Oracle write there?',
  },
  'ORA-19809': {
    kind: 'diskFull',
    what: "the clone's recovery area is full",
    hint: 'give it as much room as the archived logs of the plan take',
  },
  'ORA-19804': {
    kind: 'diskFull',
    what: "the clone's recovery area is full",
    hint: 'give it as much room as the archived logs of the plan take',
  },
  'ORA-27102': {
    kind: 'targetFailed',
    what: 'the clone has too little memory for its instance',
    hint: 'lower the memory of the instance, or give the machine more',
  },
  'ORA-00845': {
    kind: 'targetFailed',
    what: 'the clone has too little shared memory',
    hint: 'enlarge /dev/shm in the clone, or lower the memory of the instance',
  },
  'ORA-28353': {
    kind: 'recoveryFailed',
    what: 'the keystore did not open: its password is another one, or the file is not whole',
    hint: 'look at the secret that database.oracle.keep.keystorePassword names',
  },
  'ORA-28367': {
    kind: 'recoveryFailed',
    what: 'there is no keystore in the place where the clone looks for it',
    hint: 'database.oracle.keep: keystore and keystoreTo; clona backup then keeps it, apart from the backups',
  },
  'ORA-28374': {
    kind: 'recoveryFailed',
    what: 'the keystore of the clone is open, and does not hold the master key of this backup',
    hint: 'it is older than the backup, or of another database: bring the keystore that production has now, it holds the keys of before, too',
  },
  'ORA-28365': {
    kind: 'recoveryFailed',
    what: 'the keystore is not open: the backup is encrypted',
    hint: 'copy the keystore to the clone apart from the backups, and open it before the restore (database.oracle.keep.keystore does both); a keystore that opens by itself on its own host only (LOCAL AUTO_LOGIN) needs its password on the clone',
  },
  'ORA-19913': {
    kind: 'recoveryFailed',
    what: 'the backup cannot be decrypted',
    hint: 'the keystore or the password of the backup is missing: SET DECRYPTION before the restore',
  },
  'ORA-19914': {
    kind: 'recoveryFailed',
    what: 'the backup cannot be decrypted',
    hint: 'the keystore or the password of the backup is missing: SET DECRYPTION before the restore',
  },
  'ORA-28362': {
    kind: 'recoveryFailed',
    what: 'the master key is not in the keystore',
    hint: 'copy the keystore that production had when the backup was made',
  },
  // A wrong machine, a wrong control file
  'ORA-01103': {
    kind: 'recoveryFailed',
    what: 'the control file is of a database with another name',
    hint: 'the instance must have the DB_NAME of production until nid has renamed it',
  },
  'ORA-00201': {
    kind: 'databaseVersion',
    what: 'the control file is of another version than the software of the clone',
    hint: 'install the release and the updates that production has',
  },
  'ORA-00406': {
    kind: 'databaseVersion',
    what: 'COMPATIBLE of the clone is too low',
    hint: 'set it as production has it',
  },
  'RMAN-06172': {
    kind: 'archiveDamaged',
    what: 'no backup of the control file was found',
    hint: 'CONFIGURE CONTROLFILE AUTOBACKUP ON in production, and see that its pieces lie in the archive',
  },
  'RMAN-06563': {
    kind: 'archiveDamaged',
    what: 'the control file could not be taken from that piece',
    hint: 'is it a piece with a control file? clona catalog remembers which ones are',
  },
  'RMAN-20001': {
    kind: 'archiveForeign',
    what: 'the DBID is of another database',
    hint: 'name the archive of this database',
  },
  'RMAN-06189': {
    kind: 'archiveForeign',
    what: 'the DBID is of another database',
    hint: 'name the archive of this database',
  },
  // The backup itself
  'ORA-19599': {
    kind: 'archiveDamaged',
    what: 'a block of the backup is corrupt',
    hint: 'clona prove takes its grade back; plan again, another backup may serve',
  },
  'ORA-19612': {
    kind: 'archiveDamaged',
    what: 'a datafile could not be restored: its backup is damaged',
    hint: 'clona prove takes its grade back; plan again, another backup may serve',
  },
  'ORA-19849': {
    kind: 'archiveDamaged',
    what: 'a backup piece could not be read to its end',
    hint: 'look at the disk it lies on; plan again, another backup may serve',
  },
  'ORA-19505': {
    kind: 'archiveMissing',
    what: 'a backup piece cannot be opened',
    hint: 'does the clone see the archive, and may the owner of Oracle read it?',
  },
  'ORA-27037': {
    kind: 'archiveMissing',
    what: 'a file that the catalog lists is not there',
    hint: 'does the clone see the archive? CROSSCHECK BACKUP in production finds what is gone',
  },
  'ORA-19870': {
    kind: 'archiveDamaged',
    what: 'a backup piece could not be restored',
    hint: 'look at the disk it lies on; plan again, another backup may serve',
  },
  'RMAN-06023': {
    kind: 'targetUnreachable',
    what: 'no backup of datafile $1 serves the target',
    hint: 'is it of another incarnation, newer than the target, or not cataloged? clona plan says which backups serve',
  },
  'RMAN-06024': {
    kind: 'archiveDamaged',
    what: 'no backup of the control file can be read: a restore could not begin',
    hint: 'CONFIGURE CONTROLFILE AUTOBACKUP ON in production, and back up again',
  },
  'RMAN-06026': {
    kind: 'targetUnreachable',
    what: 'not every file has a backup that serves the target',
    hint: 'clona plan says which backups serve',
  },
  'RMAN-06100': {
    kind: 'targetUnreachable',
    what: 'there is no channel that could read the backup of a datafile',
    hint: 'backups on tape need their channel: SBT is not restored by clona',
  },
  'RMAN-06556': {
    kind: 'targetUnreachable',
    what: 'a datafile must be restored from a backup older than $2',
    hint: 'clona plan chooses a backup that is consistent below the target',
  },
  'RMAN-06085': {
    kind: 'recoveryFailed',
    what: 'a datafile that was created after the control file has no place yet',
    hint: 'SET NEWNAME FOR DATABASE names every file, this one too: was the program changed?',
  },
  // Which history
  'RMAN-20208': {
    kind: 'recoveryFailed',
    what: 'the target lies before the RESETLOGS of the incarnation that is set',
    hint: 'RESET DATABASE TO INCARNATION: the plan names it',
  },
  'RMAN-20207': {
    kind: 'recoveryFailed',
    what: 'the target time lies before the RESETLOGS of the incarnation that is set',
    hint: 'RESET DATABASE TO INCARNATION: the plan names it',
  },
  'ORA-19909': {
    kind: 'recoveryFailed',
    what: 'datafile $1 belongs to an orphan incarnation',
    hint: 'something of another branch was cataloged by the server itself: the recovery area of a clone must be its own and empty',
  },
  'ORA-19910': {
    kind: 'recoveryFailed',
    what: 'the incarnation cannot be changed in the control file',
    hint: 'the database must be mounted, not open',
  },
  'ORA-01190': {
    kind: 'recoveryFailed',
    what: 'file $1 is from before the last RESETLOGS',
    hint: 'restore it from a backup of the incarnation that the plan names',
  },
  // The log
  'RMAN-06025': {
    kind: 'archiveGap',
    what: 'no copy of the archived log of thread $1, sequence $2 (from SCN $3) was found',
    hint: 'look for it on the other destinations and standbys and CATALOG it; else the nearest target below is as far as it goes',
  },
  'RMAN-06102': {
    kind: 'archiveGap',
    what: 'there is no channel that could read a log (thread $1, sequence $2)',
    hint: 'its backup lies on a device that clona does not restore from (tape): copy it to a disk and CATALOG it',
  },
  'RMAN-06053': {
    kind: 'archiveGap',
    what: 'recovery lacks an archived log',
    hint: 'look for it on the other destinations and standbys and CATALOG it; else the nearest target below is as far as it goes',
  },
  'RMAN-06054': {
    kind: 'archiveGap',
    what: 'recovery asked for a log that is not known: thread $1, sequence $2, from SCN $3',
    hint: 'harmless where it is the log after the last one and the database opens; else CATALOG the log, or set the target no higher than that SCN',
  },
  'ORA-00308': {
    kind: 'archiveGap',
    what: 'an archived log cannot be opened',
    hint: 'is it in the folder that recovery reads, under the name of LOG_ARCHIVE_FORMAT?',
  },
  'ORA-00310': {
    kind: 'archiveGap',
    what: 'recovery was given sequence $1 and needs sequence $2',
    hint: 'give it the logs in the order of the plan',
  },
  'ORA-00326': {
    kind: 'archiveGap',
    what: 'the log begins at $1, recovery needs an earlier one',
    hint: 'give it the logs in the order of the plan',
  },
  'ORA-00353': {
    kind: 'archiveDamaged',
    what: 'a log is corrupt',
    hint: 'take its copy from the other destination; else the nearest target below is as far as it goes',
  },
  'ORA-00354': {
    kind: 'archiveDamaged',
    what: 'a log is corrupt',
    hint: 'take its copy from the other destination; else the nearest target below is as far as it goes',
  },
  'ORA-00600': {
    kind: 'recoveryFailed',
    what: 'the server met an internal error',
    hint: 'its trace file names it: Oracle Support needs that',
  },
  // Consequences: the files do not agree with each other
  'ORA-01152': {
    kind: 'archiveGap',
    what: 'file $1 is newer than the target',
    hint: 'restore it from a backup that is consistent below the target',
  },
  'ORA-01194': {
    kind: 'archiveGap',
    what: 'file $1 needs more redo to agree with the others',
    hint: 'recovery must go strictly beyond the fuzziness of the backup (consistentFrom in the catalog); look for the missing log',
  },
  'ORA-01195': {
    kind: 'archiveGap',
    what: 'the online backup of file $1 needs more redo',
    hint: 'recovery must go past the END BACKUP of the hot backup; look for the missing log',
  },
  'ORA-01196': {
    kind: 'archiveGap',
    what: 'file $1 is inconsistent: its recovery failed',
    hint: 'look for the missing log; else take another backup',
  },
  'ORA-01113': {
    kind: 'recoveryFailed',
    what: 'file $1 needs recovery',
    hint: 'recover before it is opened: the plan has the steps',
  },
  'ORA-01547': {
    kind: 'archiveGap',
    what: 'recovery ended, and the database could not be opened as it is',
    hint: 'look for the missing log; the code after it names the file',
  },
  'ORA-00283': {
    kind: 'recoveryFailed',
    what: 'recovery was ended by an error',
    hint: 'the code after it names it',
  },
  'ORA-00344': {
    kind: 'targetFailed',
    what: 'the online log of the clone could not be created',
    hint: 'is there room in its folder, and may the owner of Oracle write there?',
  },
  'ORA-01119': {
    kind: 'targetFailed',
    what: 'a file of the clone could not be created',
    hint: 'is there room, and may the owner of Oracle write there?',
  },
  'NID-00135': {
    kind: 'recoveryFailed',
    what: 'nid found datafiles that need recovery',
    hint: 'open the clone once, and shut it down cleanly before nid',
  },
  'NID-00121': {
    kind: 'recoveryFailed',
    what: 'nid wants the database mounted, not open',
    hint: 'STARTUP MOUNT before nid',
  },
} as const satisfies Record<string, RecoveryCodeRow>;

export const recoveryCodeTable: ReadonlyMap<string, RecoveryCodeRow> = new Map(Object.entries(recoveryCodes));
