import { ClonaError } from '../errors.ts';
import type { Site } from '../site/site.ts';
import { workDirOf } from './backup-oracle.ts';
import { textOption } from './confirm.ts';
import { openOracleTools, requireOracleTools } from './oracle-guest.ts';
import type { OptionValues, VerbContext, VerbResult } from './verb.ts';

/** `clona prove` of an Oracle site: grades 1 and 2 by RMAN's VALIDATE; what fails takes the grade back. */
export async function proveOracle(
  { signal, note, sitePath }: VerbContext,
  options: OptionValues,
  site: Site,
): Promise<VerbResult> {
  const host = site.database.host;
  if (host === undefined) {
    throw new ClonaError('siteInvalid', 'database.host is missing: RMAN runs on the machine of the database');
  }
  requireOracleTools(site, host);
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { acquireSiteLock } = await import('../control/lock.ts');
  const { newRunId } = await import('../pipeline/run-id.ts');
  const { chooseToProve, proveByValidate } = await import('../databases/oracle/prove.ts');
  const { readOracleCatalog, rememberGrade, rememberOracle } =
    await import('../databases/oracle/site-catalog.ts');
  const { findLive } = await import('./read-catalog.ts');
  await using opened = await openSite(sitePath, signal);
  const by = textOption(options, 'as') ?? accountName();
  await using lock = await acquireSiteLock(opened.control, { who: by, what: 'prove' }, new Date());
  const held = AbortSignal.any([signal, lock.lost]);
  const run = newRunId('prove', new Date());
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  const address = await findLive(site, held);
  await using tools = await openOracleTools(site, host, workDirOf(site, run), held);
  const { endLeftBackupMode } = await import('../databases/oracle/cure-left.ts');
  for (const said of await endLeftBackupMode(address, tools, places.archiveDir)) note(`warning: ${said}`);
  const found = await readOracleCatalog(address, places, held);
  if (found.readAt !== undefined) await rememberOracle(found, places, found.readAt);
  for (const line of found.warnings) note(`warning: ${line}`);
  const { catalog, facts } = found;
  const copies = new Set(Object.keys(facts.copies ?? {}));
  const asked = textOption(options, 'backup');
  const isCopy = asked !== undefined && copies.has(asked);
  const label = isCopy ? asked : chooseToProve(catalog, asked, copies);
  const { proveCopies } = await import('../databases/oracle/prove-copies.ts');
  const proof = isCopy
    ? await proveCopies(catalog, facts, label, held)
    : await proveByValidate(tools, catalog, label);
  const { grade, passed, reasons } = proof;
  const known = found.catalog.backups.find((backup) => backup.label === label)?.grade ?? null;
  // A restore proves more than reading does; but what can no longer be read is proven no more.
  await rememberGrade(places, label, passed ? Math.max(grade, known ?? 0) : 0, held);
  const payload = { label, grade, by, passed: String(passed), reasons: reasons.join('; ') };
  await opened.ledger.append({ kind: 'oracle.proven', run, key: null, payload }, new Date());
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  return {
    json: { label, grade, passed, reasons },
    human: passed ? `backup ${label} has grade ${grade}${why}` : `backup ${label} cannot be read${why}`,
    exitCode: passed ? 0 : 4,
  };
}
