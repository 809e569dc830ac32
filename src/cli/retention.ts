import { ClonaError } from '../errors.ts';
import type { Catalog } from '../recovery/catalog.ts';
import { parseInstant } from '../recovery/question.ts';
import { explainRetention, retentionToJson } from '../retention/explain.ts';
import { parsePolicy, type Policy } from '../retention/policy.ts';
import { planRemoval, type RemovalStep } from '../retention/removal.ts';
import { decideRetention } from '../retention/retention.ts';
import { explainWhatIf, whatIfRemoved, whatIfToJson } from '../retention/what-if.ts';
import { readCatalogFile, readInputFile, requireOption } from './input-file.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option('--catalog <file>', 'a catalog file (docs/catalog.md): decide, change nothing')
      .option('--archive <dir>', 'the folder of an archive: decide, and change it with --apply')
      .option('--mirror <dir>', 'the mirror of that archive')
      .option('--policy <file>', "redundancy, windowDays and orphanDays as JSON; default: the site's")
      .option('--now <time>', 'the time to judge by, as ISO with offset; default: the clock')
      .option('--remove <label...>', 'what-if: which targets would become unreachable without these backups')
      .option('--apply', 'remove what is obsolete, with --yes')
      .option('--pin <label>', 'keep a backup whatever the policy says; with --why')
      .option('--unpin <label>', 'leave a backup to the policy again')
      .option('--why <text>', 'the reason of a pin'),
  examples: [
    'clona retention --catalog erp.json --policy policy.json --now 2017-03-08T18:07:12Z --json',
    'clona retention --archive /archive/erp --mirror /mirror/erp --policy policy.json',
    'clona retention --archive /archive/erp --remove 20260314T223000Z-managed',
    'clona retention --archive /archive/erp --pin 20260314T223000Z-managed --why "before the move"',
    'clona retention --apply --yes',
  ],
  exits: {
    4: 'the archive is damaged',
    5: 'there is no archive',
    6: 'disk or database failed',
    7: 'locked by another run',
  },
  changesNothing: (options) =>
    options['apply'] !== true && options['pin'] === undefined && options['unpin'] === undefined,
  run: async (context, options) => {
    const now = options['now'];
    const nowMs = now === undefined ? Date.now() : parseInstant(now as string, '--now');
    if (typeof options['catalog'] === 'string') return decideFromFile(context, options, nowMs);
    const { readOracleSite } = await import('./read-catalog.ts');
    const oracle = await readOracleSite(context, options);
    if (oracle !== undefined) {
      const { decideForOracle } = await import('./retention-oracle.ts');
      const policy = async (): Promise<Policy> =>
        readPolicy(options, context, oracle.site?.archive.retention);
      return decideForOracle(context, options, oracle, policy, nowMs);
    }
    const { openKeeping } = await import('./retention-archive.ts');
    await using keeping = await openKeeping(context, options);
    if (typeof options['pin'] === 'string' || typeof options['unpin'] === 'string') {
      return await keeping.pin(options['pin'], options['unpin'], options['why']);
    }
    const { catalog } = keeping;
    if (Array.isArray(options['remove'])) return whatIf(catalog, options['remove']);
    const answer = decideRetention(catalog, await readPolicy(options, context, keeping.policy), nowMs);
    const steps = planRemoval(catalog, answer);
    const json = { ...retentionToJson(answer), removal: steps };
    const human = explainRetention(catalog, answer);
    if (options['apply'] !== true) return { json, human };
    if (!context.yes) throw unconfirmed(steps);
    await keeping.apply(steps);
    return { json: { ...json, applied: true }, human: `${human}\n\n${describeSteps(steps)} removed` };
  },
};

async function decideFromFile(
  context: VerbContext,
  options: OptionValues,
  nowMs: number,
): Promise<VerbResult> {
  if (options['apply'] === true || options['pin'] !== undefined || options['unpin'] !== undefined) {
    throw new ClonaError('usage', 'a catalog file cannot be changed', {
      hint: 'give --archive DIR, or a site',
    });
  }
  if (Array.isArray(options['remove'])) {
    return whatIf(await readCatalogFile(options, context.signal), options['remove']);
  }
  const policy = await readPolicy(options, context, undefined);
  const catalog = await readCatalogFile(options, context.signal);
  const answer = decideRetention(catalog, policy, nowMs);
  return { json: retentionToJson(answer), human: explainRetention(catalog, answer) };
}

function whatIf(catalog: Catalog, labels: readonly unknown[]): VerbResult {
  const answer = whatIfRemoved(catalog, labels.map(String));
  return { json: whatIfToJson(answer), human: explainWhatIf(catalog, answer) };
}

async function readPolicy(
  options: OptionValues,
  { signal }: VerbContext,
  ofSite: Policy | undefined,
): Promise<Policy> {
  if (options['policy'] === undefined && ofSite !== undefined) return ofSite;
  return parsePolicy(await readInputFile(requireOption(options, 'policy', 'FILE'), signal));
}

function unconfirmed(steps: readonly RemovalStep[]): ClonaError {
  return new ClonaError('confirmationMissing', `--apply would remove ${describeSteps(steps)}`, {
    hint: 'look at it without --apply first, then give --apply --yes',
  });
}

function describeSteps(steps: readonly RemovalStep[]): string {
  const backups = steps.filter(({ kind }) => kind === 'backup').length;
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
  return `${count(backups, 'backup')} and ${count(steps.length - backups, 'archived log')}`;
}
