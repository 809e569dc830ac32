import { writeFile } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import type { Context } from '../pipeline/context.ts';
import type { ReleaseResult } from '../pipeline/release-result.ts';
import { textOption } from './confirm.ts';
import { gateToJson, showGate } from './show-gate.ts';
import { openVerbContext } from './site-context.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option(
        '--kit <source>',
        'folder, zip, tar, or https, http or ftp address; default: kit.source of the site file',
      )
      .option('--hash <sha256>', "the kit's hash; http and ftp need it")
      .option('--wait', 'stay until the departments have spoken', false)
      .option('--junit <file>', 'write the smoke tests on staging as JUnit XML')
      .option('--abandon', 'give the open release up', false)
      .option('--release <id>', 'with --abandon: which one, where more than one is open')
      .option(
        '--as <name>',
        'who starts it and so cannot sign for a department; default: the account that runs clona',
      );
  },
  examples: [
    'clona release --kit kits/2.1',
    'clona release --kit https://vendor.example/erp-2.1.zip --wait --json --junit smoke.xml',
    'clona release --abandon',
  ],
  exits: {
    3: 'with --wait: the gate stayed closed',
    4: 'the kit or a smoke test failed on staging, which is kept for inspection',
    6: 'a machine, database, disk or network failed',
    7: 'another run has the site',
  },
  run: async (context, options) => {
    await using site = await openVerbContext(context);
    const { accountName } = await import('../pipeline/open-site.ts');
    const by = textOption(options, 'as') ?? accountName();
    if (options['abandon'] === true) return await abandon(site, options, by);
    return await release(context, site, options, by);
  },
};

async function abandon(site: Context, options: OptionValues, by: string): Promise<VerbResult> {
  const { abandonRelease } = await import('../pipeline/signing.ts');
  const id = await abandonRelease(site, { release: textOption(options, 'release'), by });
  return { json: { release: id, state: 'abandoned' }, human: `release ${id} was given up` };
}

async function release(
  context: VerbContext,
  site: Context,
  options: OptionValues,
  by: string,
): Promise<VerbResult> {
  const { loadSite } = await import('../site/load.ts');
  const { startRelease, throwIfFailed } = await import('../pipeline/runs.ts');
  const { kit } = await loadSite(context.sitePath);
  const source = textOption(options, 'kit') ?? kit.source;
  if (source === undefined) {
    throw new ClonaError('usage', 'no kit was named', {
      hint: 'give --kit, or set kit.source in the site file',
    });
  }
  const started = await startRelease(site, {
    kit: source,
    hash: textOption(options, 'hash') ?? kit.sha256,
    by,
  });
  await writeJUnit(site, started.release, textOption(options, 'junit'));
  if (started.ended !== null) {
    throwIfFailed(started.ended);
    return failedRelease(started.ended);
  }
  const { readProgress, waitForWords } = await import('../pipeline/waiting.ts');
  const progress =
    options['wait'] === true
      ? await waitForWords(site, started.release)
      : await readProgress(site, started.release);
  const { phase, gate, facts } = progress;
  const waitsFor =
    phase === 'checklist'
      ? "the DBA's checklist: clona signoff --checklist"
      : 'the departments: clona signoff --department NAME --confirm';
  return {
    json: {
      ok: true,
      release: started.release,
      state: phase,
      kit: facts.kit,
      smoke: facts.smoke,
      gate: gateToJson(gate),
    },
    human: [
      `release ${started.release}: ${facts.kit.name} ${facts.kit.version} is on staging, ${facts.smoke?.passed ?? 0} smoke tests passed, the rollback was rehearsed`,
      ...(phase === 'decided' ? [] : [`it waits for ${waitsFor}`]),
      showGate(gate),
    ].join('\n'),
    exitCode: phase === 'decided' && !gate.open ? 3 : 0,
  };
}

/** What a release that ended on staging came to: news, not an error of clona. */
function failedRelease(result: ReleaseResult): VerbResult {
  const { release: id, kit, upgrade, smoke, gate } = result;
  const why =
    upgrade?.outcome === 'failed'
      ? `the kit failed in step "${upgrade.failedStep}": ${upgrade.failure}`
      : `smoke tests failed:\n${(smoke?.failed ?? []).map((name) => `  ✖ ${name}`).join('\n')}`;
  return {
    json: { ok: false, release: id, state: result.state, kit, upgrade, smoke, gate: gateToJson(gate) },
    human: [
      `release ${id} of ${kit?.name ?? 'the kit'} ${kit?.version ?? ''} ended on staging, which is kept for inspection`,
      why,
      ...(gate === null ? [] : [showGate(gate)]),
    ].join('\n'),
    exitCode: 4,
  };
}

async function writeJUnit(site: Context, id: string, path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const { indexKinds, payloadOf } = await import('../pipeline/evidence-kinds.ts');
  const { toJUnit } = await import('../smoke/report.ts');
  const smoke = payloadOf(indexKinds(await site.ledger.list({ runs: [id] }), id), 'smoke.staged');
  if (smoke?.report) await writeFile(path, toJUnit(smoke.report));
}
