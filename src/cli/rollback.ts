import { errorTable } from '../errors.ts';
import { confirmChange, textOption } from './confirm.ts';
import { openVerbContext } from './site-context.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option('--lose-changes-since <position>', 'P of the promotion: what users did after it may be lost')
      .option('--release <id>', 'the release to take back; only the newest that changed LIVE can be')
      .option('--as <name>', 'who takes it back, for the evidence; default: the account that runs clona');
  },
  examples: ['clona rollback', 'clona rollback --lose-changes-since 83886592 --yes'],
  exits: {
    3: 'LIVE was opened since, and what would be lost was not accepted',
    4: 'LIVE could not be proven to be back at P; it stays closed',
    6: 'a machine, database, disk or network failed',
    7: 'another run has the site',
  },
  run: async (context, options) => {
    const { accountName } = await import('../pipeline/open-site.ts');
    const { refuseUnnamedLosses, rollBackRelease } = await import('../pipeline/runs.ts');
    await using site = await openVerbContext(context);
    const release = textOption(options, 'release');
    const loseChangesSince = textOption(options, 'loseChangesSince');
    if (loseChangesSince === undefined) await refuseUnnamedLosses(site, release);
    await confirmChange(context, 'LIVE will be taken back. Go on?');
    const by = textOption(options, 'as') ?? accountName();
    const result = await rollBackRelease(site, { release, by, loseChangesSince });
    const { outcome, takenBack, error } = result;
    const isBack = outcome === 'rolledBack';
    return {
      json: { ok: isBack, ...result },
      human: isBack
        ? `release ${result.release} was taken back: LIVE is at P = ${takenBack?.position ?? '?'}, proven, and open (incarnation ${takenBack?.incarnation ?? '?'})`
        : `release ${result.release} was not taken back: ${error?.message ?? 'unknown'}`,
      exitCode: isBack ? 0 : error === null ? 4 : errorTable[error.kind].exit,
    };
  },
};
