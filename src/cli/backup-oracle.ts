import { ClonaError } from '../errors.ts';
import { withProgress } from '../progress.ts';
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
  if (kind !== 'managed' && kind !== 'cold') {
    throw new ClonaError('usage', `--kind ${String(kind)} is not offered for Oracle by this verb`, {
      hint: 'managed (RMAN, open database) or cold (RMAN after a clean shutdown)',
    });
  }
  if (kind === 'cold') await confirmChange(context, 'shut production down for a cold backup?');
  const host = site.database.host;
  if (host === undefined) {
    throw new ClonaError('siteInvalid', 'database.host is missing: RMAN runs on the machine of the database');
  }
  const { openOracleTools, requireOracleTools } = await import('./oracle-guest.ts');
  requireOracleTools(site, host);
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
  const judged = await withProgress(onProgress, 'back up with RMAN', async () => {
    await using tools = await openOracleTools(site, host, workDirOf(site, run), held);
    return await takeRmanBackup(tools, { kind, level: null, tag, channels: 1, compressed: true });
  });
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  const found = await readOracleCatalog(await findLive(site, held), places, held);
  if (found.readAt !== undefined) await rememberOracle(found, places, found.readAt);
  for (const line of found.warnings) note(`warning: ${line}`);
  const newest = found.catalog.backups.filter(({ finishedAt }) => finishedAt !== null).at(-1);
  if (newest === undefined)
    throw new ClonaError('databaseFailed', 'the control file shows no whole backup afterwards');
  const { label, state, start, consistentFrom, finishedAt } = newest;
  const payload = { label, kind, by, verdict: judged.judgement.verdict, finishedAt: finishedAt ?? '' };
  await opened.ledger.append({ kind: 'oracle.backup', run, key: null, payload }, new Date());
  const json = {
    label,
    kind,
    state,
    start: start?.toString() ?? null,
    consistentFrom: consistentFrom?.toString() ?? null,
    finishedAt,
    jobLog: { verdict: judged.judgement.verdict, errors: judged.judgement.errors },
  };
  return {
    json,
    human: `backup ${label} is ${state}: consistent from ${consistentFrom ?? '?'}, its log is ${json.jobLog.verdict}`,
  };
}

/** In the machine of the database, for programs and their logs. */
export function workDirOf({ name, guest }: Site, run: string): string {
  const folder = `clona-${name}-${run.replaceAll(/[^\w-]/g, '')}`;
  return guest?.platform === 'windows' ? `C:\\Windows\\Temp\\${folder}` : `/var/tmp/${folder}`;
}
