import { acquireSiteLock } from '../control/lock.ts';
import { addGrade, type Archive } from '../archive/repository.ts';
import type { BackupHeader } from '../archive/format.ts';
import type { BackupKind } from '../databases/postgres/backup-context.ts';
import { takeBackup } from '../databases/postgres/backup.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { takeColdBackup } from '../databases/postgres/cold/backup-cold.ts';
import { readControlFile } from '../databases/postgres/cold/read-stopped.ts';
import { findLocalDataDir } from '../databases/postgres/cluster-source.ts';
import { proveChecksums } from '../databases/postgres/prove/checksums.ts';
import type { ChecksumReport } from '../databases/postgres/prove/checksum-report.ts';
import { ClonaError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';
import { withProgress } from '../progress.ts';
import { archiveLog, openArchivesOf, openSiteArchive } from './postgres/live-archive.ts';
import type { Site } from '../site/site.ts';
import { openProductionCluster, restartProduction } from './cold-cluster.ts';
import { streamsLog } from './log-streams.ts';
import { reserveStreams } from './postgres/stream-log.ts';
import { mirrorBackups } from './mirror-backups.ts';
import type { OpenedSite } from './open-site.ts';
import type { BackupTaken } from './operations.ts';
import { findProduction, requireArchiveApart } from './production.ts';
import { newRunId } from './run-id.ts';

export interface SiteBackupOptions {
  /** Who takes it, for the lock and the evidence. */
  by: string;
  /** Default: managed, or hot where the role has no REPLICATION. */
  kind: BackupKind | 'cold' | undefined;
  /** Cold backups: asked before a running server is stopped; throws where that is not wanted. */
  confirmStop?: (() => Promise<void>) | undefined;
  label?: string | undefined;
  /** Cold backups: where the files are, instead of the site file. */
  dataDir?: string | undefined;
  /** These win over the site file. */
  level?: number | undefined;
  workers?: number | undefined;
  acceptSharedDisk?: string | undefined;
  ownLog?: boolean | undefined;
  signal: AbortSignal;
  onProgress: OnProgress;
}

export interface SiteBackup {
  header: BackupHeader;
  archive: Archive;
  grade: 1;
  /** The last segment that archive and mirror have; null: see `warnings`. */
  archivedTo: string | null;
  /** What has to be looked at, and shown wherever the archive is (R16). */
  warnings: string[];
}

/**
 * Takes a backup of production into the site's archive, reads it back (grade 1), brings the log up to its end into
 * archive and mirror, and records it. Throws `locked` when another run has the site, `sharedDisk` by R16.
 */
export async function backUpSite(opened: OpenedSite, options: SiteBackupOptions): Promise<SiteBackup> {
  await using lock = await acquireSiteLock(opened.control, { who: options.by, what: 'backup' }, new Date());
  const signal = AbortSignal.any([options.signal, lock.lost]);
  return await backUpUnderLock(opened, { ...options, signal });
}

/** The same for a run that has the site already. */
export async function backUpUnderLock(opened: OpenedSite, options: SiteBackupOptions): Promise<SiteBackup> {
  const { site } = opened;
  const { by, signal, onProgress } = options;
  const work = { signal, onProgress };
  const restarted = await restartProduction(site, signal);
  const taken = options.kind === 'cold' ? await takeCold(site, options) : await takeHot(site, options);
  const { header, archive, mirror, address } = taken;
  const workers = options.workers ?? site.archive.workers;
  const proof = await proveChecksums({ archiveDir: archive.folder, label: header.label, workers, ...work });
  if (!proof.passed) throw damagedError(header.label, proof);
  const warnings = [...(restarted === null ? [] : [restarted]), ...taken.warnings];
  const archivedTo = await bringLog(opened, address, work).catch((error: unknown) => {
    work.signal.throwIfAborted();
    warnings.push(`the log is not archived: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  });
  await remember(opened, archive, header, by);
  warnings.push(...(await mirrorBackups(archive, mirror, { workers, ...work })));
  return { header, archive, grade: 1, archivedTo, warnings };
}

interface Taken {
  header: BackupHeader;
  archive: Archive;
  mirror: Archive | undefined;
  address: DatabaseAddress;
  warnings: string[];
}

/** Of a server that runs, and goes on. */
async function takeHot(site: Site, options: SiteBackupOptions): Promise<Taken> {
  const { kind, signal } = options;
  if (kind === 'cold') throw new ClonaError('internal', 'a cold backup is taken another way');
  const address = await findProduction(site, signal);
  const dataDir = await findLocalDataDir(address, signal);
  const shared = await requireApart(site, options, dataDir);
  if (streamsLog(site)) await reserveStreams(site, address, signal);
  const { archive, mirror } = await openSiteArchive(site, address, signal);
  const header = await takeBackup({
    address,
    archive,
    kind,
    ownLog: options.ownLog,
    ...commonOptions(site, options),
  });
  return { header, archive, mirror, address, warnings: shared };
}

/** Of a server that is shut down for it, or is down already. */
async function takeCold(site: Site, options: SiteBackupOptions): Promise<Taken> {
  const { signal, confirmStop, dataDir } = options;
  const { cluster, address } = await openProductionCluster(site, signal, dataDir);
  const shared = await requireApart(site, options, cluster.dataDir);
  const control = await readControlFile(cluster.dataDir);
  const { archive, mirror } = await openArchivesOf(site, { ...control, database: address.database });
  const { header, warnings } = await takeColdBackup({
    cluster,
    address,
    archive,
    confirmStop: confirmStop ?? (async () => {}),
    ...commonOptions(site, options),
  });
  return { header, archive, mirror, address, warnings: [...shared, ...warnings] };
}

function commonOptions(site: Site, { label, level, workers, signal, onProgress }: SiteBackupOptions) {
  return {
    label,
    compressionLevel: level ?? site.archive.compressionLevel,
    workers: workers ?? site.archive.workers,
    now: () => new Date(),
    signal,
    onProgress,
  };
}

async function requireApart(
  site: Site,
  { acceptSharedDisk = site.archive.acceptSharedDisk, signal }: SiteBackupOptions,
  dataDir: string | undefined,
): Promise<string[]> {
  const shared = await requireArchiveApart(site, dataDir, acceptSharedDisk, signal);
  return shared === null ? [] : [shared];
}

function damagedError(label: string, { problems }: ChecksumReport): ClonaError {
  return new ClonaError('proofFailed', `backup ${label} reads back damaged`, {
    hint: 'the disk of the archive is not to be trusted; the backup stays for inspection, without a grade',
    details: { lines: problems.slice(0, 20).map(({ file, message }) => `${file}: ${message}`) },
  });
}

/** As every backup that a run takes is recorded (src/pipeline/evidence-kinds.ts), with who took it and how. */
async function remember(
  { ledger }: OpenedSite,
  archive: Archive,
  header: BackupHeader,
  by: string,
): Promise<void> {
  const { label, kind, startedAt, finishedAt, compressedBytes } = header;
  const now = new Date();
  const run = newRunId('backup', now);
  const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  const payload: BackupTaken = { label, finishedAt, bytes: compressedBytes, grade: 1, seconds };
  const record = await ledger.append(
    { kind: 'backup.taken', run, key: `${run}/backup`, payload: { ...payload, by, kind } },
    now,
  );
  const detail = 'read back after it was taken';
  await addGrade(archive, label, { grade: 1, at: now.toISOString(), evidence: record.hash, detail });
}

async function bringLog(
  { site }: OpenedSite,
  address: Awaited<ReturnType<typeof findProduction>>,
  work: { signal: AbortSignal; onProgress: OnProgress },
): Promise<string> {
  return withProgress(work.onProgress, 'archiving the log up to the end of the backup', async () =>
    archiveLog(site, address, work),
  );
}
