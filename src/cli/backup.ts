import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import type { Archive } from '../archive/repository.ts';
import type { BackupHeader } from '../archive/format.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { ClonaError } from '../errors.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

const kinds = ['managed', 'hot', 'quiesced'] as const;
type Kind = (typeof kinds)[number];

export const verb: Verb = {
  configure: (command) => {
    command
      .option(
        '--kind <kind>',
        'managed: by the replication protocol; hot: for a role without REPLICATION; quiesced: writers pause for a moment, no archived log is needed',
        'managed',
      )
      .option('--label <name>', 'name of the backup; default: time and kind')
      .option(
        '--database <where>',
        'env:NAME or file:PATH holding the URL of the database, instead of the site file',
      )
      .option('--archive <dir>', 'the folder of the archive, instead of the site file')
      .option('--level <number>', 'zstd level from 1 to 19')
      .option('--workers <count>', 'threads that compress')
      .option('--without-log', 'managed: leave the log out; the backup then needs the archived log', false)
      .option(
        '--accept-shared-disk <reason>',
        'archive and database on one device are refused without a reason',
      )
      .option('--as <name>', 'who takes it, for the evidence; default: the account that runs clona');
  },
  examples: [
    'clona backup',
    'clona backup --kind quiesced --label before-year-end --json',
    'ERP_URL=postgresql://keeper@db:5432/erp clona backup --database env:ERP_URL --archive /archive/erp',
  ],
  exits: {
    4: 'the archive is damaged or belongs to another database',
    6: 'database, disk or network failed',
    2: 'also: the archive lies on the disk of the database and nobody accepted that',
    7: 'another run has the site, or another process writes a backup into this archive',
  },
  run: backup,
};

interface Task {
  address: DatabaseAddress;
  archiveDir: string;
  level: number | undefined;
  workers: number | undefined;
  acceptSharedDisk: string | undefined;
}

/** With neither address nor folder given it is the site's: one run at a time, read back, with its log, on record. */
async function backup(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const isSites = readText(options['database']) === undefined && readText(options['archive']) === undefined;
  return isSites ? backUpForSite(context, options) : backUpAlone(context, options);
}

async function backUpForSite(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { signal, onProgress, note } = context;
  const kind = readKind(options['kind']);
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { backUpSite } = await import('../pipeline/back-up.ts');
  await using opened = await openSite(context.sitePath, signal);
  const { header, archive, ...rest } = await backUpSite(opened, {
    by: readText(options['as']) ?? accountName(),
    kind,
    label: readText(options['label']),
    level: readNumber(options['level'], '--level', 1, 19),
    workers: readNumber(options['workers'], '--workers', 1, 64),
    ownLog: options['withoutLog'] !== true,
    acceptSharedDisk: readText(options['acceptSharedDisk']),
    signal,
    onProgress,
  });
  for (const warning of rest.warnings) note(`warning: ${warning}`);
  const log =
    rest.archivedTo === null ? 'the log is not archived' : `the log is archived up to ${rest.archivedTo}`;
  return {
    json: { ...answer(header, archive), ...rest },
    human: [...describe(header, archive), `grade 1: read back and compared; ${log}`].join('\n'),
  };
}

async function backUpAlone(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { signal, onProgress, note } = context;
  const kind = readKind(options['kind']);
  const task = await readTask(context, options);
  const { readEvidenceNote } = await import('../archive/evidence-note.ts');
  const { backupFolder, openOrCreateArchive } = await import('../archive/repository.ts');
  const { readArchiveIdentity } = await import('../databases/postgres/backup-facts.ts');
  const { takeBackup } = await import('../databases/postgres/backup.ts');
  const identity = await readArchiveIdentity(task.address, signal);
  await checkDevices(task, signal, note);
  const archive = await openOrCreateArchive(task.archiveDir, identity, new Date());
  const header = await takeBackup({
    address: task.address,
    archive,
    kind,
    label: readText(options['label']),
    compressionLevel: task.level,
    workers: task.workers,
    ownLog: options['withoutLog'] !== true,
    // No site's ledger takes it: a site's gate is judged only by what its own verbs did.
    takenBy: readText(options['as']) ?? userInfo().username,
    now: () => new Date(),
    signal,
    onProgress,
  });
  const found = await readEvidenceNote(backupFolder(archive, header.label));
  return {
    json: { ...answer(header, archive), evidence: found?.note ?? null },
    human: [...describe(header, archive), 'grade 0: it exists; `clona prove` says what it is worth'].join(
      '\n',
    ),
  };
}

/** Options win over the site file, which is read only for what they leave open. */
async function readTask({ sitePath, signal }: VerbContext, options: OptionValues): Promise<Task> {
  const [database, archive] = [readText(options['database']), readText(options['archive'])];
  const level = readNumber(options['level'], '--level', 1, 19);
  const workers = readNumber(options['workers'], '--workers', 1, 64);
  const reason = readText(options['acceptSharedDisk']);
  if (database !== undefined && archive !== undefined) {
    const address = await addressFrom(database);
    return { address, archiveDir: resolve(archive), level, workers, acceptSharedDisk: reason };
  }
  const { loadSite } = await import('../site/load.ts');
  const { findProduction } = await import('../pipeline/production.ts');
  const site = await loadSite(sitePath);
  return {
    address: database === undefined ? await findProduction(site, signal) : await addressFrom(database),
    archiveDir: resolve(archive ?? site.archive.location),
    level: level ?? site.archive.compressionLevel,
    workers: workers ?? site.archive.workers,
    acceptSharedDisk: reason ?? site.archive.acceptSharedDisk,
  };
}

/** A URL holds a password, so it never stands on the command line itself. */
async function addressFrom(reference: string): Promise<DatabaseAddress> {
  const { secretPattern } = await import('../site/secret.ts');
  const { database } = await import('../site/sections.ts');
  const { resolveDatabaseAddress } = await import('../site/address.ts');
  if (!secretPattern.test(reference)) {
    throw new ClonaError('usage', '--database takes env:NAME or file:PATH', {
      hint: 'the URL itself may hold a password, which everybody could see in the list of processes',
    });
  }
  const address = await resolveDatabaseAddress(database(process.cwd()).parse({ url: reference }));
  // A URL was given, so there is an address.
  return address!;
}

async function checkDevices(task: Task, signal: AbortSignal, note: (line: string) => void): Promise<void> {
  const { findLocalDataDir } = await import('../databases/postgres/cluster-source.ts');
  const { requireOwnDisk } = await import('../pipeline/production.ts');
  const dataDir = await findLocalDataDir(task.address, signal);
  const warning = await requireOwnDisk(dataDir, task.archiveDir, task.acceptSharedDisk);
  if (warning !== null) note(`warning: ${warning}`);
}

function answer(header: BackupHeader, archive: Archive): Record<string, unknown> {
  const { archives, requirements: _requirements, ...facts } = header;
  return {
    archive: archive.folder,
    ...facts,
    archives: archives.map(({ frames, ...file }) => ({ ...file, frames: frames.length })),
    seconds: secondsOf(header),
  };
}

function describe(header: BackupHeader, archive: Archive): string[] {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return [
    `backup ${header.label} (${header.kind}) in ${archive.folder}`,
    `${mebibytes(header.rawBytes)} in ${mebibytes(header.compressedBytes)}, ${secondsOf(header)} s, timeline ${header.timeline}, from ${header.start} to ${header.consistentFrom}`,
    header.ownLog ? 'it carries its own log' : 'it needs the archived log from start to end',
    ...describeRedo(header),
    ...(header.pauseMs === null ? [] : [`writers were paused for ${header.pauseMs} ms`]),
  ];
}

/** What the server wrote while it was copied: whole pages for what changed, since a copied page may be torn. */
function describeRedo({ extraRedo }: BackupHeader): string[] {
  if (extraRedo === null) return [];
  const { fullPageImages, logBytes } = extraRedo;
  const mebibytes = (logBytes / 2 ** 20).toFixed(1);
  return [`meanwhile the server wrote ${mebibytes} MiB of log with ${fullPageImages} full-page images`];
}

function secondsOf({ startedAt, finishedAt }: BackupHeader): number {
  return (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
}

function readKind(value: unknown): Kind {
  const kind = kinds.find((known) => known === value);
  if (kind === undefined) throw new ClonaError('usage', `--kind is one of ${kinds.join(', ')}`);
  return kind;
}

function readText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function readNumber(value: unknown, name: string, low: number, high: number): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < low || number > high) {
    throw new ClonaError('usage', `${name} is a number from ${low} to ${high}`);
  }
  return number;
}
