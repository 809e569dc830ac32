import { ClonaError, type ErrorKind } from '../../errors.ts';

interface ServerErrorRow {
  kind: ErrorKind;
  /** What it means, as a sentence that stands alone. */
  what: string;
  hint: string;
}

/**
 * What the server, its listener or the driver refuses, in words that help. Codes are the same in every language of the
 * server. Source: Oracle Database Error Messages; node-oracledb, Appendix: NJS errors.
 */
const serverErrors = {
  'ORA-01017': {
    kind: 'databaseLogin',
    what: 'user or password is wrong',
    hint: 'look at database.user and the secret that database.password names',
  },
  'ORA-28000': {
    kind: 'databaseLogin',
    what: 'the account is locked',
    hint: 'ALTER USER … ACCOUNT UNLOCK, once it is known why it was locked',
  },
  'ORA-28001': {
    kind: 'databaseLogin',
    what: 'the password has expired',
    hint: 'ALTER USER … IDENTIFIED BY …, then put the new password where database.password names it',
  },
  'ORA-28009': {
    kind: 'databaseLogin',
    what: 'SYS may connect only with a privilege',
    hint: 'database.oracle.privilege: sysbackup or sysdba, better a user of its own',
  },
  'ORA-01045': {
    kind: 'databasePrivilege',
    what: 'the user may not open a session',
    hint: 'GRANT CREATE SESSION TO the user of clona',
  },
  'ORA-01031': {
    kind: 'databasePrivilege',
    what: 'the user lacks a privilege',
    hint: 'the grants that clona needs stand in docs/how-to/oracle.md; clona doctor names the missing ones',
  },
  'ORA-00942': {
    kind: 'databasePrivilege',
    what: 'a table or view is not there, or may not be seen',
    hint: 'the grants that clona needs stand in docs/how-to/oracle.md; clona doctor names the missing ones',
  },
  'ORA-28040': {
    kind: 'serverUnfit',
    what: 'client and server know no common way to check a password',
    hint: 'SQLNET.ALLOWED_LOGON_VERSION_SERVER must allow 12a or 12, and the password must have been set since (DBA_USERS.PASSWORD_VERSIONS: 12C or 11G)',
  },
  'NJS-116': {
    kind: 'serverUnfit',
    what: 'the password is stored in a way the driver does not know',
    hint: 'set the password anew: DBA_USERS.PASSWORD_VERSIONS must name 12C or 11G',
  },
  'NJS-138': {
    kind: 'databaseVersion',
    what: 'the server is too old for the driver',
    hint: 'clona speaks with Oracle Database 12.1 and newer',
  },
  'NJS-533': {
    kind: 'serverUnfit',
    what: 'the server demands native network encryption, which the thin driver lacks',
    hint: 'use TLS (a wallet), or let SQLNET.ENCRYPTION_SERVER be accepted or requested',
  },
  'NJS-505': {
    kind: 'databaseLogin',
    what: 'the wallet cannot be used',
    hint: 'database.oracle.wallet is the folder of ewallet.pem, walletPassword its password',
  },
  'NJS-506': {
    kind: 'databaseFailed',
    what: 'the TLS handshake failed',
    hint: 'does the listener speak TCPS at this port, and does the wallet hold the authority that signed its certificate?',
  },
  'NJS-507': {
    kind: 'databaseFailed',
    what: "the server's certificate is of another name",
    hint: 'is this the right host? ssl_server_cert_dn in the connect string names the one that is expected',
  },
  'NJS-508': {
    kind: 'databaseFailed',
    what: "the server's certificate is of another host",
    hint: 'connect by the name that the certificate holds',
  },
  'NJS-503': {
    kind: 'databaseFailed',
    what: 'the host does not answer',
    hint: 'is the machine up, and is the listener started (lsnrctl status)?',
  },
  'NJS-510': {
    kind: 'databaseFailed',
    what: 'the host does not answer in time',
    hint: 'is the machine up, and is the port open in its firewall?',
  },
  'NJS-511': {
    kind: 'databaseFailed',
    what: 'the listener refused the connection',
    hint: 'lsnrctl status on the server says which services it knows',
  },
  'NJS-515': {
    kind: 'siteInvalid',
    what: 'the connect string cannot be read',
    hint: 'write it as host:1521/service',
  },
  'NJS-516': {
    kind: 'siteInvalid',
    what: 'there is no tnsnames.ora to look the name up in',
    hint: 'write the connect string as host:1521/service',
  },
  'NJS-517': {
    kind: 'siteInvalid',
    what: 'tnsnames.ora does not know the name',
    hint: 'write the connect string as host:1521/service',
  },
  'NJS-518': {
    kind: 'databaseFailed',
    what: 'the listener does not know the service',
    hint: 'is the database started, and is database.name its service (lsnrctl status)?',
  },
  'NJS-519': {
    kind: 'databaseFailed',
    what: 'the listener does not know the SID',
    hint: 'use the service name instead',
  },
  'NJS-530': { kind: 'siteInvalid', what: 'the host is not known', hint: 'look at database.host' },
  'NJS-500': {
    kind: 'databaseFailed',
    what: 'the server closed the connection',
    hint: 'the alert log of the database says why; run the same command again',
  },
  'NJS-501': {
    kind: 'databaseFailed',
    what: 'the connection broke',
    hint: 'the network or the server ended it; run the same command again',
  },
  'NJS-123': {
    kind: 'databaseFailed',
    what: 'a statement took longer than it may',
    hint: 'see in V$SESSION_WAIT what it waits for',
  },
  'ORA-12541': { kind: 'databaseFailed', what: 'there is no listener', hint: 'lsnrctl start on the server' },
  'ORA-12170': {
    kind: 'databaseFailed',
    what: 'the host does not answer in time',
    hint: 'is the machine up, and is the port open in its firewall?',
  },
  'ORA-12528': {
    kind: 'databaseFailed',
    what: 'the instance takes no new connections',
    hint: 'it is starting, mounted or restricted: a user with SYSBACKUP gets in through a static service',
  },
  'ORA-01033': {
    kind: 'databaseFailed',
    what: 'the database is starting or shutting down',
    hint: 'wait; a user with SYSBACKUP may connect while it is mounted',
  },
  'ORA-01034': { kind: 'databaseFailed', what: 'the database is not started', hint: 'STARTUP on the server' },
  'ORA-27101': { kind: 'databaseFailed', what: 'the database is not started', hint: 'STARTUP on the server' },
  'ORA-01089': {
    kind: 'databaseFailed',
    what: 'the database is shutting down',
    hint: 'wait until it is open again',
  },
  'ORA-01109': {
    kind: 'databaseFailed',
    what: 'the database is mounted, not open',
    hint: 'ALTER DATABASE OPEN, or connect with SYSBACKUP: the control file can be read in mount state',
  },
  'ORA-01219': {
    kind: 'databaseFailed',
    what: 'the database is mounted, not open: only fixed tables can be read',
    hint: 'ALTER DATABASE OPEN first',
  },
  'ORA-01507': {
    kind: 'databaseFailed',
    what: 'the database is not mounted',
    hint: 'ALTER DATABASE MOUNT first: before that there is no control file to read',
  },
  'ORA-01035': {
    kind: 'databasePrivilege',
    what: 'the database is in restricted session',
    hint: 'wait, or GRANT RESTRICTED SESSION to the user of clona',
  },
  'ORA-00257': {
    kind: 'databaseFailed',
    what: 'the archiver is stuck: the place of the archived logs is full',
    hint: 'make room in the recovery area through RMAN (clona status tells the zone), never by deleting files',
  },
  'ORA-00020': {
    kind: 'databaseFailed',
    what: 'the server has no process left',
    hint: 'raise PROCESSES, or end sessions that nobody uses',
  },
  'ORA-02391': {
    kind: 'databaseFailed',
    what: 'the user has too many sessions',
    hint: 'raise SESSIONS_PER_USER in the profile of the user of clona',
  },
  'ORA-01555': {
    kind: 'databaseFailed',
    what: 'the undo that a long query needs is overwritten (snapshot too old)',
    hint: 'raise UNDO_RETENTION and the undo tablespace, or export at a quieter time',
  },
  'ORA-01653': {
    kind: 'diskFull',
    what: 'a tablespace is full',
    hint: 'add room to it, or let its file grow',
  },
  'ORA-01654': {
    kind: 'diskFull',
    what: 'a tablespace is full',
    hint: 'add room to it, or let its file grow',
  },
  'ORA-01658': {
    kind: 'diskFull',
    what: 'a tablespace is full',
    hint: 'add room to it, or let its file grow',
  },
  'ORA-01536': {
    kind: 'diskFull',
    what: 'the quota of the schema in its tablespace is used up',
    hint: 'ALTER USER … QUOTA UNLIMITED ON the tablespace',
  },
  'ORA-19502': { kind: 'diskFull', what: 'a file could not be written', hint: 'is the disk full?' },
  'ORA-19809': {
    kind: 'diskFull',
    what: 'the recovery area is full',
    hint: 'raise DB_RECOVERY_FILE_DEST_SIZE, or make room through RMAN',
  },
  'ORA-19804': {
    kind: 'diskFull',
    what: 'the recovery area is full',
    hint: 'raise DB_RECOVERY_FILE_DEST_SIZE, or make room through RMAN',
  },
  'ORA-00439': {
    kind: 'serverUnfit',
    what: 'this edition lacks the feature',
    hint: 'Standard Edition has no FLASHBACK DATABASE: the snapshot of the machine is the way back there',
  },
  'ORA-38760': {
    kind: 'databaseFailed',
    what: 'the database could not turn flashback on',
    hint: 'is there room in the recovery area, and was a flashback log deleted by hand?',
  },
  'ORA-38784': {
    kind: 'serverUnfit',
    what: 'a guaranteed restore point needs a recovery area',
    hint: 'set DB_RECOVERY_FILE_DEST and its size',
  },
  'ORA-38786': {
    kind: 'serverUnfit',
    what: 'there is no recovery area',
    hint: 'set DB_RECOVERY_FILE_DEST and its size',
  },
  'ORA-38787': {
    kind: 'serverUnfit',
    what: 'the first guaranteed restore point needs a mounted database while flashback is off',
    hint: 'SHUTDOWN IMMEDIATE, STARTUP MOUNT, create it, ALTER DATABASE OPEN',
  },
  'ORA-01123': {
    kind: 'serverUnfit',
    what: 'the database is in NOARCHIVELOG mode: nothing can be backed up while it is open',
    hint: 'ALTER DATABASE ARCHIVELOG in mount state, or back up after a clean shutdown',
  },
  'ORA-65096': {
    kind: 'questionInvalid',
    what: 'a user of the root of a container database must be a common one',
    hint: 'connect to the pluggable database: database.name is its service',
  },
} as const satisfies Record<string, ServerErrorRow>;

const rows: ReadonlyMap<string, ServerErrorRow> = new Map(Object.entries(serverErrors));

/** The first code of a text: `ORA-01017`, `NJS-503`. Codes are five digits for ORA, three for NJS. */
export function findServerCode(text: string): string | null {
  return /\b(?:ORA-\d{5}|NJS-\d{3}|DPI-\d{4}|PLS-\d{5})\b/.exec(text)?.[0] ?? null;
}

/** Any error of driver or server as a ClonaError; `doing` begins the sentence, an aborted signal's reason wins. */
export function serverError(thrown: unknown, doing: string, signal?: AbortSignal): Error {
  if (signal?.aborted === true && signal.reason instanceof Error) return signal.reason;
  if (thrown instanceof ClonaError) return thrown;
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  const code = findServerCode(said);
  const row = code === null ? undefined : rows.get(code);
  const details = code === null ? undefined : { code };
  const first = said.split('\n')[0] ?? said;
  if (row === undefined)
    return new ClonaError('databaseFailed', `${doing}: ${first}`, { cause: thrown, details });
  const { kind, what, hint } = row;
  return new ClonaError(kind, `${doing}: ${what} (${code ?? ''})`, { cause: thrown, hint, details });
}

/** Codes of a connection that is gone, or of a server that goes away: what was asked has no answer. */
const lost =
  /\b(?:ORA-(?:00028|01012|01033|01034|01089|01092|03113|03114|03135|12537|12547)|NJS-(?:500|501|503|510|530))\b/;

export function isConnectionLost(thrown: unknown): boolean {
  return lost.test(thrown instanceof Error ? thrown.message : String(thrown));
}
