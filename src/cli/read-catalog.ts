import type { ArchiveCatalog } from '../databases/postgres/catalog.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import type { OracleCatalog, OraclePlaces } from '../databases/oracle/site-catalog.ts';
import { ClonaError } from '../errors.ts';
import type { Catalog } from '../recovery/catalog.ts';
import type { Site } from '../site/site.ts';
import { readCatalogFile } from './input-file.ts';
import type { OptionValues, VerbContext } from './verb.ts';

/** The catalog a question is asked about: of `--catalog FILE`, of `--archive DIR`, else of the site's archive. */
export async function readAnyCatalog(context: VerbContext, options: OptionValues): Promise<Catalog> {
  if (typeof options['catalog'] === 'string') return readCatalogFile(options, context.signal);
  if (typeof options['archive'] !== 'string') await requireSite(context);
  const oracle = await readOracleSite(context, options);
  if (oracle !== undefined) {
    for (const line of oracle.warnings) context.note(`warning: ${line}`);
    return oracle.catalog;
  }
  const { catalog, warnings } = await readArchiveCatalog(context, options);
  for (const line of warnings) context.note(`warning: ${line}`);
  return catalog;
}

export interface OracleSite extends OracleCatalog {
  places: OraclePlaces;
  /** The site, and whether its production was asked; undefined: an archive by its folder alone. */
  site: Site | undefined;
}

/** The catalog of a site with `database.engine: oracle`, or of an archive that remembers one; undefined: PostgreSQL's. */
export async function readOracleSite(
  { signal, sitePath }: VerbContext,
  options: OptionValues,
): Promise<OracleSite | undefined> {
  const { archive, mirror } = options;
  if (typeof archive === 'string') {
    const places = { archiveDir: archive, mirrorDir: typeof mirror === 'string' ? mirror : undefined };
    const { recallOracle } = await import('../databases/oracle/site-catalog.ts');
    const found = await recallOracle(places, signal);
    return found === undefined ? undefined : { ...found, places, site: undefined };
  }
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(sitePath);
  if (site.database.engine !== 'oracle') return undefined;
  const { readOracleCatalog, recallOracle } = await import('../databases/oracle/site-catalog.ts');
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  const { warnAboutAge } = await import('../databases/postgres/catalog-summary.ts');
  const found =
    options['offline'] === true
      ? await recallOracle(places, signal)
      : await readOracleCatalog(await findLive(site, signal), places, signal);
  if (found === undefined) {
    throw new ClonaError('archiveAbsent', `nothing is remembered in ${places.archiveDir}`, {
      hint: 'clona catalog without --offline reads the control file and remembers it',
    });
  }
  const warnings = [...found.warnings, ...warnAboutAge(found.catalog, site.archive, Date.now())];
  return { ...found, warnings, places, site };
}

async function requireSite({ sitePath }: VerbContext): Promise<void> {
  const { access } = await import('node:fs/promises');
  try {
    await access(sitePath);
  } catch {
    throw new ClonaError('usage', `--catalog FILE is missing, and there is no ${sitePath} here`, {
      hint: 'give --catalog FILE, --archive DIR, or --site FILE',
    });
  }
}

/** What an archive holds, by its folder alone, or by the site: then LIVE says which incarnation is CURRENT. */
export async function readArchiveCatalog(
  { signal, sitePath }: VerbContext,
  options: OptionValues,
): Promise<ArchiveCatalog> {
  const { readArchive } = await import('../databases/postgres/catalog.ts');
  const { archive, mirror } = options;
  if (typeof archive === 'string') {
    return readArchive(
      { archiveDir: archive, mirrorDir: typeof mirror === 'string' ? mirror : undefined },
      signal,
    );
  }
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(sitePath);
  const found = await readArchive(
    { archiveDir: site.archive.location, mirrorDir: site.archive.mirror },
    signal,
  );
  const { warnAboutAge } = await import('../databases/postgres/catalog-summary.ts');
  const warnings = [...found.warnings, ...warnAboutAge(found.catalog, site.archive, Date.now())];
  if (options['offline'] === true) return { ...found, warnings };
  const { addLiveFacts } = await import('../databases/postgres/catalog-live.ts');
  try {
    const address = await findLive(site, signal);
    const catalog = await addLiveFacts(found.catalog, address, signal, found.header.systemIdentifier);
    return { ...found, catalog, warnings };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ClonaError) || error.kind === 'archiveForeign') throw error;
    // On a bad day the archive must still be readable.
    warnings.push(
      `production does not say which incarnation is current (${error.message}): taken from the files`,
    );
    return { ...found, warnings };
  }
}

/** LIVE's database: by the site's own address, which needs no machine that clona knows, else by its machine. */
export async function findLive(site: Site, signal: AbortSignal): Promise<DatabaseAddress> {
  const { resolveDatabaseAddress } = await import('../site/address.ts');
  const given = await resolveDatabaseAddress(site.database);
  if (given !== undefined) return given;
  const { findProduction } = await import('../pipeline/production.ts');
  return findProduction(site, signal);
}
