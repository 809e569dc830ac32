import { basename, dirname, resolve } from 'node:path';
import { ClonaError } from '../errors.ts';
import { defaultAnswers, siteFileText } from '../site/template.ts';
import type { SiteAnswers } from '../site/answers.ts';
import { examples, exampleSiteFile } from './init/examples.ts';
import { askQuestions, type Terminal } from './init/questions.ts';
import { exists, readExample, writeFiles, type PlannedFile } from './init/write.ts';
import { pulumiFiles } from './init/pulumi-files.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    void command
      .option('--from-example <name>', `take over a whole example: ${Object.keys(examples).join(', ')}`)
      .option('--name <name>', 'name of the site')
      .option('--archive <folder>', 'folder of the archive, on another disk than the database')
      .option('--live <machine>', 'name of the production machine')
      .option('--overwrite', 'replace a site file that exists', false),
  examples: [
    'clona init                       # asks',
    'clona init --yes --name erp      # defaults, to be edited',
    'clona init --from-example erp    # the sample ERP with its smoke tests and kits',
  ],
  exits: { 6: 'the files cannot be written' },
  run: init,
};

/** State, and places where people put secrets: neither belongs in a version control. */
const ignored = ['.clona/', '.tools/', 'node_modules/', 'secrets/', 'clona.env', ''].join('\n');

async function init(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const file = resolve(context.sitePath);
  const folder = dirname(file);
  const fromExample = typeof options['fromExample'] === 'string' ? options['fromExample'] : undefined;
  const proposed = proposeAnswers(folder, fromExample, options);
  const mayAsk = process.stdin.isTTY && process.stderr.isTTY && !context.yes && !context.json;
  // Questions go to stderr: stdout is for the answer.
  const terminal: Terminal = { output: process.stderr, signal: context.signal };

  const overwrite = await mayOverwrite(file, options['overwrite'] === true, mayAsk, terminal);
  let answers = proposed;
  if (fromExample === undefined && !context.yes) {
    if (!mayAsk) {
      throw new ClonaError('confirmationMissing', 'there is nobody to ask: this is not a terminal', {
        hint: 'take the defaults with --yes, or an example with --from-example erp',
      });
    }
    answers = await askQuestions(proposed, terminal);
  }

  const files: PlannedFile[] = [
    {
      path: basename(file),
      content:
        fromExample === undefined ? siteFileText(answers) : await exampleSiteFile(fromExample, answers),
    },
    { path: '.gitignore', content: ignored },
    ...pulumiFiles(folder, answers.live),
    ...(fromExample === undefined ? [] : await readExample(fromExample)),
  ];
  const written = await writeFiles(folder, files, new Set(overwrite ? [basename(file)] : []), context.signal);
  return {
    json: { site: file, files: written, next: nextSteps(context.sitePath) },
    human: [
      ...written.map(({ path, state }) =>
        state === 'written' ? `✔ ${path}` : `- ${path} is there already: kept`,
      ),
      '',
      ...nextSteps(context.sitePath).map((step, index) => `${index + 1}. ${step}`),
    ].join('\n'),
  };
}

function proposeAnswers(folder: string, example: string | undefined, options: OptionValues): SiteAnswers {
  const base = example === undefined ? defaultAnswers : examples[example];
  if (base === undefined || (example !== undefined && !Object.hasOwn(examples, example))) {
    throw new ClonaError('usage', `there is no example "${example}"`, {
      hint: `examples: ${Object.keys(examples).join(', ')}`,
    });
  }
  const given = (key: string): string | undefined => {
    const value = options[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const name = given('name') ?? (example === undefined ? nameOf(folder) : base.name);
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) {
    throw new ClonaError('usage', `"${name}" is no name of a site`, {
      hint: 'a name has small letters, digits and "-", up to 40',
    });
  }
  return { ...base, name, archive: given('archive') ?? base.archive, live: given('live') ?? base.live };
}

function nameOf(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  return name === '' ? defaultAnswers.name : name;
}

async function mayOverwrite(
  file: string,
  allowed: boolean,
  mayAsk: boolean,
  terminal: Terminal,
): Promise<boolean> {
  if (allowed || !(await exists(file))) return allowed;
  if (mayAsk) {
    const { confirm } = await import('@clack/prompts');
    const answer = await confirm({
      message: `${file} is there already. Replace it?`,
      initialValue: false,
      ...terminal,
    });
    terminal.signal.throwIfAborted();
    if (answer === true) return true;
  }
  throw new ClonaError('confirmationMissing', `${file} is there already and was left as it is`, {
    hint: 'replace it with --overwrite, or write another with --site FILE',
  });
}

function nextSteps(sitePath: string): string[] {
  const site = sitePath === 'clona.yaml' ? '' : ` --site ${sitePath}`;
  return [
    `read ${sitePath} and fill in what is yours`,
    `clona doctor${site}: says what is still missing, and how to mend it`,
    `clona backup${site}, then clona refresh${site}`,
  ];
}
