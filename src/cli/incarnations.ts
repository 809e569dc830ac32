import { rename, writeFile } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import type { Catalog } from '../recovery/catalog.ts';
import { explainIncarnations } from '../recovery/explain.ts';
import { listIncarnations } from '../recovery/incarnations.ts';
import type { HistoryExtras } from '../recovery/picture/layout.ts';
import { planRecovery } from '../recovery/plan.ts';
import { parseInstant } from '../recovery/question.ts';
import { readInputFile } from './input-file.ts';
import { readQuestion } from './plan.ts';
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
      .option('--svg <file>', 'write the picture there')
      .option('--until <target>', 'draw this target and the way to it, as in clona plan')
      .option('--lost <what>', 'what is lost, as in clona plan', 'database')
      .option('--policy <file>', 'draw ALWM and what is obsolete by this policy')
      .option('--now <time>', 'the time to judge by, as ISO with offset; default: the clock'),
  examples: [
    'clona incarnations --catalog erp.json',
    'clona incarnations --catalog erp.json --json',
    'clona incarnations --catalog erp.json --svg erp.svg --until incarnation:3@450 --policy policy.json',
    'clona incarnations    # of the site in this folder',
  ],
  exits: { 4: 'the archive is damaged', 5: 'there is no archive', 6: 'a disk failed' },
  changesNothing: () => true,
  run: async (context, options) => {
    const { signal, json } = context;
    const extras = await prepareExtras(options, signal);
    const catalog = await readAnyCatalog(context, options);
    const lines = listIncarnations(catalog);
    const svgFile = options['svg'] as string | undefined; // commander gives what was typed
    if (svgFile !== undefined) {
      const { drawHistory } = await import('../recovery/picture/svg.ts');
      await writePicture(svgFile, drawHistory(catalog, extras(catalog)));
    }
    return {
      json: {
        current: catalog.currentIncarnation,
        incarnations: lines.map((line) => ({ ...line, branchPosition: line.branchPosition.toString() })),
      },
      human: json
        ? ''
        : `${explainIncarnations(catalog.engine, lines)}\n\n${await sketch(catalog, extras(catalog))}`,
    };
  },
};

async function sketch(catalog: Catalog, extras: HistoryExtras): Promise<string> {
  const { sketchHistory } = await import('../recovery/picture/terminal.ts');
  return sketchHistory(catalog, extras, Math.min(process.stdout.columns ?? 100, 160));
}

/** Reads what is asked before the catalog, which may be large; answers what draws it. */
async function prepareExtras(
  options: OptionValues,
  signal: AbortSignal,
): Promise<(catalog: Catalog) => HistoryExtras> {
  const { until, policy: policyFile, now } = options;
  const question = until === undefined ? null : readQuestion(options);
  const nowMs = now === undefined ? Date.now() : parseInstant(now as string, '--now');
  const { parsePolicy } = await import('../retention/policy.ts');
  const { decideRetention } = await import('../retention/retention.ts');
  const policy =
    policyFile === undefined ? null : parsePolicy(await readInputFile(policyFile as string, signal));
  return (catalog) => {
    const extras: HistoryExtras = {};
    if (question !== null) extras.plan = planRecovery(catalog, question);
    if (policy !== null) {
      const { backups, lowWaterMarks } = decideRetention(catalog, policy, nowMs);
      extras.marks = new Map(lowWaterMarks.map(({ incarnation, position }) => [incarnation, position]));
      extras.obsolete = new Set(backups.filter(({ keep }) => !keep).map(({ label }) => label));
    }
    return extras;
  };
}

/** Beside its place first: a picture that was there stays whole until the new one is. */
async function writePicture(file: string, picture: string): Promise<void> {
  const partial = `${file}.partial`;
  try {
    await writeFile(partial, picture);
    await rename(partial, file);
  } catch (cause) {
    throw new ClonaError('fileUnreadable', `cannot write ${file}`, { cause });
  }
}
