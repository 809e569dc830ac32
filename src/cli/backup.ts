import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import type { Archive } from '../archive/repository.ts';
import type { BackupHeader } from '../archive/format.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import type { ServiceCommands } from '../databases/postgres/cold/local-cluster.ts';
import { ClonaError } from '../errors.ts';
import { answer, describe } from './backup-answer.ts';
import { confirmStop, restartLeft, takeColdAlone } from './backup-cold.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

const kinds = ['managed', 'hot', 'quiesced', 'cold'] as const; // of PostgreSQL
type Kind = (typeof kinds)[number];

export const verb: Verb = {
  configure: (command) => {
    command
      .option(
        '--kind <kind>',
        'managed (default): by the replication protocol; hot (default for a role without REPLICATION): pg_backup_start and our own copy; quiesced: writers pause for a moment, no archived log is needed; cold: the server is shut down (--yes), copied and started again, or is down already; export (Oracle): Data Pump as of one SCN',
      )
      .option('--label <name>', 'name of the backup; default: time and kind')
      .option(
        '--database <where>',
        'env:NAME or file:PATH holding the URL of the database, instead of the site file',
      )
      .option(
        '--data-dir <dir>',
        'cold: where the files of the database are on this host; default: as the running server or the site says',
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
    'clona backup --kind cold --yes',
    'ERP_URL=postgresql://keeper@db:5432/erp clona backup --database env:ERP_URL --archive /archive/erp',
  ],
  exits: {
    4: 'the archive is damaged or belongs to another database',
    6: 'database, disk or network failed',
    2: 'also: a cold backup was not confirmed; the archive lies on the disk of the database and nobody accepted that',
    7: 'another run has the site, or another process writes a backup into this archive',
  },
  run: backup,
};

interface Task {
  /** Undefined: only the data directory was given. */
  address: DatabaseAddress | undefined;
  dataDir: string | undefined;
  service: ServiceCommands | undefined;
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
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(context.sitePath);
  if (site.database.engine === 'oracle') {
    const { backUpOracle } = await import('./backup-oracle.ts');
    return backUpOracle(context, options, site);
  }
  const kind = readKind(options['kind']);
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { backUpSite } = await import('../pipeline/back-up.ts');
  await using opened = await openSite(context.sitePath, signal);
  const { header, archive, ...rest } = await backUpSite(opened, {
    by: readText(options['as']) ?? accountName(),
    kind,
    label: readText(options['label']),
    dataDir: readFolder(options['dataDir']),
    level: readNumber(options['level'], '--level', 1, 19),
    workers: readNumber(options['workers'], '--workers', 1, 64),
    ownLog: options['withoutLog'] !== true,
    acceptSharedDisk: readText(options['acceptSharedDisk']),
    confirmStop: async () => confirmStop(context),
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
  const { note } = context;
  const task = await readTask(context, options);
  await restartLeft(context, task.archiveDir, task.service);
  const takenBy = readText(options['as']) ?? userInfo().username;
  const label = readText(options['label']);
  const { header, archive } =
    readKind(options['kind']) === 'cold'
      ? await takeColdAlone(context, {
          ...task,
          label,
          takenBy,
          checkDevices: async (dataDir) => checkDevices(task, dataDir, note),
        })
      : await takeAlone(context, options, task, { label, takenBy });
  const { readEvidenceNote } = await import('../archive/evidence-note.ts');
  const { backupFolder } = await import('../archive/repository.ts');
  const found = await readEvidenceNote(backupFolder(archive, header.label));
  return {
    json: { ...answer(header, archive), evidence: found?.note ?? null },
    human: [...describe(header, archive), 'grade 0: it exists; `clona prove` says what it is worth'].join(
      '\n',
    ),
  };
}

async function takeAlone(
  { signal, onProgress, note }: VerbContext,
  options: OptionValues,
  task: Task,
  more: { label: string | undefined; takenBy: string },
): Promise<{ header: BackupHeader; archive: Archive }> {
  const kind = readKind(options['kind']);
  const { address } = task;
  if (kind === 'cold' || address === undefined) {
    throw new ClonaError('usage', 'nothing says where the database is', {
      hint: '--data-dir alone is enough for --kind cold only: give --database too',
    });
  }
  const { openOrCreateArchive } = await import('../archive/repository.ts');
  const { readArchiveIdentity } = await import('../databases/postgres/backup-facts.ts');
  const { findLocalDataDir } = await import('../databases/postgres/cluster-source.ts');
  const { takeBackup } = await import('../databases/postgres/backup.ts');
  const identity = await readArchiveIdentity(address, signal);
  await checkDevices(task, await findLocalDataDir(address, signal), note);
  const archive = await openOrCreateArchive(task.archiveDir, identity, new Date());
  const header = await takeBackup({
    address,
    archive,
    kind,
    compressionLevel: task.level,
    workers: task.workers,
    ownLog: options['withoutLog'] !== true,
    // No site's ledger takes it: a site's gate is judged only by what its own verbs did.
    ...more,
    now: () => new Date(),
    signal,
    onProgress,
  });
  return { header, archive };
}

/** Options win over the site file, which is read only for what they leave open. */
async function readTask({ sitePath, signal }: VerbContext, options: OptionValues): Promise<Task> {
  const [database, archive] = [readText(options['database']), readText(options['archive'])];
  const level = readNumber(options['level'], '--level', 1, 19);
  const workers = readNumber(options['workers'], '--workers', 1, 64);
  const reason = readText(options['acceptSharedDisk']);
  const dataDir = readFolder(options['dataDir']);
  if ((database ?? dataDir) !== undefined && archive !== undefined) {
    const address = database === undefined ? undefined : await addressFrom(database);
    const archiveDir = resolve(archive);
    return { address, dataDir, service: undefined, archiveDir, level, workers, acceptSharedDisk: reason };
  }
  const { loadSite } = await import('../site/load.ts');
  const { findProduction } = await import('../pipeline/production.ts');
  const site = await loadSite(sitePath);
  return {
    address: database === undefined ? await findProduction(site, signal) : await addressFrom(database),
    dataDir: dataDir ?? site.database.dataDir,
    service: site.database.service,
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

async function checkDevices(
  task: Task,
  dataDir: string | undefined,
  note: (line: string) => void,
): Promise<void> {
  const { requireOwnDisk } = await import('../pipeline/production.ts');
  const warning = await requireOwnDisk(dataDir, task.archiveDir, task.acceptSharedDisk);
  if (warning !== null) note(`warning: ${warning}`);
}

function readKind(value: unknown): Kind | undefined {
  if (value === undefined) return undefined;
  const kind = kinds.find((known) => known === value);
  if (kind === undefined) throw new ClonaError('usage', `--kind is one of ${kinds.join(', ')}`);
  return kind;
}

function readText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function readFolder(value: unknown): string | undefined {
  const folder = readText(value);
  return folder === undefined ? undefined : resolve(folder);
}

function readNumber(value: unknown, name: string, low: number, high: number): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < low || number > high) {
    throw new ClonaError('usage', `${name} is a number from ${low} to ${high}`);
  }
  return number;
}
