import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { User } from './accounts.ts';
import type { PluggableState } from './pluggable.ts';
import type { LongOperation } from './long-operations.ts';
import { createDatabase } from './physical/create.ts';
import type { Database } from './physical/database.ts';
import { readDirectories } from './directories.ts';
import { layAccounts, readAccounts } from './stored-accounts.ts';

export interface InstanceSettings {
  serviceName: string;
  databaseName: string;
  uniqueName: string;
  instanceName: string;
  hostName: string;
  dbid: bigint;
  version: readonly [number, number, number];
  edition: 'EE' | 'SE2';
  /** A container database: sessions are in its root; its PDBs are what a test gives for V$PDBS. */
  cdb: boolean;
  /** NLS_CHARACTERSET; exports are in it, imports into it. */
  characterSet: string;
  /** DBTIMEZONE, and the zone of the host, in which DATE columns of the control file are written. */
  databaseOffsetMinutes: number;
  hostOffsetMinutes: number;
  /** Of an instance without storage; with storage it is what was started, mounted, opened. */
  status: InstanceStatus;
  /** undefined: no files at all, the views are what the test gives. */
  storage: StorageSettings | undefined;
  /** ORACLE_HOME: the SPFILE lies in its `dbs` and outlives the process; undefined: it is in memory. */
  home: string | undefined;
  /** Milliseconds of UTC. */
  now(): number;
}

export interface StorageSettings {
  /** Everything of the instance lies below it. */
  folder: string;
  /** false: an empty machine, on which a database is to be restored. Default: true. */
  create?: boolean;
  firstScn?: bigint;
  logMode?: 'ARCHIVELOG' | 'NOARCHIVELOG';
  /** Beside SYSTEM, SYSAUX and UNDOTBS1. Default USERS and ERP. */
  tablespaces?: string[];
  /** Nodes of a cluster, each with its own redo thread; the one at work is `database.thread`. Default 1. */
  threads?: number;
  /** Second member of every online log. */
  mirrorFolder?: string;
  /** DB_RECOVERY_FILE_DEST; default `fra` in the folder. */
  recoveryArea?: string;
}

/** DOWN: not started; STARTED: no control file yet (NOMOUNT); as V$INSTANCE.STATUS says it. */
export type InstanceStatus = 'DOWN' | 'STARTED' | 'MOUNTED' | 'OPEN';

export interface Instance {
  settings: InstanceSettings;
  users: User[];
  readonly status: InstanceStatus;
  restricted: boolean;
  /** All online logs wait for the archiver: only SYSDBA gets in (ORA-00257). Set by a test. */
  archiverStuck: boolean;
  startedAt: number;
  started: boolean;
  database: Database | null;
  /** Parameters as SPFILE keeps them over a restart; null: there is none. */
  spfile: Map<string, string> | null;
  /** It was started from the SPFILE: one that was made since is not in use (ORA-32001). */
  fromSpfile: boolean;
  sessions: Map<number, SessionInfo>;
  /** Keys of the keystore that was opened with its password; null: none was. */
  keystoreKeys: readonly string[] | null;
  /** By name; all are MOUNTED after a start. */
  pluggables: Map<string, PluggableState>;
  /** V$SESSION_LONGOPS: gone at the next start. */
  longOperations: LongOperation[];
  /** Awaited at every step of a long operation: others get their turn; a test may hold it there. */
  pace: () => Promise<void>;
  /** Ends the connections of all sessions, or of one: set by whoever listens. */
  endSessions: (id?: number) => void;
}

export interface SessionInfo {
  id: number;
  serial: number;
  user: string;
  since: number;
  /** DBMS_SESSION.SET_IDENTIFIER. */
  clientIdentifier?: string;
  transaction: number | null;
}

const defaults: InstanceSettings = {
  serviceName: 'ERP',
  databaseName: 'ERP',
  uniqueName: 'ERP',
  instanceName: 'ERP',
  hostName: 'erpdb',
  dbid: 1_789_012_345n,
  version: [19, 21, 0],
  edition: 'EE',
  cdb: false,
  characterSet: 'AL32UTF8',
  databaseOffsetMinutes: 0,
  hostOffsetMinutes: 0,
  status: 'OPEN',
  storage: undefined,
  home: undefined,
  now: () => Date.now(),
};

export function createInstance(given: Partial<InstanceSettings>, users: User[]): Instance {
  const settings = { ...defaults, ...given };
  const { storage } = settings;
  const database = storage === undefined ? null : createStorage(settings, storage);
  const instance: Instance = {
    settings,
    users,
    restricted: false,
    archiverStuck: false,
    startedAt: settings.now(),
    started: database?.open !== null,
    database,
    spfile: database === null || database.open === null ? null : new Map(database.parameters),
    fromSpfile: database !== null && database.open !== null,
    sessions: new Map(),
    keystoreKeys: null,
    pluggables: new Map(),
    longOperations: [],
    pace: setImmediate,
    endSessions: () => {},
    get status() {
      if (instance.database === null) return settings.status;
      if (!instance.started) return 'DOWN';
      if (instance.database.control === null) return 'STARTED';
      return instance.database.open === null ? 'MOUNTED' : 'OPEN';
    },
  };
  if (database !== null) {
    layAccounts(database, users);
    database.afterOpen = () => {
      readAccounts(instance);
      readDirectories(instance);
    };
  }
  return instance;
}

function createStorage(settings: InstanceSettings, storage: StorageSettings): Database {
  const {
    folder,
    create = true,
    firstScn = 1_000_000n,
    logMode = 'ARCHIVELOG',
    tablespaces = ['USERS', 'ERP'],
    mirrorFolder,
  } = storage;
  const database: Database = {
    parameters: new Map(),
    control: null,
    open: null,
    thread: 1,
    now: () => settings.now(),
    redoBytes: 0,
    shipped: [],
    recoveryWaits: false,
    corrupt: new Map(),
    betweenBlocks: () => {},
    afterOpen: () => {},
  };
  if (!create) return database;
  const dataFolder = join(folder, 'oradata', settings.databaseName);
  database.parameters = new Map([
    ['db_name', settings.databaseName],
    ['db_unique_name', settings.uniqueName],
    ['control_files', join(dataFolder, 'control01.ctl')],
    ['db_recovery_file_dest', storage.recoveryArea ?? join(folder, 'fra')],
    ['db_recovery_file_dest_size', String(10 * 1024 ** 3)],
    ['log_archive_dest_1', 'LOCATION=USE_DB_RECOVERY_FILE_DEST'],
    ['log_archive_format', '%t_%s_%r.arc'],
    ['job_queue_processes', '40'],
    ['control_file_record_keep_time', '7'],
    ['compatible', '19.0.0'],
  ]);
  createDatabase(database, {
    dbid: settings.dbid,
    name: settings.databaseName,
    firstScn,
    dataFolder,
    mirrorFolder,
    logMode,
    tablespaces,
    threads: storage.threads ?? 1,
  });
  return database;
}

/** Wall-clock text of the host, as DATE columns are filled. */
export function hostTime({ settings }: Pick<Instance, 'settings'>, milliseconds: number): string {
  const shifted = new Date(milliseconds + settings.hostOffsetMinutes * 60_000);
  return shifted.toISOString().slice(0, 19).replace('T', ' ');
}
