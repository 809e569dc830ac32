import type { Position } from './position.ts';

/** What is known of one database: its branches of history, its backups and its log (docs/catalog.md). */
export interface Catalog {
  engine: 'oracle' | 'postgres';
  database: string;
  currentIncarnation: number;
  incarnations: Incarnation[];
  backups: Backup[];
  logs: ArchivedLog[];
  onlineLogs: OnlineLog[];
  /** What was changed without redo and is therefore in no log (NOLOGGING, UNLOGGED, wal_level minimal). */
  changesWithoutRedo?: ChangeWithoutRedo[];
  /** By the server's word: a thread that was disabled wrote no log, and none is missing. */
  idleThreads?: IdleThread[];
}

export interface ChangeWithoutRedo {
  incarnation: number;
  /** When it happened; null: at any time (an UNLOGGED table is empty after every recovery). */
  position: Position | null;
  /** What was changed, as its owner names it: `ERP.STAGE_ITEMS`, `datafile 7`. */
  object: string;
  how: 'NOLOGGING' | 'UNLOGGED' | 'wal_level minimal';
}

export interface Incarnation {
  id: number;
  parent: number | null;
  branchPosition: Position;
  openedAt: string | null;
}

export type BackupKind = 'hot' | 'managed' | 'quiesced' | 'cold' | 'export';
export type RecordState = 'available' | 'missing' | 'damaged' | 'expired';

export interface Backup {
  label: string;
  incarnation: number;
  kind: BackupKind;
  /** First position whose redo recovery needs; null for an export without a position. */
  start: Position | null;
  /** Lowest "until" at which the restored files agree with each other; null while the backup runs. */
  consistentFrom: Position | null;
  startedAt: string | null;
  finishedAt: string | null;
  device: string | null;
  state: RecordState;
  /** The backup carries the log from start to consistentFrom. */
  ownLog: boolean;
  /** Highest verified grade 0 to 6 (R15); null: never verified. */
  grade: number | null;
  pinned: boolean;
  bytes: number | null;
  /** Labels this backup stands on (incrementals). */
  requires?: string[];
  /** false: an export without a consistent SCN. */
  consistent?: boolean;
}

export interface ArchivedLog {
  incarnation: number;
  thread: number;
  sequence: number;
  first: Position;
  next: Position;
  firstTime: string | null;
  nextTime: string | null;
  state: RecordState;
}

export interface OnlineLog {
  incarnation: number;
  thread: number;
  first: Position;
  end: Position;
  firstTime: string | null;
  endTime: string | null;
}

export interface IdleThread {
  incarnation: number;
  thread: number;
  from: Position;
  /** null: it still is, up to the end of all that is known. */
  to: Position | null;
}
