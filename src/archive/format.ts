import type { BackupKind } from '../recovery/catalog.ts';

/**
 * The archive repository of PostgreSQL, format 1: a folder that any zstd, tar and pg_verifybackup can read.
 *
 *   clona-archive.json                      ArchiveHeader
 *   backups/<label>/backup.json             BackupHeader; written last, so a folder without it is not a backup
 *   backups/<label>/base.tar.zst            the data directory; independent zstd frames, each with its checksum
 *   backups/<label>/<oid>.tar.zst           one per tablespace
 *   backups/<label>/backup_manifest         as the server wrote it
 *   backups/<label>/grades.json             GradeRecord[]: what was proven of it, when, by which evidence
 *   backups/.<label>.partial/               a backup being written: renamed when whole, removed when interrupted
 *   log/<timeline, 8 hex>/<segment, 24 hex>.zst
 *   log/<timeline, 8 hex>.history
 *
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

/** One independent zstd frame: a range of the tar that can be unpacked by itself. Frames begin at tar headers. */
export interface Frame {
  compressedOffset: number;
  compressedBytes: number;
  rawOffset: number;
  rawBytes: number;
}

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
