import type { ArchiveCatalog } from '../databases/postgres/catalog.ts';
import { ClonaError } from '../errors.ts';
import type { OptionValues, Verb, VerbContext } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option(
        '--archive <dir>',
        "the folder of an archive: no site and no server is needed; default: the site's",
      )
      .option('--mirror <dir>', 'its mirror: what is damaged or missing in one is taken from the other')
      .option('--offline', "do not ask the site's production server which incarnation is current", false),
  examples: [
    'clona catalog',
    'clona catalog --archive /archive/erp',
    'clona catalog --archive /archive/erp --mirror /mirror/erp --json > erp.json && clona plan --catalog erp.json',
  ],
  exits: {
    4: 'the archive is damaged or belongs to another database',
    5: 'there is no archive',
    6: 'a disk failed',
  },
  run: async (context, options) => {
    const { describeCatalog } = await import('../databases/postgres/catalog-summary.ts');
    const { catalogToJson } = await import('../recovery/catalog-json.ts');
    const { catalog, header, warnings } = await read(context, options);
    if (context.json) for (const line of warnings) context.note(`warning: ${line}`);
    return {
      json: catalogToJson(catalog),
      human: describeCatalog(catalog, header.segmentSizeBytes, warnings),
    };
  },
};

async function read({ signal, sitePath }: VerbContext, options: OptionValues): Promise<ArchiveCatalog> {
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
  const { accessMachine, openAccess } = await import('../pipeline/local/access.ts');
  const { addLiveFacts } = await import('../databases/postgres/catalog-live.ts');
  try {
    const { address } = await accessMachine(openAccess(site), 'live', signal);
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
