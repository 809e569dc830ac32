import { explainIncarnations } from '../recovery/explain.ts';
import { listIncarnations } from '../recovery/incarnations.ts';
import { readCatalogFile } from './input-file.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  configure: (command) => command.option('--catalog <file>', 'a catalog file (docs/catalog.md)'),
  examples: ['clona incarnations --catalog erp.json', 'clona incarnations --catalog erp.json --json'],
  exits: {},
  run: async ({ signal }, options) => {
    const catalog = await readCatalogFile(options, signal);
    const lines = listIncarnations(catalog);
    return {
      json: {
        current: catalog.currentIncarnation,
        incarnations: lines.map((line) => ({ ...line, branchPosition: line.branchPosition.toString() })),
      },
      human: explainIncarnations(catalog.engine, lines),
    };
  },
};
