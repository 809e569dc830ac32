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
      );
  },
  examples: [
    'clona backup',
    'clona backup --kind quiesced --label before-year-end --json',
    'ERP_URL=postgresql://keeper@db:5432/erp clona backup --database env:ERP_URL --archive /archive/erp',
  ],
  exits: {
    4: 'the archive is damaged or belongs to another database',
    6: 'database, disk or network failed',
    7: 'another process is writing a backup into this archive',
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

async function backup(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { signal, onProgress, note } = context;
  const kind = readKind(options['kind']);
  const task = await readTask(context, options);
  const { openOrCreateArchive } = await import('../archive/repository.ts');
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
    now: () => new Date(),
    signal,
    onProgress,
  });
  return { json: answer(header, archive), human: describe(header, archive) };
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
  const { findProduction } = await import('../doctor/production.ts');
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

/** R16: refused on one device, unless somebody says why not. */
async function checkDevices(task: Task, signal: AbortSignal, note: (line: string) => void): Promise<void> {
  const { findLocalDataDir } = await import('../databases/postgres/cluster-source.ts');
  const { sameDevice } = await import('../archive/devices.ts');
  const dataDir = await findLocalDataDir(task.address, signal);
  if (dataDir === undefined) return;
  const { same, reasons } = await sameDevice(dataDir, task.archiveDir);
  if (same !== 'yes') return;
  if (task.acceptSharedDisk === undefined) {
    throw new ClonaError(
      'sharedDisk',
      `the archive ${task.archiveDir} lies on the device of the database: ${reasons[0]}`,
      {
        hint: 'put the archive on another disk, or say why not: archive.acceptSharedDisk in the site file, or --accept-shared-disk REASON',
        details: { reasons },
      },
    );
  }
  note(`warning: archive and database are on ONE DISK (${reasons[0]}), accepted: ${task.acceptSharedDisk}`);
}

function answer(header: BackupHeader, archive: Archive): unknown {
  const { archives, requirements: _requirements, ...facts } = header;
  return {
    archive: archive.folder,
    ...facts,
    archives: archives.map(({ frames, ...file }) => ({ ...file, frames: frames.length })),
    seconds: secondsOf(header),
  };
}

function describe(header: BackupHeader, archive: Archive): string {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return [
    `backup ${header.label} (${header.kind}) in ${archive.folder}`,
    `${mebibytes(header.rawBytes)} in ${mebibytes(header.compressedBytes)}, ${secondsOf(header)} s, timeline ${header.timeline}, from ${header.start} to ${header.consistentFrom}`,
    header.ownLog ? 'it carries its own log' : 'it needs the archived log from start to end',
    ...(header.pauseMs === null ? [] : [`writers were paused for ${header.pauseMs} ms`]),
    'grade 0: it exists; `clona prove` says what it is worth',
  ].join('\n');
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
