import { ClonaError } from '../errors.ts';
import type { Context } from '../pipeline/context.ts';
import { textOption } from './confirm.ts';
import { gateToJson, showGate } from './show-gate.ts';
import { openVerbContext } from './site-context.ts';
import type { OptionValues, Verb, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option('--department <name>', 'the department whose word it is')
      .option('--confirm', 'it may go to LIVE', false)
      .option('--refuse', 'it may not', false)
      .option('--comment <text>', 'why')
      .option('--as <name>', 'who gives the word; default: the account that runs clona')
      .option('--on-behalf-of <name>', 'who said it to you: the DBA writes down the word of a key user')
      .option('--checklist [item...]', "tick the DBA's checklist: all of it, or these items")
      .option('--release <id>', 'which release, where more than one is open');
  },
  examples: [
    'clona signoff --department accounting --as amra --confirm --comment "posted ten invoices"',
    'clona signoff --department sales --as dba --on-behalf-of sanja --refuse --comment "said on the phone"',
    'clona signoff --checklist --as dba',
  ],
  exits: { 3: 'the word cannot be taken', 6: 'the control database does not answer' },
  run: async (context, options) => {
    checkOptions(options);
    await using site = await openVerbContext(context);
    const { accountName } = await import('../pipeline/open-site.ts');
    const by = textOption(options, 'as') ?? accountName();
    if (options['checklist'] !== undefined) return await tick(site, options, by);
    return await giveWord(site, options, by);
  },
};

function checkOptions(options: OptionValues): void {
  const isWord = options['confirm'] === true || options['refuse'] === true;
  const hint = 'clona signoff --department NAME --confirm, or --refuse; the DBA: clona signoff --checklist';
  if (options['checklist'] !== undefined) {
    if (isWord || options['department'] !== undefined) {
      throw new ClonaError('usage', 'the checklist and a word are two calls', { hint });
    }
    return;
  }
  if (options['confirm'] === options['refuse']) {
    throw new ClonaError('usage', 'a word is either --confirm or --refuse', { hint });
  }
  if (textOption(options, 'department') === undefined) {
    throw new ClonaError('usage', 'no department was named', { hint });
  }
}

async function giveWord(site: Context, options: OptionValues, by: string): Promise<VerbResult> {
  const { sign } = await import('../pipeline/signing.ts');
  const signed = await sign(site, {
    release: textOption(options, 'release'),
    department: textOption(options, 'department') ?? '',
    by,
    onBehalfOf: textOption(options, 'onBehalfOf'),
    word: options['confirm'] === true ? 'confirm' : 'refuse',
    comment: textOption(options, 'comment'),
  });
  const { release, department, word, shown, gate } = signed;
  return {
    json: { ok: true, release, department, word, shown, gate: gateToJson(gate) },
    human: `${department} ${word === 'confirm' ? 'confirmed' : 'refused'} release ${release}: ${shown}\n${showGate(gate)}`,
  };
}

async function tick(site: Context, options: OptionValues, by: string): Promise<VerbResult> {
  const { tickChecklist } = await import('../pipeline/signing.ts');
  const given = options['checklist'];
  const items = Array.isArray(given) && given.length > 0 ? given.map(String) : undefined;
  const ticked = await tickChecklist(site, { release: textOption(options, 'release'), by, items });
  const human =
    ticked.open.length === 0
      ? `the checklist of release ${ticked.release} is done: the departments are asked`
      : `still open: ${ticked.open.join('; ')}`;
  return { json: { ok: true, ...ticked }, human };
}
