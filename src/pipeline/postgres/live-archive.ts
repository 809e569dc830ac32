import {
  addGrade,
  listBackups,
  openArchive,
  readGrades,
  type Archive,
  type ArchiveIdentity,
} from '../../archive/repository.ts';
import type { BackupHeader } from '../../archive/format.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { findLocalDataDir } from '../../databases/postgres/cluster-source.ts';
import { measureSpool, readSpoolFolder, type SpoolFacts } from '../../databases/postgres/log-spool.ts';
import { proveChecksums } from '../../databases/postgres/prove/checksums.ts';
import { takeBackup } from '../../databases/postgres/backup.ts';
import { readArchiveIdentity } from '../../databases/postgres/backup-facts.ts';
import { connect } from '../../databases/postgres/connect.ts';
import {
  archiveEverything,
  startLogArchiver,
  type LogArchiver,
} from '../../databases/postgres/log-archiver.ts';
import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import { openPlace } from '../known-places.ts';
import { mirrorBackups } from '../mirror-backups.ts';
import { requireArchiveApart } from '../production.ts';
import { archiveByStream, reserveStreams } from './stream-log.ts';
import { slotName, streamsLog } from '../log-streams.ts';
import type { BackupTaken, Step } from '../operations.ts';

/** The site's archive and mirror, made on first use. */
export async function openSiteArchive(
  site: Pick<Site, 'archive' | 'control'>,
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<{ archive: Archive; mirror: Archive | undefined }> {
  return openArchivesOf(site, await readArchiveIdentity(address, signal));
}

/** The same where the server cannot be asked who it is. */
export async function openArchivesOf(
  site: Pick<Site, 'archive' | 'control'>,
  { database, systemIdentifier, segmentSizeBytes }: ArchiveIdentity,
): Promise<{ archive: Archive; mirror: Archive | undefined }> {
  const identity = { database, systemIdentifier, segmentSizeBytes };
  const { location, mirror } = site.archive;
  return {
    archive: await openPlace(site, location, identity),
    mirror: mirror === undefined ? undefined : await openEvenIfAway(site, mirror, identity),
  };
}

/** A managed backup named after its step: a repeated step finds the backup that it took. */
export async function backUpLive(site: Site, address: DatabaseAddress, step: Step): Promise<BackupTaken> {
  const dataDir = await findLocalDataDir(address, step.signal);
  await requireArchiveApart(site, dataDir, site.archive.acceptSharedDisk, step.signal);
  if (streamsLog(site)) await reserveStreams(site, address, step.signal);
  const { archive, mirror } = await openSiteArchive(site, address, step.signal);
  const label = step.key.replaceAll(/[^A-Za-z0-9._-]/g, '.').slice(0, 100);
  const earlier = (await listBackups(archive)).find((backup) => backup.label === label);
  const header =
    earlier?.header ??
    (await takeBackup({
      address,
      archive,
      label,
      compressionLevel: site.archive.compressionLevel,
      workers: site.archive.workers,
      now: () => new Date(),
      signal: step.signal,
      onProgress: step.onProgress,
    }));
  const grade = await proveFresh(site, header, step);
  await rememberGrade(archive, label, grade, step.key);
  const { workers } = site.archive;
  for (const detail of await mirrorBackups(archive, mirror, { workers, ...step }))
    step.onProgress({ step: 'copying backups to the mirror', state: 'running', detail });
  return describe(header, grade);
}

/** Reads the backup back: what was written is what lies there. */
async function proveFresh(site: Site, { label }: BackupHeader, step: Step): Promise<number> {
  const { passed, problems } = await proveChecksums({
    archiveDir: site.archive.location,
    label,
    workers: site.archive.workers,
    signal: step.signal,
    onProgress: step.onProgress,
  });
  if (passed) return 1;
  const [first] = problems;
  throw new ClonaError(
    'proofFailed',
    `backup ${label} does not match its checksums: ${first?.file}: ${first?.message}`,
  );
}

/** Beside the backup, where the catalog finds it; `evidence` is the key of the step's own record. */
async function rememberGrade(
  archive: Archive,
  label: string,
  grade: number,
  evidence: string,
): Promise<void> {
  const known = await readGrades(archive, label);
  if (known.some((record) => record.evidence === evidence)) return;
  const at = new Date().toISOString();
  await addGrade(archive, label, { grade, at, evidence, detail: 'read back after it was taken' });
}

function describe(
  { label, startedAt, finishedAt, compressedBytes }: BackupHeader,
  grade: number,
): BackupTaken {
  const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  return { label, finishedAt, bytes: compressedBytes, grade, seconds };
}

/** Runs `work` with an archiver of LIVE's log, as its server is set up (contrib basic_archive). */
export async function withArchiver<Result>(
  site: Site,
  address: DatabaseAddress,
  step: Pick<Step, 'signal' | 'onProgress'>,
  work: (archiver: LogArchiver) => Promise<Result>,
): Promise<Result> {
  const { archive, mirror } = await openForLog(site, address, step.signal);
  const spoolDir = await readSpool(address, step.signal);
  await using archiver = await startLogArchiver({
    spoolDir,
    archive,
    mirror,
    slot: { address, name: slotName(site) },
    level: site.archive.compressionLevel,
    now: () => new Date(),
    signal: step.signal,
    onProgress: step.onProgress,
  });
  return await work(archiver);
}

/** A destination that is away keeps the other from nothing: each pass of the archiver tells of it and tries again. */
export async function openForLog(
  site: Site,
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<{ archive: Archive; mirror: Archive | undefined }> {
  const identity = await readArchiveIdentity(address, signal);
  const { location, mirror } = site.archive;
  return {
    archive: await openEvenIfAway(site, location, identity),
    mirror: mirror === undefined ? undefined : await openEvenIfAway(site, mirror, identity),
  };
}

/** What is then to be written there fails by itself, and is said. */
async function openEvenIfAway(
  site: Pick<Site, 'control'>,
  folder: string,
  identity: ArchiveIdentity,
): Promise<Archive> {
  return openPlace(site, folder, identity).catch((error: unknown) => {
    if (error instanceof ClonaError && error.kind === 'archiveForeign') throw error;
    const createdAt = new Date().toISOString();
    return { folder, header: { format: 1, engine: 'postgres', ...identity, createdAt } };
  });
}

export async function readSpool(address: DatabaseAddress, signal: AbortSignal): Promise<string> {
  await using session = await connect(address, signal);
  const folder = await readSpoolFolder(session);
  if (folder !== null) return folder;
  throw new ClonaError('databaseFailed', "LIVE's server does not hand its log to a spool", {
    hint: "set archive_mode = on, archive_library = 'basic_archive' and basic_archive.archive_directory: clona doctor",
  });
}

/** What waits in LIVE's spool; null where it has none or it lies on another host. */
export async function measureLiveSpool(
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<SpoolFacts | null> {
  if ((await findLocalDataDir(address, signal)) === undefined) return null;
  await using session = await connect(address, signal);
  const folder = await readSpoolFolder(session);
  return folder === null ? null : ((await measureSpool(folder)) ?? null);
}

/** Switches the log and waits until archive and mirror have everything up to now, out of the spool or by stream. */
export async function archiveLog(
  site: Site,
  address: DatabaseAddress,
  step: Pick<Step, 'signal' | 'onProgress'>,
): Promise<string> {
  if (streamsLog(site)) {
    return archiveByStream(site, address, await openForLog(site, address, step.signal), step);
  }
  return withArchiver(site, address, step, async (archiver) => {
    // Whoever waits for both would wait for ever for a disk that is away.
    for (const folder of [site.archive.location, site.archive.mirror]) {
      if (folder !== undefined) await openArchive(folder);
    }
    return archiveEverything(address, archiver, { signal: step.signal });
  });
}
