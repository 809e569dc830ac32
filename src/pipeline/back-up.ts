import { acquireSiteLock } from '../control/lock.ts';
import { addGrade, type Archive } from '../archive/repository.ts';
import type { BackupHeader } from '../archive/format.ts';
import type { BackupOptions } from '../databases/postgres/backup-context.ts';
import { takeBackup } from '../databases/postgres/backup.ts';
import { findLocalDataDir } from '../databases/postgres/cluster-source.ts';
import { archiveEverything } from '../databases/postgres/log-archiver.ts';
import { proveChecksums, type ChecksumReport } from '../databases/postgres/prove/checksums.ts';
import { ClonaError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';
import { withProgress } from '../progress.ts';
import { openSiteArchive, withArchiver } from './machine/live-archive.ts';
import { mirrorBackups } from './mirror-backups.ts';
import type { OpenedSite } from './open-site.ts';
import type { BackupTaken } from './operations.ts';
import { findProduction, requireOwnDisk } from './production.ts';
import { newRunId } from './run-id.ts';

export interface SiteBackupOptions {
  /** Who takes it, for the lock and the evidence. */
  by: string;
  kind: BackupOptions['kind'];
  label?: string | undefined;
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
  const address = await findProduction(site, work.signal);
  const accepted = options.acceptSharedDisk ?? site.archive.acceptSharedDisk;
  const dataDir = await findLocalDataDir(address, work.signal);
  const shared = await requireOwnDisk(dataDir, site.archive.location, accepted);
  const { archive, mirror } = await openSiteArchive(site, address, work.signal);
  const workers = options.workers ?? site.archive.workers;
  const header = await takeBackup({
    address,
    archive,
    kind: options.kind,
    label: options.label,
    compressionLevel: options.level ?? site.archive.compressionLevel,
    workers,
    ownLog: options.ownLog,
    now: () => new Date(),
    ...work,
  });
  const proof = await proveChecksums({ archiveDir: archive.folder, label: header.label, workers, ...work });
  if (!proof.passed) throw damagedError(header.label, proof);
  const warnings = shared === null ? [] : [shared];
  const archivedTo = await bringLog(opened, address, work).catch((error: unknown) => {
    work.signal.throwIfAborted();
    warnings.push(`the log is not archived: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  });
  await remember(opened, archive, header, by);
  warnings.push(...(await mirrorBackups(archive, mirror, { workers, ...work })));
  return { header, archive, grade: 1, archivedTo, warnings };
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
    withArchiver(site, address, work, async (archiver) =>
      archiveEverything(address, archiver, { signal: work.signal }),
    ),
  );
}
