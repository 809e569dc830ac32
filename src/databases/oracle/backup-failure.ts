import { ClonaError, type ErrorKind } from '../../errors.ts';

interface FailureRow {
  kind: ErrorKind;
  what: string;
  hint: string;
}

/**
 * Why RMAN gave a backup up, the cause before its consequences: the first of this table that its log names. Source: Oracle
 * Database Error Messages; Backup and Recovery User's Guide, Troubleshooting RMAN Operations.
 */
const failures = {
  'ORA-01034': { kind: 'databaseFailed', what: 'the database is not started', hint: 'STARTUP on the server' },
  'ORA-27101': { kind: 'databaseFailed', what: 'the database is not started', hint: 'STARTUP on the server' },
  'ORA-19809': {
    kind: 'diskFull',
    what: 'the recovery area is full',
    hint: 'raise DB_RECOVERY_FILE_DEST_SIZE, or delete what is obsolete through RMAN; clona doctor says what fills it',
  },
  'ORA-19804': {
    kind: 'diskFull',
    what: 'the recovery area is full',
    hint: 'raise DB_RECOVERY_FILE_DEST_SIZE, or delete what is obsolete through RMAN; clona doctor says what fills it',
  },
  'ORA-00257': {
    kind: 'databaseFailed',
    what: 'the archiver is stuck: the place of the archived logs is full',
    hint: 'make room in the recovery area through RMAN, never by deleting files; then back up again',
  },
  'ORA-16038': {
    kind: 'databaseFailed',
    what: 'a log cannot be archived',
    hint: 'see V$ARCHIVE_DEST.ERROR: is its disk there, and not full?',
  },
  'ORA-19502': {
    kind: 'diskFull',
    what: 'a piece could not be written',
    hint: 'is the disk of the backups full?',
  },
  'ORA-27072': {
    kind: 'diskFull',
    what: 'a piece could not be written',
    hint: 'is the disk of the backups full?',
  },
  'ORA-27061': {
    kind: 'diskFull',
    what: 'a piece could not be written',
    hint: 'is the disk of the backups full?',
  },
  'ORA-19504': {
    kind: 'databaseFailed',
    what: 'a piece could not be created',
    hint: 'is the disk of the backups there, and may the owner of Oracle write to it?',
  },
  'RMAN-06149': {
    kind: 'serverUnfit',
    what: 'the database is in NOARCHIVELOG mode: it cannot be backed up while it is open',
    hint: 'ALTER DATABASE ARCHIVELOG in mount state, or clona backup --kind cold',
  },
  'ORA-19602': {
    kind: 'serverUnfit',
    what: 'the database is in NOARCHIVELOG mode: it cannot be backed up while it is open',
    hint: 'ALTER DATABASE ARCHIVELOG in mount state, or clona backup --kind cold',
  },
  'RMAN-06059': {
    kind: 'archiveMissing',
    what: 'an archived log that the control file lists is not there',
    hint: 'look for it; if it is gone: CROSSCHECK ARCHIVELOG ALL, and back up again at once, for the log has a gap',
  },
  'ORA-19625': {
    kind: 'archiveMissing',
    what: 'a file that was to be backed up is not there',
    hint: 'look for it; of archived logs: CROSSCHECK ARCHIVELOG ALL, and back up again at once',
  },
  'ORA-19566': {
    kind: 'databaseFailed',
    what: 'a datafile has corrupt blocks',
    hint: 'V$DATABASE_BLOCK_CORRUPTION names them; RECOVER CORRUPTION LIST in RMAN',
  },
  'ORA-01031': {
    kind: 'databasePrivilege',
    what: 'the user of SSH is no administrator of the database',
    hint: 'guest.user must be in the group dba (Windows: ORA_DBA)',
  },
  'ORA-01507': {
    kind: 'databaseFailed',
    what: 'the database is not mounted',
    hint: 'ALTER DATABASE MOUNT, or STARTUP, on the server',
  },
} as const satisfies Record<string, FailureRow>;

/** null: its log names none of these. */
export function explainBackupFailure(log: string): ClonaError | null {
  const codes = new Set(log.match(/\b(?:ORA|RMAN)-\d{5}\b/g));
  const found = (Object.entries(failures) as [string, FailureRow][]).find(([code]) => codes.has(code));
  if (found === undefined) return null;
  const [code, { kind, what, hint }] = found;
  return new ClonaError(kind, `RMAN made no backup: ${what} (${code})`, {
    hint,
    details: { codes: [...codes], log: log.slice(-2000) },
  });
}
