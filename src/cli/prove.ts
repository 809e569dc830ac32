import { ClonaError } from '../errors.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option('--job-log <file>', 'judge the log of expdp, impdp, exp, imp or RMAN from its whole text')
      .option('--accept <verdict>', 'with --job-log: "warning" ends with exit code 0 as well');
  },
  examples: [
    'clona prove --job-log expdp_erp.log --json',
    'clona prove --job-log impdp_clona.log --accept warning',
  ],
  exits: { 4: 'the proof failed, or the job log is not ok' },
  run: async (context, options) => {
    checkOptions(options);
    if (typeof options['jobLog'] === 'string') return proveJobLog(context, options, options['jobLog']);
    throw new ClonaError('usage', 'nothing to prove was named', { hint: 'give --job-log FILE' });
  },
};

function checkOptions(options: OptionValues): void {
  const accept = options['accept'];
  if (accept !== undefined && accept !== 'warning') {
    throw new ClonaError('usage', `--accept takes "warning", nothing else`);
  }
  if (accept !== undefined && options['jobLog'] === undefined) {
    throw new ClonaError('usage', '--accept goes with --job-log');
  }
}

async function proveJobLog(context: VerbContext, options: OptionValues, path: string): Promise<VerbResult> {
  const { readJobLog, describeJobLog } = await import('./prove-job-log.ts');
  const judgement = await readJobLog(path, context.signal);
  const accepted =
    judgement.verdict === 'ok' || (judgement.verdict === 'warning' && options['accept'] === 'warning');
  return { json: judgement, human: describeJobLog(judgement), exitCode: accepted ? 0 : 4 };
}
