import type { Verb } from './verb.ts';

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
    if (context.json) for (const line of warnings) context.note(`warning: ${line}`);
    return {
      json: catalogToJson(catalog),
      human: [describeCatalog(catalog, header.segmentSizeBytes, warnings), ...said].join('\n'),
    };
  },
};
