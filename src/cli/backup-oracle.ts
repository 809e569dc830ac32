import { ClonaError } from '../errors.ts';
import type { OracleTools } from '../databases/oracle/guest-tools.ts';
import type { KeptReport } from '../databases/oracle/keep-files.ts';
import type { KeepSettings } from '../databases/oracle/kept-files.ts';
import { keepSettingsOf } from '../pipeline/oracle-keep.ts';
import { withProgress } from '../progress.ts';
import type { Site } from '../site/site.ts';
import { formatSize } from '../site/units.ts';
import { oracleKinds, takeOracleBackup } from './backup-oracle-kinds.ts';
import { confirmChange, textOption } from './confirm.ts';
import type { OptionValues, VerbContext, VerbResult } from './verb.ts';

/** `clona backup` of an Oracle site: RMAN on production's machine; then the control file is read and remembered. */
export async function backUpOracle(
  context: VerbContext,
  options: OptionValues,
  site: Site,
): Promise<VerbResult> {
  const { signal, onProgress, note } = context;
  const kind = oracleKinds.find((known) => known === (options['kind'] ?? 'managed'));
  if (kind === undefined) {
    throw new ClonaError('usage', `--kind ${String(options['kind'])} is not offered for Oracle`, {
      hint: 'managed (RMAN, open database), hot (tablespace by tablespace), quiesced (and a moment without transactions), cold (RMAN after a clean shutdown) or export (Data Pump as of one SCN)',
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
  const { endLeftBackupMode } = await import('../databases/oracle/cure-left.ts');
  for (const said of await endLeftBackupMode(address, tools, places.archiveDir)) note(`warning: ${said}`);
  const task = { site, kind, address, tools, places, run, label: tag, onProgress };
  const taken = await takeOracleBackup(task);
  for (const line of taken.warnings) note(`warning: ${line}`);
  const found = await readOracleCatalog(address, places, held);
  if (found.readAt !== undefined) await rememberOracle(found, places, found.readAt);
  for (const line of found.warnings) note(`warning: ${line}`);
  const newest = found.catalog.backups
    .filter(({ finishedAt, label, kind: known }) =>
      taken.label === undefined
        ? finishedAt !== null && (known === 'managed' || known === 'cold')
        : label === taken.label,
    )
    .sort((a, b) => ((a.finishedAt ?? '') < (b.finishedAt ?? '') ? -1 : 1))
    .at(-1);
  if (newest === undefined)
    throw new ClonaError('databaseFailed', 'the control file shows no whole backup afterwards');
  const { label, state, start, consistentFrom, finishedAt } = newest;
  const kept =
    keep === undefined || kind === 'export' ? null : await keepBeside({ keep, tools, label, context });
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
    pauseMs: taken.pauseMs,
    keptLogs: taken.keptLogs,
  };
  const log = taken.jobLog === null ? '' : `, its log is ${taken.jobLog.verdict}`;
  const redo = taken.redoBytes === null ? '' : `, ${formatSize(taken.redoBytes)} of redo meanwhile`;
  const pause = taken.pauseMs === null ? '' : `, writers waited at most ${taken.pauseMs} ms`;
  return {
    json,
    human: `backup ${label} is ${state}: consistent from ${consistentFrom ?? '?'}${log}${redo}${pause}`,
  };
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

/** In the machine of the database, for programs and their logs. */
export function workDirOf({ name, guest }: Site, run: string): string {
  const folder = `clona-${name}-${run.replaceAll(/[^\w-]/g, '')}`;
  return guest?.platform === 'windows' ? `C:\\Windows\\Temp\\${folder}` : `/var/tmp/${folder}`;
}
