import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { OracleDemo } from '../../scripts/demo/oracle-report.ts';
import type { ClonaError } from '../errors.ts';
import { silent } from '../progress.ts';
import { confirmChange, textOption } from './confirm.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option(
        '--keep',
        'leave machines, archive and site folder to look around; on vsphere until you end it',
        false,
      )
      .option(
        '--platform <platform>',
        'local: machines are folders of this host; vsphere: VMs of a simulated vCenter, real machines behind them',
        'local',
      )
      .option(
        '--database <engine>',
        'postgres, or oracle: the same story against a simulated Oracle server in VMs of a simulated vCenter (in a checkout)',
        'postgres',
      )
      .option(
        '--engine <engine>',
        "pulumi, or direct: the provider's functions without the engine; default: pulumi where it can be had",
      )
      .option(
        '--production <dir>',
        'only make LIVE with the sample ERP in a folder, to try the verbs yourself',
      )
      .option('--remove <dir>', 'take away what --keep or --production left in a folder, machines and all'),
  examples: [
    'clona demo',
    'clona demo --json',
    'clona demo --keep --verbose',
    'clona demo --platform vsphere',
    'clona demo --database oracle --json',
    'clona demo --production trial    # then: cd trial; clona backup; clona refresh',
    'clona demo --remove trial --yes',
  ],
  exits: { 6: 'an act did not end as it should' },
  run: async (context, options) => {
    const { signal, note, verbose, onProgress } = context;
    const { playStory } = await import('../../scripts/demo/story.ts');
    const { summarize } = await import('../../scripts/demo/report.ts');
    const { ClonaError } = await import('../errors.ts');
    const removed = textOption(options, 'remove');
    if (removed !== undefined) return remove(removed, context);
    const production = textOption(options, 'production');
    if (production !== undefined) return makeProduction(production, signal);
    const database = options['database'];
    if (database === 'oracle') return playOracle(context, options);
    if (database !== undefined && database !== 'postgres') {
      throw new ClonaError('usage', '--database is postgres or oracle');
    }
    const engine = options['engine'];
    if (engine !== undefined && engine !== 'pulumi' && engine !== 'direct') {
      throw new ClonaError('usage', '--engine is pulumi or direct');
    }
    const platform = options['platform'];
    if (platform !== 'local' && platform !== 'vsphere') {
      throw new ClonaError('usage', '--platform is local or vsphere');
    }
    if (platform === 'vsphere' && engine === 'direct') {
      throw new ClonaError('usage', 'on vsphere the demo has no --engine direct');
    }
    note('clona: the whole story on this machine');
    const { report, folder } = await playStory({
      signal,
      toolsFolder: fileURLToPath(new URL('../..', import.meta.url)),
      platform,
      keep: options['keep'] === true,
      engine,
      tell: note,
      onProgress: verbose ? onProgress : silent,
    });
    return { json: report, human: summarize(report, folder), exitCode: report.ok ? 0 : 6 };
  },
};

/** Its machines and its server are simulated by code of the tests, which is in no package. */
async function playOracle(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { signal, note, verbose, onProgress } = context;
  const { ClonaError } = await import('../errors.ts');
  const { oracleWorldFile } = await import('../../scripts/demo/world.ts');
  if (options['keep'] === true || options['engine'] !== undefined) {
    throw new ClonaError('usage', 'with --database oracle the demo has no --keep and no --engine', {
      hint: 'its machines are those of a simulated vCenter, and end with it',
    });
  }
  if (!existsSync(oracleWorldFile())) {
    throw new ClonaError(
      'usage',
      'the demo with Oracle is in a checkout of clona only: its server is simulated',
      {
        hint: 'clone the repository, npm ci, npm run demo -- --database oracle',
      },
    );
  }
  const toolsFolder = fileURLToPath(new URL('../..', import.meta.url));
  const missing = await whyNoVsphere(toolsFolder, signal);
  if (missing !== undefined) return playThin(context, missing);
  note('clona: the whole story with Oracle, against a simulated server in machines of a simulated vCenter');
  const { playStory } = await import('../../scripts/demo/story.ts');
  const { summarize } = await import('../../scripts/demo/report.ts');
  const { report } = await playStory({
    signal,
    toolsFolder,
    platform: 'vsphere',
    database: 'oracle',
    keep: false,
    tell: note,
    onProgress: verbose ? onProgress : silent,
  });
  return { json: report, human: summarize(report, null), exitCode: report.ok ? 0 : 6 };
}

/** What keeps machines of a simulated vCenter from being made here; undefined: nothing. */
async function whyNoVsphere(toolsFolder: string, signal: AbortSignal): Promise<ClonaError | undefined> {
  const { ClonaError } = await import('../errors.ts');
  const { findTools } = await import('../../scripts/demo/vsphere/tools.ts');
  try {
    // Guests that talk to themselves have a loopback set up by it.
    await findTools(toolsFolder, signal, silent, ['ip']);
    return undefined;
  } catch (error) {
    if (error instanceof ClonaError && error.kind === 'toolchainMissing') return error;
    throw error;
  }
}

/** What can be shown anywhere: the same adapters, called one after the other, with no machine to clone and no pipeline. */
async function playThin({ signal, note }: VerbContext, { message, hint }: ClonaError): Promise<VerbResult> {
  const { summarizeOracle } = await import('../../scripts/demo/oracle-report.ts');
  note(
    `clona: ${message}, so the thin path is played: no pipeline, no promotion behind a snapshot (${hint ?? ''})`,
  );
  const story = new URL('../../scripts/demo/oracle/thin/story.ts', import.meta.url);
  // The file exports what OracleDemo says.
  const { play } = (await import(story.href)) as OracleDemo;
  const report = await play({ signal, tell: note });
  return { json: report, human: summarizeOracle(report), exitCode: report.ok ? 0 : 6 };
}

async function makeProduction(folder: string, signal: AbortSignal): Promise<VerbResult> {
  const { startTrial } = await import('../../scripts/demo/try.ts');
  const { site, production } = await startTrial(folder, signal);
  const { name, systemDisk } = production.facts;
  return {
    json: { ok: true, site: site.file, machine: name, rows: production.rows, database: production.address },
    human: [
      `${name} runs with ${production.rows} rows: its disks are beside ${systemDisk}`,
      '',
      `cd ${folder}`,
      'npx clona doctor       # what is in order, what to look at',
      'npx clona backup',
      'npx clona refresh      # LIVE STAGING from the newest backup, proven',
      'npx clona release --kit kits/2.1',
      '',
      `cd .. && npx clona demo --remove ${folder} --yes    # takes everything away again`,
    ].join('\n'),
  };
}

async function remove(folder: string, context: VerbContext): Promise<VerbResult> {
  const { findTrial, removeTrial } = await import('../../scripts/demo/try.ts');
  const trial = await findTrial(folder);
  await confirmChange(context, `${trial.folder} and every machine of it will be deleted. Go on?`);
  const removed = await removeTrial(trial, context.signal);
  return {
    json: { ok: true, removed },
    human: [...removed.map((name) => `${name} is gone`), `${folder} is gone`].join('\n'),
  };
}
