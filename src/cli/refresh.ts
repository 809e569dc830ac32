import type { RefreshResult } from '../pipeline/refresh.ts';
import { textOption } from './confirm.ts';
import { openVerbContext } from './site-context.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option('--dry-run', 'show plan, space and time; change nothing', false)
      .option('--backup', 'take a new backup first, also where the archive can serve', false)
      .option('--machine <name>', 'another staging machine than the one of the site file')
      .option('--break-lock', "clear a lock on the machine's stack first, whoever holds it", false)
      .option('--as <name>', 'who refreshes, for the evidence; default: the account that runs clona');
  },
  examples: ['clona refresh', 'clona refresh --dry-run', 'clona refresh --backup --json'],
  exits: {
    4: 'the archive is not proven to the grade that the site demands',
    5: 'the archive cannot reach the wanted point',
    6: 'a machine, database, disk or network failed',
    7: 'another run has the site, or the stack of the machine',
  },
  run: async (context, options) =>
    options['dryRun'] === true ? planRefresh(context) : refresh(context, options),
};

async function planRefresh(context: VerbContext): Promise<VerbResult> {
  await using site = await openVerbContext(context);
  const { createStep } = await import('../pipeline/step.ts');
  const { readNewestRestore } = await import('../pipeline/refresh.ts');
  const plan = await site.operations.planRestore(
    createStep(site, 'plan', 'plan', context.signal),
    null,
    await readNewestRestore(site.ledger),
  );
  const time =
    plan.secondsExpected === null ? 'not measured yet' : `about ${Math.ceil(plan.secondsExpected)} s`;
  const fits = plan.bytesNeeded <= plan.bytesFree;
  const human = [
    `restore ${plan.backup}`,
    ...plan.steps.map((step, index) => `  ${index + 1}. ${step}`),
    `space: ${mebibytes(plan.bytesNeeded)} needed, ${mebibytes(plan.bytesFree)} free${fits ? '' : ': too little'}`,
    `time: ${time}`,
  ].join('\n');
  return { json: { dryRun: true, fits, plan }, human, exitCode: fits ? 0 : 6 };
}

async function refresh(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { loadSite } = await import('../site/load.ts');
  const { accountName } = await import('../pipeline/open-site.ts');
  const { runRefresh, throwIfFailed } = await import('../pipeline/runs.ts');
  const { staging, archive } = await loadSite(context.sitePath);
  await using site = await openVerbContext(context);
  const by = textOption(options, 'as') ?? accountName();
  const machine = textOption(options, 'machine') ?? staging.name;
  if (options['breakLock'] === true) {
    const { breakLock } = await import('../pipeline/staging-machines.ts');
    await breakLock(context.sitePath, site, { machine, by, ...context });
  }
  const result = await runRefresh(site, {
    by,
    machine,
    freshBackup: options['backup'] === true,
  });
  throwIfFailed(result);
  const grade = result.proof?.grade ?? 0;
  return {
    json: { ok: grade >= archive.minimumGrade, grade, ...result },
    human: showRefresh(result, archive.minimumGrade),
    exitCode: grade >= archive.minimumGrade ? 0 : 4,
  };
}

function showRefresh(
  { refresh, machine, insteadOf, restored, proof }: RefreshResult,
  minimum: number,
): string {
  const grade = proof?.grade ?? 0;
  return [
    `${machine} was refreshed (${refresh})${insteadOf === null ? '' : `; ${insteadOf}`}`,
    ...(restored === null
      ? []
      : [
          `restored ${restored.backup} up to ${restored.reached} (${restored.coversUntil}) in ${restored.seconds.toFixed(1)} s${restored.lost === '' ? '' : `; lost: ${restored.lost}`}`,
        ]),
    `proven to grade ${grade}${grade < minimum ? `, the site demands ${minimum}` : ''}`,
    ...(proof?.findings ?? []).map((finding) => `  ${finding}`),
  ].join('\n');
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
