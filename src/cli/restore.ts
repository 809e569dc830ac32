import { resolve } from 'node:path';
import type { RestoreReport } from '../databases/postgres/restore/report.ts';
import { ClonaError } from '../errors.ts';
import { requireOption } from './input-file.ts';
import type { OracleSite } from './read-catalog.ts';
import type { OptionValues, Verb, VerbContext } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option('--archive <dir>', "the folder of an archive: nothing else is needed; default: the site's")
      .option('--mirror <dir>', 'its mirror, for what is damaged or missing')
      .option(
        '--to <dir>',
        "the data directory to be: absent or empty; engine oracle: default the site's staging",
      )
      .option(
        '--until <target>',
        'latest, time:ISO, position:N, restore-point:NAME, incarnation:I, incarnation:I@N or backup:LABEL',
        'latest',
      )
      .option(
        '--dry-run',
        'say what would be restored, the space and the time it takes; write nothing',
        false,
      )
      .option('--start', 'leave the server running, on this host only', false)
      .option('--port <number>', 'with --start', '5432')
      .option('--bin <dir>', 'bin folder of the server to use; default: found by the version of the backup')
      .option(
        '--run-as <user>',
        'as root: user of the server; default: owner of the parent folder, postgres, nobody',
      )
      .option('--user <name>', 'a superuser of the database', 'postgres')
      .option('--workers <count>', 'threads; default: one a core, at most 4')
      .option('--collations <how>', 'when this host sorts texts otherwise: reindex or refuse', 'reindex')
      .option('--guest <host>', 'engine oracle: the clone, reached by SSH as the site says')
      .option('--oracle-home <dir>', "engine oracle: ORACLE_HOME of the clone; default: the site's")
      .option('--name <name>', "engine oracle: DB_NAME of the clone; default: the site's staging, CLONA")
      .option('--recovery-dir <dir>', "engine oracle: the clone's own recovery area; default: beside --to")
      .option(
        '--recovery-size <size>',
        "engine oracle: how large it may get; default: the site's staging, 50GB",
      )
      .option(
        '--catalog-from <dir...>',
        'engine oracle: where the clone sees backups and logs; default: the archive',
      )
      .option('--pdb <name>', 'engine oracle: one pluggable database alone is refused, with what to do')
      .option(
        '--no-fence',
        'engine oracle: put no fence up; the session then stays restricted and nobody is let in',
      )
      .option('--accept-missing', 'go on although extensions or libraries are missing here', false),
  examples: [
    'clona restore --archive /archive/erp --to /data/erp --dry-run',
    'clona restore --archive /archive/erp --to /data/erp',
    'clona restore --archive /archive/erp --to /data/erp --until time:2026-03-08T17:52:00Z --start --port 5433',
    'clona restore --archive /archive/erp --to /data/old --until incarnation:3@450 --json',
    'clona restore --guest staging.example --to /data/clona --name CLONAERP    # engine oracle',
  ],
  exits: {
    4: 'the archive is damaged or belongs to another database, or the fence has a hole',
    5: 'the target cannot be reached, the log has a gap, or there is no archive',
    6: 'disk, server or machine failed; a dry run: the disk has too little space free',
    7: 'another process restores to this folder',
  },
  run: async (context, options) => {
    const oracle = await findOracle(context, options);
    if (oracle !== undefined) {
      const { restoreForOracle } = await import('./restore-oracle.ts');
      return restoreForOracle(context, options, oracle);
    }
    const report = await run(context, options);
    const { neededBytes, freeBytes } = report.estimate;
    return {
      json: report,
      human: describe(report),
      exitCode: report.dryRun && neededBytes > freeBytes ? 6 : 0,
    };
  },
};

/** Of an archive that remembers an Oracle database, or of a site with that engine. */
async function findOracle(context: VerbContext, options: OptionValues): Promise<OracleSite | undefined> {
  const { readOracleSite } = await import('./read-catalog.ts');
  if (typeof options['archive'] === 'string') {
    const { loadSite } = await import('../site/load.ts');
    const found = await readOracleSite(context, options);
    if (found === undefined || options['dryRun'] === true) return found;
    return { ...found, site: await loadSite(context.sitePath) };
  }
  return readOracleSite(context, options);
}

async function findArchive(
  sitePath: string,
  { archive, mirror }: OptionValues,
): Promise<{ archiveDir: string; mirrorDir: string | undefined }> {
  const mirrorDir = typeof mirror === 'string' ? resolve(mirror) : undefined;
  if (typeof archive === 'string') return { archiveDir: resolve(archive), mirrorDir };
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(sitePath);
  return { archiveDir: site.archive.location, mirrorDir: mirrorDir ?? site.archive.mirror };
}

async function run(
  { signal, onProgress, sitePath }: VerbContext,
  options: OptionValues,
): Promise<RestoreReport> {
  const { archiveDir, mirrorDir } = await findArchive(sitePath, options);
  const target = resolve(requireOption(options, 'to', 'DIR'));
  const { parseRestoreUntil } = await import('../databases/postgres/restore/choose/until.ts');
  const until = parseRestoreUntil(String(options['until']));
  const workers = readWorkers(options['workers']);
  const onCollationMismatch = options['collations'];
  if (onCollationMismatch !== 'reindex' && onCollationMismatch !== 'refuse') {
    throw new ClonaError('usage', '--collations is reindex or refuse');
  }
  const { prepareLocalRestore } = await import('../databases/postgres/restore/place/prepare-local.ts');
  const { restore } = await import('../databases/postgres/restore/restore.ts');
  const { place, binaries } = await prepareLocalRestore({
    archiveDir,
    mirrorDir,
    target,
    runAsUser: typeof options['runAs'] === 'string' ? options['runAs'] : undefined,
    binDir: typeof options['bin'] === 'string' ? options['bin'] : undefined,
    workers,
    signal,
  });
  await using opened = place;
  return await restore({
    archiveDir,
    mirrorDir,
    until,
    place: opened,
    target,
    binaries,
    workers,
    users: [String(options['user'])],
    onCollationMismatch,
    acceptMissing: options['acceptMissing'] === true,
    dryRun: options['dryRun'] === true,
    start:
      options['start'] === true
        ? { socketDir: '/tmp', port: readPort(options['port']), addresses: 'localhost' }
        : undefined,
    signal,
    onProgress,
  });
}

function readWorkers(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new ClonaError('usage', '--workers is a number from 1 to 64');
  return count;
}

function readPort(value: unknown): number {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ClonaError('usage', '--port is a number from 1 to 65535');
  return port;
}

function describe(report: RestoreReport): string {
  const { estimate, target, checks, warnings, lost } = report;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  const tail = warnings.map((line) => `warning: ${line}`);
  if (report.dryRun) {
    return [
      `would restore backup ${report.label} to ${target.folder}, until ${target.until} (timeline ${target.timeline})`,
      `space: ${mebibytes(estimate.neededBytes)} needed, ${mebibytes(estimate.freeBytes)} free`,
      `time: about ${estimate.seconds} s for ${mebibytes(estimate.backupBytes)} of backup and ${mebibytes(estimate.logBytes)} of log`,
      ...tail,
    ].join('\n');
  }
  return [
    `restored backup ${report.label} to ${target.folder} in ${report.seconds} s (log replayed in ${report.redoSeconds} s)`,
    `reached ${showLsn(report.positionReached)}${report.timeReached === null ? '' : `, last transaction ${report.timeReached}`}, now on timeline ${report.timelineAfter}`,
    lost.positions === '0'
      ? 'of what the archive holds nothing is lost'
      : `left out: ${lost.positions} bytes of log behind it`,
    ...checks.map(
      ({ name, state, detail }) =>
        `${state === 'ok' ? '✔' : state === 'changed' ? '•' : '!'} ${name}: ${detail}`,
    ),
    ...tail,
    report.isRunning ? 'the server is running' : `start it: ${report.startCommand}`,
  ].join('\n');
}

function showLsn(position: string | null): string {
  if (position === null) return 'an unknown position';
  const value = BigInt(position);
  return `${(value >> 32n).toString(16)}/${(value & 0xffff_ffffn).toString(16)}`.toUpperCase();
}
