import type { Verb } from './verb.ts';
import { requireOption } from './input-file.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option('--archive <dir>', 'the folder of the archive')
      .option('--mirror <dir>', 'its mirror: what is damaged or missing in one is taken from the other'),
  examples: [
    'clona catalog --archive /archive/erp',
    'clona catalog --archive /archive/erp --mirror /mirror/erp --json > erp.json && clona plan --catalog erp.json',
  ],
  exits: { 4: 'the archive is damaged or belongs to another database', 5: 'there is no archive' },
  run: async ({ signal, note }, options) => {
    const { readArchive } = await import('../databases/postgres/catalog.ts');
    const { describeCatalog } = await import('../databases/postgres/catalog-summary.ts');
    const { catalogToJson } = await import('../recovery/catalog-json.ts');
    const mirrorDir = options['mirror'];
    const { catalog, header, warnings } = await readArchive(
      {
        archiveDir: requireOption(options, 'archive', 'DIR'),
        mirrorDir: typeof mirrorDir === 'string' ? mirrorDir : undefined,
      },
      signal,
    );
    if (options['json'] === true) for (const line of warnings) note(`warning: ${line}`);
    return {
      json: catalogToJson(catalog),
      human: describeCatalog(catalog, header.segmentSizeBytes, warnings),
    };
  },
};
