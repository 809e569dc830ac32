import { errorTable, type ExitCode } from '../errors.ts';
import type { PromoteResult } from '../pipeline/promote-result.ts';
import { confirmChange, textOption } from './confirm.ts';
import { gateToJson, showGate } from './show-gate.ts';
import { openVerbContext } from './site-context.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option('--release <id>', 'which release, where more than one is open')
      .option('--as <name>', 'who promotes, for the evidence; default: the account that runs clona');
  },
  examples: ['clona promote', 'clona promote --yes --json'],
  exits: {
    3: 'the gate is closed; LIVE was not changed',
    4: 'the kit or a smoke test failed on LIVE, which was taken back and proven',
    6: 'a machine, database, disk or network failed',
    7: 'another run has the site',
  },
  run: async (context, options) => {
    await confirmChange(context, 'LIVE will be closed for its users and changed. Go on?');
    const { accountName } = await import('../pipeline/open-site.ts');
    const { promoteRelease } = await import('../pipeline/runs.ts');
    await using site = await openVerbContext(context);
    const by = textOption(options, 'as') ?? accountName();
    const result = await promoteRelease(site, { release: textOption(options, 'release'), by });
    return {
      json: { ok: result.outcome === 'promoted', ...result, gate: gateToJson(result.gate) },
      human: showPromotion(result),
      exitCode: exitOf(result),
    };
  },
};

function exitOf({ outcome, error }: PromoteResult): ExitCode {
  if (outcome === 'promoted') return 0;
  if (outcome === 'refused') return 3;
  if (outcome === 'rolledBack') return error?.kind === 'interrupted' ? 130 : 4;
  return error === null ? 6 : errorTable[error.kind].exit;
}

function showPromotion(result: PromoteResult): string {
  const { outcome, release, bearing, takenBack, error, gate } = result;
  const because = error === null ? [] : [`because: ${error.message}`];
  const at = bearing === null ? '' : ` P = ${bearing.position}`;
  switch (outcome) {
    case 'promoted':
      return `release ${release} is on LIVE, and LIVE is open;${at} (a rollback from now on loses what users do)`;
    case 'refused':
      return `release ${release} was not promoted; LIVE was not touched\n${gate === null ? '' : showGate(gate)}`;
    case 'withdrawn':
      return [`release ${release} was not promoted; LIVE is open as it was`, ...because].join('\n');
    case 'rolledBack':
      return [
        `release ${release} failed on LIVE, which was taken back to${at}, proven and opened`,
        ...because,
        `LIVE goes on in incarnation ${takenBack?.incarnation ?? '?'}; counts, version and schema are as at P`,
      ].join('\n');
    case 'failed':
      return [
        `release ${release} failed, and LIVE stays closed for its users`,
        ...because,
        'look at it, then: clona rollback',
      ].join('\n');
  }
}
