/** Times are milliseconds of UTC; SCNs are bigint. */
export interface Incarnation {
  number: number;
  resetlogsScn: bigint;
  resetlogsAt: number;
  parent: number | null;
  status: 'CURRENT' | 'PARENT' | 'ORPHAN';
}

/** A datafile as the control file knows it. */
export interface ControlDatafile {
  file: number;
  tablespace: string;
  name: string;
  creationScn: bigint;
  creationAt: number;
  checkpointScn: bigint;
  checkpointAt: number;
  /** Set by a clean shutdown; null while it is open, or after a crash. */
  stopScn: bigint | null;
  /** NOLOGGING changes since then are in no redo. */
  unrecoverableScn: bigint | null;
  unrecoverableAt: number | null;
  backup: { active: boolean; scn: bigint; at: number } | null;
}

export interface LogGroup {
  group: number;
  thread: number;
  sequence: number;
  members: string[];
  archived: boolean;
  status: 'CURRENT' | 'ACTIVE' | 'INACTIVE' | 'UNUSED';
  firstScn: bigint;
  firstAt: number;
  nextScn: bigint | null;
  nextAt: number | null;
}

/** Redo of one node of a cluster; a single instance has one. */
export interface RedoThread {
  thread: number;
  /** From there on recovery needs its logs. */
  enabledFrom: bigint;
  /** null: it is enabled. */
  disabledFrom: bigint | null;
}

export interface ArchivedLog {
  recid: number;
  name: string;
  /** Further destinations on this machine. */
  copies?: { destination: number; name: string }[];
  thread: number;
  sequence: number;
  resetlogsScn: bigint;
  resetlogsAt: number;
  firstScn: bigint;
  firstAt: number;
  nextScn: bigint;
  nextAt: number;
  completedAt: number;
  deleted: boolean;
  /** Available, deleted, or expired: not found at a crosscheck. */
  status: 'A' | 'D' | 'X';
  backups: number;
  bytes: number;
}

export interface BackedUpFile {
  /** 0: a control file. */
  file: number;
  creationScn: bigint;
  resetlogsScn: bigint;
  resetlogsAt: number;
  checkpointScn: bigint;
  checkpointAt: number;
  absoluteFuzzyScn: bigint;
  level: number | null;
  /** Level 1: blocks older than that lie in its base. Else 0. */
  incrementalFrom: bigint;
  corrupt: number;
  pages: number;
}

export interface BackupSet {
  recid: number;
  stamp: number;
  count: number;
  type: 'D' | 'I' | 'L';
  level: number | null;
  controlFile: boolean;
  startedAt: number;
  completedAt: number;
  tag: string;
  handle: string;
  bytes: number;
  status: 'A' | 'D' | 'X';
  files: BackedUpFile[];
  logs: {
    thread: number;
    sequence: number;
    resetlogsScn: bigint;
    resetlogsAt: number;
    firstScn: bigint;
    firstAt: number;
    nextScn: bigint;
    nextAt: number;
  }[];
  keepUntil: number | null;
}

/** An image copy: made by RMAN, or catalogued from user-managed copies. */
export interface DatafileCopy extends BackedUpFile {
  recid: number;
  name: string;
  tag: string | null;
  completedAt: number;
  status: 'A' | 'D';
}

export interface RestorePoint {
  name: string;
  scn: bigint;
  at: number;
  incarnation: number;
  guaranteed: boolean;
}

export interface ControlFile {
  dbid: bigint;
  name: string;
  createdAt: number;
  type: 'CURRENT' | 'BACKUP';
  logMode: 'ARCHIVELOG' | 'NOARCHIVELOG';
  /** Grows with every write. */
  sequence: number;
  scn: bigint;
  checkpointScn: bigint;
  checkpointAt: number;
  incarnations: Incarnation[];
  current: number;
  files: ControlDatafile[];
  groups: LogGroup[];
  threads: RedoThread[];
  archived: ArchivedLog[];
  sets: BackupSet[];
  copies: DatafileCopy[];
  restorePoints: RestorePoint[];
  /** Its tablespaces and its backups are encrypted with it. */
  masterKey?: string;
  /** Names of its pluggable databases; absent: it is no container database. */
  pdbs?: string[];
  flashbackOn: boolean;
  lastRecid: number;
  /** Recovery stopped there, and RESETLOGS may open; null: nothing was recovered. */
  recoveredTo: bigint | null;
}

/** What a block holds: the last writer's content, and what was there before that transaction. */
export interface PageState {
  content: string | null;
  /** 0: nobody's transaction. */
  transaction: number;
  before: string | null;
}

/** A block of the simulated database: any object, whole, as text. */
export interface Page extends PageState {
  /** SCN of the last change in its head, and again in its tail: where they differ it is fractured. */
  head: bigint;
  tail: bigint;
}

export interface FileHeader {
  file: number;
  dbid: bigint;
  tablespace: string;
  creationScn: bigint;
  resetlogsScn: bigint;
  resetlogsAt: number;
  checkpointScn: bigint;
  checkpointAt: number;
  /** Its database was open, or in backup mode, when this was written. */
  fuzzy: boolean;
  /** The begin SCN of a hot backup whose end is still to come in the redo. */
  backupScn: bigint | null;
  /** Recovery must go beyond it: the highest change that a managed backup met. */
  absoluteFuzzyScn: bigint;
}

export interface DataFile {
  header: FileHeader;
  pages: Map<string, Page>;
}

/** A text whole, or by what of its base begins it and ends it. */
export type Delta = string | null | { keep: number; text: string; end: number };

export type Redo =
  | {
      kind: 'change';
      scn: bigint;
      file: number;
      page: string;
      /** What it was made from: a digest tells it. */
      from: { digest: string; transaction: number };
      to: { content: Delta; transaction: number; before: Delta };
      image: boolean;
    }
  | { kind: 'endBackup'; scn: bigint; file: number; beginScn: bigint }
  | { kind: 'nologging'; scn: bigint; file: number; page: string };

/** What an archived or online log holds. */
export interface RedoLog {
  dbid: bigint;
  thread: number;
  sequence: number;
  resetlogsScn: bigint;
  resetlogsAt: number;
  /** The incarnation before: so a control file that never heard of this one learns where it belongs. */
  prior: { resetlogsScn: bigint; resetlogsAt: number } | null;
  firstScn: bigint;
  firstAt: number;
  /** null: it is still written. */
  nextScn: bigint | null;
  nextAt: number | null;
  records: Redo[];
}
