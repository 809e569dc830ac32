import { fileURLToPath } from 'node:url';
import { silent } from '../progress.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option('--keep', 'leave machines, archive and site folder to look around', false)
      .option(
        '--engine <engine>',
        "pulumi, or direct: the provider's functions without the engine; default: pulumi where it can be had",
      ),
  examples: ['clona demo', 'clona demo --json', 'clona demo --keep --verbose'],
  exits: { 6: 'an act did not end as it should' },
  run: async ({ signal, note, verbose, onProgress }, options) => {
    const { playStory } = await import('../../scripts/demo/story.ts');
    const { summarize } = await import('../../scripts/demo/report.ts');
    const { ClonaError } = await import('../errors.ts');
    const engine = options['engine'];
    if (engine !== undefined && engine !== 'pulumi' && engine !== 'direct') {
      throw new ClonaError('usage', '--engine is pulumi or direct');
    }
    note('clona: the whole story on this machine');
    const { report, folder } = await playStory({
      signal,
      toolsFolder: fileURLToPath(new URL('../..', import.meta.url)),
      keep: options['keep'] === true,
      engine,
      tell: note,
      onProgress: verbose ? onProgress : silent,
    });
    return { json: report, human: summarize(report, folder), exitCode: report.ok ? 0 : 6 };
  },
};
