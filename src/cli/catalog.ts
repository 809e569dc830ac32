import type { AcknowledgedGap } from '../proof/due.ts';
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
  changesNothing: () => true,
  run: async (context, options) => {
    const { readArchiveCatalog } = await import('./read-catalog.ts');
    const { describeCatalog } = await import('../databases/postgres/catalog-summary.ts');
    const { catalogToJson } = await import('../recovery/catalog-json.ts');
    const { describePlaces } = await import('../databases/postgres/catalog-places.ts');
    const { catalog, header, folders, ...found } = await readArchiveCatalog(context, options);
    const { said, missing } = describePlaces(folders);
    const warnings = [...found.warnings, ...missing];
    const acknowledged = context.json ? [] : await readAcknowledgedGaps(context, options);
    if (context.json) for (const line of warnings) context.note(`warning: ${line}`);
    return {
      json: catalogToJson(catalog),
      human: [describeCatalog(catalog, header.segmentSizeBytes, warnings, acknowledged), ...said].join('\n'),
    };
  },
};

/** From the site's evidence, where there is any; a catalog is read on bad days, too, when the evidence cannot be. */
async function readAcknowledgedGaps(
  { sitePath, signal, note }: VerbContext,
  options: OptionValues,
): Promise<AcknowledgedGap[]> {
  if (typeof options['archive'] === 'string' || options['offline'] === true) return [];
  const { stat } = await import('node:fs/promises');
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(sitePath);
  const isNew = site.control.url === undefined && !(await stat(site.control.directory).catch(() => false));
  if (isNew) return [];
  const { openSite } = await import('../pipeline/open-site.ts');
  const { readAcknowledged } = await import('../pipeline/prove-due.ts');
  try {
    await using opened = await openSite(sitePath, signal);
    return await readAcknowledged(opened.ledger);
  } catch (error) {
    signal.throwIfAborted();
    note(
      `warning: the evidence does not say which gaps are acknowledged: ${error instanceof Error ? error.message : String(error)}`,
    );
    return [];
  }
}
