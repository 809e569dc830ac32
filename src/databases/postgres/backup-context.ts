import type { BackupHeader } from '../../archive/format.ts';
import type { Archive } from '../../archive/repository.ts';
import type { OnProgress } from '../../progress.ts';
import type { DatabaseAddress } from '../database.ts';
import type { ServerFacts } from './backup-facts.ts';
import type { Connection } from './connect.ts';

export type BackupKind = 'managed' | 'hot' | 'quiesced';

export interface BackupOptions {
  address: DatabaseAddress;
  /** Opened by openOrCreateArchive with the identity of this database. */
  archive: Archive;
  /** Default: managed, or hot where the role has no REPLICATION. */
  kind?: BackupKind | undefined;
  /** Default: made of the time and the kind. */
  label?: string | undefined;
  /** zstd level. Default 3. */
  compressionLevel?: number | undefined;
  /** Threads that compress. Default: what the host has, at most 8. */
  workers?: number | undefined;
  /** Managed backups: carry the log from start to consistentFrom (R7). Default true. */
  ownLog?: boolean | undefined;
  /** Quiesced backups: the longest pause of the writers, in milliseconds. Default 700; under deadlock_timeout always. */
  pauseLimitMs?: number | undefined;
  /** How often a pause is tried before it is given up. Default 20, over about 20 s. */
  pauseAttempts?: number | undefined;
  /** Who takes it, for a note beside it: where no site's ledger takes the record. Default: no note. */
  takenBy?: string | undefined;
  now: () => Date;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/** What a kind of backup finds out while it copies. */
export type CopiedFacts = Pick<
  BackupHeader,
  | 'timeline'
  | 'start'
  | 'consistentFrom'
  | 'ownLog'
  | 'archives'
  | 'manifestSha256'
  | 'pauseMs'
  | 'restorePoint'
>;

/** What every kind of backup is given. */
export interface CopyContext {
  address: DatabaseAddress;
  session: Connection;
  facts: ServerFacts;
  folder: string;
  label: string;
  options: BackupOptions;
  workers: number;
  level: number;
  signal: AbortSignal | undefined;
  onProgress: OnProgress;
}
