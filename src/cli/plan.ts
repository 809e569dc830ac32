import { ClonaError } from '../errors.ts';
import { planToJson } from '../recovery/answer.ts';
import { explainPlan } from '../recovery/explain.ts';
import { planRecovery } from '../recovery/plan.ts';
import { lostWords, parseUntil, type Question } from '../recovery/question.ts';
import { readAnyCatalog } from './read-catalog.ts';
import type { OptionValues, Verb } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option(
        '--catalog <file>',
        "a catalog file (docs/catalog.md); default: the catalog of the site's archive",
      )
      .option('--archive <dir>', 'the folder of an archive, instead of a catalog file')
      .option('--mirror <dir>', 'the mirror of that archive')
      .option(
        '--until <target>',
        'position:N, time:ISO, latest, incarnation:I, incarnation:I@N or backup:LABEL',
        'latest',
      )
      .option('--lost <what>', `${lostWords.join(', ')}, or log-only`, 'database')
      .option('--closed <how>', 'with --lost log-only: the database was closed cleanly, or it crashed'),
  examples: [
    'clona plan --catalog erp.json',
    'clona plan --catalog erp.json --until time:2017-03-08T17:52:00Z --json',
    'clona plan --catalog erp.json --until incarnation:3@450 --lost online-log',
    'clona plan --catalog erp.json --lost log-only --closed cleanly',
    'clona plan --until time:2026-03-08T17:52:00Z    # for the site in this folder',
  ],
  exits: {
    4: 'the archive is damaged',
    5: 'the target is unreachable, or there is no archive',
    6: 'a disk failed',
  },
  changesNothing: () => true,
  run: async (context, options) => {
    const question = readQuestion(options);
    const catalog = await readAnyCatalog(context, options);
    const answer = planRecovery(catalog, question);
    return {
      json: planToJson(answer),
      human: explainPlan(catalog, answer),
      exitCode: answer.reachable ? 0 : 5,
    };
  },
};

/** The question that `--until`, `--lost` and `--closed` ask. */
export function readQuestion(options: OptionValues): Question {
  // Commander gives what was typed, or the defaults above: text.
  const until = parseUntil(options['until'] as string);
  const word = options['lost'] as string;
  const closed = options['closed'];
  if (word === 'log-only') {
    if (closed !== 'cleanly' && closed !== 'crashed') {
      throw new ClonaError('usage', '--lost log-only needs --closed cleanly or --closed crashed', {
        hint: 'closed cleanly, the datafiles are complete; crashed, they are not',
      });
    }
    return { until, lost: 'online-log', logOnly: closed };
  }
  if (closed !== undefined) throw new ClonaError('usage', '--closed belongs to --lost log-only');
  const lost = lostWords.find((known) => known === word);
  if (lost === undefined) {
    throw new ClonaError('usage', `--lost: "${word}" is not known`, {
      hint: `${lostWords.join(', ')} or log-only`,
    });
  }
  return { until, lost };
}
