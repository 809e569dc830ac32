import { availableParallelism } from 'node:os';
import { openFramePool } from '../../archive/frame-pool.ts';
import type { BackupHeader, ServerRequirements } from '../../archive/format.ts';
import { draftBackup, type Archive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import { silent, withProgress, type OnProgress } from '../../progress.ts';
import type { DatabaseAddress } from '../database.ts';
import { readLogWork, readRequirements, readServerFacts, type ServerFacts } from './backup-facts.ts';
import { copyByProtocol } from './backup-managed.ts';
import { connect, type Connection } from './connect.ts';
import { openReplication } from './replication/session.ts';

export interface BackupOptions {
  address: DatabaseAddress;
  /** Opened by openOrCreateArchive with the identity of this database. */
  archive: Archive;
  kind: 'managed' | 'hot' | 'quiesced';
  /** Default: made of the time and the kind. */
  label?: string | undefined;
  /** zstd level. Default 3. */
  compressionLevel?: number | undefined;
  /** Threads that compress. Default: what the host has, at most 8. */
  workers?: number | undefined;
  /** Managed backups: carry the log from start to consistentFrom (R7). Default true. */
  ownLog?: boolean | undefined;
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
  signal: AbortSignal | undefined;
  onProgress: OnProgress;
}

/**
 * Takes a backup of a running server into the archive. Whatever fails or is aborted: the server leaves backup mode (it
 * ends with the session) and goes on, the archive has no backup more than before.
 */
export async function takeBackup(options: BackupOptions): Promise<BackupHeader> {
  const { address, archive, kind, signal, onProgress = silent } = options;
  const startedAt = options.now();
  const label = options.label ?? makeLabel(startedAt, kind);
  await using session = await connect(address, signal);
  const facts = await readServerFacts(session);
  checkSource(facts, archive);
  const before = await readLogWork(session);
  const requirements = await readRequirements(address, session, signal);
  await using draft = await draftBackup(archive, label);
  const context: CopyContext = {
    address,
    session,
    facts,
    folder: draft.folder,
    label,
    options,
    signal,
    onProgress,
  };
  const copied = await withProgress(
    onProgress,
    'copying the cluster',
    async () => copyCluster(kind, context),
    (found) =>
      `${mebibytes(sum(found.archives, 'rawBytes'))} MiB in ${mebibytes(sum(found.archives, 'compressedBytes'))} MiB`,
  );
  const after = await readLogWork(session);
  const header = makeHeader(context, copied, requirements, startedAt, {
    fullPageImages: Math.max(0, after.fullPageImages - before.fullPageImages),
    logBytes: Math.max(0, after.logBytes - before.logBytes),
  });
  await draft.publish(header);
  return header;
}

async function copyCluster(kind: BackupOptions['kind'], context: CopyContext): Promise<CopiedFacts> {
  if (kind === 'managed') return copyManaged(context);
  throw new ClonaError('usage', `a backup of the kind ${kind} is not known`);
}

async function copyManaged(context: CopyContext): Promise<CopiedFacts> {
  const { address, folder, label, options, signal, onProgress } = context;
  const withLog = options.ownLog ?? true;
  await using replication = await openReplication(address, signal);
  await using pool = openFramePool(workersOf(options), options.compressionLevel ?? 3);
  await using backup = await copyByProtocol(replication, folder, pool, { label, withLog, onProgress });
  const { archives, manifestSha256 } = await backup.taker.finish();
  return {
    timeline: backup.timeline,
    start: String(backup.start),
    consistentFrom: String(backup.stop),
    ownLog: withLog,
    archives,
    manifestSha256,
    pauseMs: null,
    restorePoint: null,
  };
}

function makeHeader(
  context: CopyContext,
  copied: CopiedFacts,
  requirements: ServerRequirements,
  startedAt: Date,
  extraRedo: BackupHeader['extraRedo'],
): BackupHeader {
  const { address, facts, label, options } = context;
  return {
    format: 1,
    label,
    kind: options.kind,
    systemIdentifier: facts.systemIdentifier,
    database: address.database,
    serverVersion: facts.serverVersion,
    ...copied,
    startedAt: startedAt.toISOString(),
    finishedAt: options.now().toISOString(),
    device: 'unknown',
    rawBytes: sum(copied.archives, 'rawBytes'),
    compressedBytes: sum(copied.archives, 'compressedBytes'),
    encryption: null,
    requirements,
    extraRedo,
  };
}

function checkSource(facts: ServerFacts, archive: Archive): void {
  if (facts.systemIdentifier !== archive.header.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `the archive in ${archive.folder} belongs to the database with system identifier ${archive.header.systemIdentifier}, this one has ${facts.systemIdentifier}`,
      { hint: 'a backup goes only into the archive of its own database' },
    );
  }
  if (facts.serverVersion < 150_000) {
    throw new ClonaError(
      'databaseVersion',
      `PostgreSQL ${Math.floor(facts.serverVersion / 10_000)} is not supported`,
      {
        hint: '15 to 18 are',
      },
    );
  }
}

/** Sorts by time: 20260721T101500Z-managed. */
function makeLabel(at: Date, kind: string): string {
  return `${at.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '')}-${kind}`;
}

export function workersOf(options: Pick<BackupOptions, 'workers'>): number {
  return options.workers ?? Math.min(8, availableParallelism());
}

function sum(archives: BackupHeader['archives'], field: 'rawBytes' | 'compressedBytes'): number {
  return archives.reduce((total, archive) => total + archive[field], 0);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
