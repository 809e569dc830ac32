import { ClonaError } from '../errors.ts';
import { confirmChange, textOption } from './confirm.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .argument('[machines...]', 'names of staging machines; default: the one of the site file')
      .option('--expired', 'those whose time has passed, and no others', false)
      .option('--break-lock', "clear a lock on the machine's stack, whoever holds it", false)
      .option('--as <name>', 'who destroys, for the evidence; default: the account that runs clona');
  },
  examples: [
    'clona destroy',
    'clona destroy staging-2 --yes',
    'clona destroy --expired --yes --json',
    'clona destroy --break-lock    # the engine was killed, and its lock is still there',
  ],
  exits: {
    3: 'a release holds the machine',
    6: 'a machine, a disk or the engine failed',
    7: 'another run has the site or the stack',
  },
  run: destroy,
};

async function destroy(
  context: VerbContext,
  options: OptionValues,
  args: readonly string[],
): Promise<VerbResult> {
  const expired = options['expired'] === true;
  if (expired && args.length > 0) {
    throw new ClonaError('usage', 'machines are named, or --expired finds them, not both');
  }
  const { loadSite } = await import('../site/load.ts');
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { destroyMachines, planDestroy } = await import('../pipeline/destroy.ts');
  const { staging } = await loadSite(context.sitePath);
  await using site = await openSite(context.sitePath, context.signal);
  const machines = expired ? undefined : args.length > 0 ? args : [staging.name];
  const now = new Date();
  const plan = await planDestroy(site, { machines, now, signal: context.signal });
  if (plan.destroyed.length > 0) {
    await confirmChange(context, `${plan.destroyed.join(', ')} will be destroyed. Go on?`);
  }
  const { destroyed, kept } = await destroyMachines(site, {
    machines,
    now,
    by: textOption(options, 'as') ?? accountName(),
    breakLock: options['breakLock'] === true,
    signal: context.signal,
    onProgress: context.onProgress,
  });
  const lines = [
    ...destroyed.map((machine) => `${machine} is gone`),
    ...kept.map(({ machine, reason }) => `${machine} stays: ${reason}`),
  ];
  return {
    json: { ok: kept.length === 0, destroyed, kept },
    human: lines.length === 0 ? 'no machine has expired' : lines.join('\n'),
    // Found by their age, those that are held are no news; asked for by name they are.
    exitCode: !expired && kept.length > 0 ? 3 : 0,
  };
}
