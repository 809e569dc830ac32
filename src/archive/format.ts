import type { BackupKind } from '../recovery/catalog.ts';

/**
 * The archive repository of PostgreSQL, format 1: a folder that any zstd, tar and pg_verifybackup can read.
 *
 *   clona-archive.json                      ArchiveHeader
 *   backups/<label>/backup.json             BackupHeader; written last, so a folder without it is not a backup
 *   backups/<label>/base.tar.zst            the data directory; independent zstd frames, each with its checksum
 *   backups/<label>/<oid>.tar.zst           one per tablespace
 *   backups/<label>/backup_manifest         as the server wrote it
 *   backups/<label>/grades.json             { grades: GradeRecord[] }: what was proven of it, when, by which evidence
 *   backups/<label>/evidence.json           EvidenceNote, where the backup was taken without a site and its ledger
 *   backups/.<label>.partial/               a backup being written: renamed when whole, removed when interrupted
 *   log/<timeline, 8 hex>/<segment, 24 hex>.zst           one zstd frame and a LogTrailer in a skippable frame
 *   log/<timeline, 8 hex>/<segment, 24 hex>.partial.zst   the unfinished last segment of a timeline that was left
 *   log/<timeline, 8 hex>/<segment>.<offset>.backup       as the server wrote it
 *   log/<timeline, 8 hex>.history                         as the server wrote it
 *
 * A name that begins with a dot is not part of the archive: a file or folder that is still being written.
 * The JSON files end with a line `"checksum":"<SHA-256 of all before>"}` (src/archive/document.ts).
 * The mirror is a second folder of the same form.
 */
export interface ArchiveHeader {
  format: 1;
  engine: 'postgres';
  database: string;
  /** pg_control's system identifier, decimal. Another one is refused (`archiveForeign`). */
  systemIdentifier: string;
  segmentSizeBytes: number;
  createdAt: string;
}

export interface BackupHeader {
  format: 1;
  label: string;
  kind: Exclude<BackupKind, 'export'>;
  systemIdentifier: string;
  database: string;
  /** As server_version_num: 180004. */
  serverVersion: number;
  timeline: number;
  /** Positions are LSNs as decimal strings. */
  start: string;
  consistentFrom: string;
  startedAt: string;
  finishedAt: string;
  /** The log from start to consistentFrom lies inside base.tar.zst under pg_wal/. */
  ownLog: boolean;
  archives: ArchiveFile[];
  manifestSha256: string;
  /** Device the archive lies on, as the operating system names it. */
  device: string;
  rawBytes: number;
  compressedBytes: number;
  /** Kept free for encryption: a key's id, never a key. */
  encryption: null | { keyId: string };
  requirements: ServerRequirements;
  /** Full-page images and log bytes written between start and stop (pg_stat_wal). */
  extraRedo: { fullPageImages: number; logBytes: number } | null;
  /** How long writers were paused (quiesced backups), in milliseconds. */
  pauseMs: number | null;
  /**
   * Quiesced backups: the restore point whose record ends at consistentFrom, the last one in the carried log.
   * Recovery to it is asked by this name: a target LSN needs a record after it, and there is none inside.
   */
  restorePoint: string | null;
}

export interface ArchiveFile {
  name: string;
  tablespaceOid: number | null;
  /** Where the tablespace's link pointed on the source. */
  tablespacePath: string | null;
  rawBytes: number;
  compressedBytes: number;
  /** SHA-256 of the compressed file, hex. */
  sha256: string;
  frames: Frame[];
}

/**
 * One independent zstd frame: a range of the tar that can be unpacked by itself. It begins at a tar header, or
 * inside the content of a member that began in an earlier frame; the end of a member may lie in a later frame.
 * A member's padding to 512 bytes belongs to it. All frames in order are the tar, without gap or overlap.
 */
export interface Frame {
  compressedOffset: number;
  compressedBytes: number;
  rawOffset: number;
  rawBytes: number;
  /** null: begins at a header. Else: begins at `fileOffset` (a multiple of 32 KiB) of the file `path` (as in its header). */
  inside: { path: string; fileOffset: number; fileBytes: number } | null;
}

/**
 * JSON in a skippable frame (magic 0x184D2A50) of `logTrailerBytes` bytes in all, padded with spaces, at the very end of
 * a log file: what a catalog needs to know, in the same file, so that neither can be lost without the other.
 */
export interface LogTrailer {
  format: 1;
  /** Name of the segment, with `.partial` where it is one. */
  name: string;
  systemIdentifier: string;
  rawBytes: number;
  /** SHA-256 of the uncompressed segment, and of the zstd frame before this trailer; hex. */
  sha256: string;
  frameSha256: string;
  /** Times of the first and the last commit or abort in the segment; null where none was found. */
  firstTime: string | null;
  lastTime: string | null;
  archivedAt: string;
}

export const logTrailerBytes = 1024;

/** What a server must offer before the restored cluster may start there. */
export interface ServerRequirements {
  /** max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions, max_locks_per_transaction. */
  settings: Record<string, number>;
  preloadLibraries: string[];
  extensions: { database: string; name: string; version: string }[];
  collations: { database: string; name: string; provider: string; version: string | null }[];
  dataChecksums: boolean;
  blockSizeBytes: number;
}

export interface GradeRecord {
  grade: number;
  at: string;
  /** Id of the evidence record, and a short text of what was found. */
  evidence: string;
  detail: string;
}

/** Who took a backup that no site's ledger knows (docs/evidence.md). */
export interface EvidenceNote {
  format: 1;
  kind: 'backup.taken';
  time: string;
  by: string;
  host: string;
  label: string;
  /** SHA-256 of backup.json as it was then, hex. */
  headerSha256: string;
}
