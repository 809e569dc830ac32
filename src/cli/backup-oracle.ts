import { ClonaError } from '../errors.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import type { OracleTools } from '../databases/oracle/guest-tools.ts';
import { joinGuest } from '../databases/oracle/rman-text.ts';
import type { OraclePlaces } from '../databases/oracle/site-catalog.ts';
import type { Guest } from '../guest/guest.ts';
import type { KeptReport } from '../databases/oracle/keep-files.ts';
import type { KeepSettings } from '../databases/oracle/kept-files.ts';
import { keepSettingsOf } from '../pipeline/oracle-keep.ts';
import { withProgress, type OnProgress } from '../progress.ts';
import type { Site } from '../site/site.ts';
import { confirmChange, textOption } from './confirm.ts';
import type { OptionValues, VerbContext, VerbResult } from './verb.ts';

/** `clona backup` of an Oracle site: RMAN on production's machine; then the control file is read and remembered. */
export async function backUpOracle(
  context: VerbContext,
  options: OptionValues,
  site: Site,
): Promise<VerbResult> {
  const { signal, onProgress, note } = context;
  const kind = options['kind'];
  if (kind !== 'managed' && kind !== 'cold' && kind !== 'hot') {
    throw new ClonaError('usage', `--kind ${String(kind)} is not offered for Oracle`, {
      hint: 'managed (RMAN, open database), hot (tablespace by tablespace) or cold (RMAN after a clean shutdown)',
    });
  }
  if (kind === 'cold') await confirmChange(context, 'shut production down for a cold backup?');
  const host = site.database.host;
  if (host === undefined) {
    throw new ClonaError('siteInvalid', 'database.host is missing: RMAN runs on the machine of the database');
  }
  const { openOracleTools, requireOracleTools } = await import('./oracle-guest.ts');
  requireOracleTools(site, host);
  const keep = keepSettingsOf(site);
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { acquireSiteLock } = await import('../control/lock.ts');
  const { newRunId } = await import('../pipeline/run-id.ts');
  const { takeRmanBackup } = await import('../databases/oracle/take-backup.ts');
  const { findLive } = await import('./read-catalog.ts');
  const { readOracleCatalog, rememberOracle } = await import('../databases/oracle/site-catalog.ts');
  await using opened = await openSite(context.sitePath, signal);
  const by = textOption(options, 'as') ?? accountName();
  await using lock = await acquireSiteLock(opened.control, { who: by, what: 'backup' }, new Date());
  const held = AbortSignal.any([signal, lock.lost]);
  const run = newRunId('backup', new Date());
  const tag = textOption(options, 'label');
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  const address = await findLive(site, held);
  await using tools = await openOracleTools(site, host, workDirOf(site, run), held);
  const cured = await cureLeft(address, tools.guest, places.archiveDir, held);
  if (cured !== null) note(`warning: ${cured}`);
  const taken: Taken =
    kind === 'hot'
      ? await takeHot({ address, tools, places, label: tag ?? `hot-${run}`, signal: held, onProgress })
      : await withProgress(onProgress, 'back up with RMAN', async () => {
          const program = { kind, level: null, tag, channels: 1, compressed: true } as const;
          const watch = { step: 'back up with RMAN', onProgress };
          const { judgement } = await takeRmanBackup(tools, program, watch);
          return {
            label: undefined,
            jobLog: { verdict: judgement.verdict, errors: judgement.errors },
            redoBytes: null,
          };
        });
  const found = await readOracleCatalog(address, places, held);
  if (found.readAt !== undefined) await rememberOracle(found, places, found.readAt);
  for (const line of found.warnings) note(`warning: ${line}`);
  const newest = found.catalog.backups
    .filter(
      ({ finishedAt, label }) => finishedAt !== null && (taken.label === undefined || label === taken.label),
    )
    .at(-1);
  if (newest === undefined)
    throw new ClonaError('databaseFailed', 'the control file shows no whole backup afterwards');
  const { label, state, start, consistentFrom, finishedAt } = newest;
  const kept = keep === undefined ? null : await keepBeside({ keep, tools, label, context });
  const payload = { label, kind, by, verdict: taken.jobLog?.verdict ?? 'ok', finishedAt: finishedAt ?? '' };
  await opened.ledger.append({ kind: 'oracle.backup', run, key: null, payload }, new Date());
  const json = {
    label,
    kind,
    state,
    start: start?.toString() ?? null,
    consistentFrom: consistentFrom?.toString() ?? null,
    finishedAt,
    jobLog: taken.jobLog,
    redoBytes: taken.redoBytes,
    kept: kept?.files.map(({ role, path, sha256 }) => ({ role, path, sha256 })) ?? null,
  };
  const log = taken.jobLog === null ? '' : `, its log is ${taken.jobLog.verdict}`;
  return { json, human: `backup ${label} is ${state}: consistent from ${consistentFrom ?? '?'}${log}` };
}

/** What RMAN's pieces do not hold. A backup without it is whole, but the site wants it: so it fails loudly. */
async function keepBeside({
  keep,
  tools,
  label,
  context: { note, onProgress },
}: {
  keep: KeepSettings;
  tools: OracleTools;
  label: string;
  context: VerbContext;
}): Promise<KeptReport> {
  const { keepFiles } = await import('../databases/oracle/keep-files.ts');
  const report = await withProgress(onProgress, 'keep parameters, passwords and keys', async () =>
    keepFiles(tools, keep, label, () => new Date()),
  );
  for (const line of report.warnings) note(`warning: ${line}`);
  return report;
}

interface Taken {
  /** undefined: the newest that the control file shows. */
  label: string | undefined;
  jobLog: { verdict: string; errors: string[] } | null;
  redoBytes: number | null;
}

interface HotTask {
  address: DatabaseAddress;
  tools: OracleTools;
  places: OraclePlaces;
  label: string;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** Copies into the archive, which the machine of the database sees under the same path, and remembers them there. */
async function takeHot({ address, tools, places, label, signal, onProgress }: HotTask): Promise<Taken> {
  if (!/^[\w.-]{1,60}$/.test(label)) throw new ClonaError('usage', `"${label}" is no name for a backup`);
  const { takeHotBackup } = await import('../databases/oracle/hot-backup.ts');
  const { hotBackupPorts, markFileOf } = await import('../databases/oracle/hot-ports.ts');
  const { readOracleCatalog, rememberBackup, rememberOracle } =
    await import('../databases/oracle/site-catalog.ts');
  const before = await readOracleCatalog(address, places, signal);
  if (before.readAt !== undefined) await rememberOracle(before, places, before.readAt);
  const { platform } = tools.guest;
  const folder = joinGuest(platform, joinGuest(platform, places.archiveDir, 'hot'), label);
  const controlFileCopy = joinGuest(platform, folder, 'control.ctl');
  const markFile = markFileOf(places.archiveDir);
  const { backup, files, redoBytes } = await takeHotBackup(
    hotBackupPorts({ address, guest: tools.guest, folder, markFile }),
    {
      label,
      incarnation: before.catalog.currentIncarnation,
      controlFileCopy,
      device: folder,
      signal,
      onProgress,
      now: () => new Date(),
    },
  );
  await rememberBackup(places, backup, [...files.map(({ path }) => path), controlFileCopy], signal);
  return { label, jobLog: null, redoBytes };
}

/** R8: what an earlier hot backup of ours left in backup mode is ended first, once the files are proven to be the originals. */
async function cureLeft(
  address: DatabaseAddress,
  guest: Guest,
  archiveDir: string,
  signal: AbortSignal,
): Promise<string | null> {
  const { identifyFile, markFileOf, readMark } = await import('../databases/oracle/hot-ports.ts');
  const mark = await readMark(markFileOf(archiveDir));
  if (mark === null) return null;
  const { cureBackupMode } = await import('../databases/oracle/backup-mode.ts');
  const { connectOracle } = await import('../databases/oracle/connect.ts');
  const { rm } = await import('node:fs/promises');
  await using session = await connectOracle(address, signal, { module: 'clona backup' });
  const cure = await cureBackupMode(session, mark, async (name) => identifyFile(guest, name));
  await rm(markFileOf(archiveDir), { force: true });
  if (cure.kind !== 'end') return null;
  return `a hot backup of ${mark.startedAt} had been broken off: ${cure.files.length} datafiles were taken out of backup mode`;
}

/** In the machine of the database, for programs and their logs. */
export function workDirOf({ name, guest }: Site, run: string): string {
  const folder = `clona-${name}-${run.replaceAll(/[^\w-]/g, '')}`;
  return guest?.platform === 'windows' ? `C:\\Windows\\Temp\\${folder}` : `/var/tmp/${folder}`;
}
