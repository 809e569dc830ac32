import { parseInstant } from '../recovery/question.ts';
import { explainRetention, retentionToJson } from '../retention/explain.ts';
import { parsePolicy } from '../retention/policy.ts';
import { decideRetention } from '../retention/retention.ts';
import { readCatalogFile, readInputFile, requireOption } from './input-file.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option('--catalog <file>', 'a catalog file (docs/catalog.md)')
      .option('--policy <file>', 'redundancy, windowDays and orphanDays as JSON (docs/catalog.md)')
      .option('--now <time>', 'the time to judge by, as ISO with offset; default: the clock'),
  examples: [
    'clona retention --catalog erp.json --policy policy.json',
    'clona retention --catalog erp.json --policy policy.json --now 2017-03-08T18:07:12Z --json',
  ],
  exits: {},
  run: async ({ signal }, options) => {
    const now = options['now'];
    const nowMs = now === undefined ? Date.now() : parseInstant(now as string, '--now');
    const policy = parsePolicy(await readInputFile(requireOption(options, 'policy', 'FILE'), signal));
    const catalog = await readCatalogFile(options, signal);
    const answer = decideRetention(catalog, policy, nowMs);
    return { json: retentionToJson(answer), human: explainRetention(catalog, answer) };
  },
};
