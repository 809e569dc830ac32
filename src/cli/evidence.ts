import { readFile } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import type { SignedHead } from '../control/ledger-head.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .argument('<action>', 'verify')
      .argument('[file]', 'the export')
      .option('--head <file>', 'verify: a head kept elsewhere, for example on the archive or its mirror')
      .option('--key <file>', 'verify: the public key (ledger.pub) that must have signed');
  },
  examples: ['clona evidence verify evidence.jsonl --head /mnt/mirror/evidence/head.json --key ledger.pub'],
  exits: { 4: 'a record was changed, dropped, moved or cut off' },
  run: async (context, options, args) => {
    const [action, file] = args;
    if (action === 'verify') return verifyEvidence(context, options, fileOf(action, file));
    throw new ClonaError('usage', `evidence cannot "${action}"`, { hint: 'see: clona evidence --help' });
  },
};

function fileOf(action: string, file: string | undefined): string {
  if (file !== undefined) return file;
  throw new ClonaError('usage', `evidence ${action} needs a file`, {
    hint: `clona evidence ${action} evidence.jsonl`,
  });
}

/** Works with no site and no server. */
async function verifyEvidence(
  context: VerbContext,
  options: OptionValues,
  file: string,
): Promise<VerbResult> {
  const { readLines } = await import('../control/ledger-export.ts');
  const { fingerprintKey } = await import('../control/ledger-head.ts');
  const { readPinnedKey } = await import('../control/ledger-keys.ts');
  const { verifyExport } = await import('../control/ledger-verify.ts');
  const knownHead = typeof options['head'] === 'string' ? await readHead(options['head']) : undefined;
  const pinnedKey = typeof options['key'] === 'string' ? await readPinnedKey(options['key']) : undefined;
  const result = await readable(file, () =>
    verifyExport(readLines(file, context.signal), { knownHead, pinnedKey }),
  );
  if (!result.ok) {
    const { line, sequence, problem } = result;
    throw new ClonaError('evidenceDamaged', `${file}, line ${line}: ${problem}`, {
      hint: 'export again from the control database, and compare with the heads on the archive and its mirror',
      details: { file, line, record: sequence, problem },
    });
  }
  const key = fingerprintKey(result.head.head.publicKey);
  const checked = { key: pinnedKey !== undefined || knownHead !== undefined, head: knownHead !== undefined };
  const human = [
    `${file}: ${result.records} records of ledger ${result.ledger}, ${result.firstTime} to ${result.lastTime}, are as they were written`,
    checked.key
      ? `signed by ${key}, as expected`
      : `signed by ${key}: compare it with the site's ledger.pub, or give --key; whoever holds another key could have written another chain`,
    checked.head
      ? 'nothing up to the known head was cut off'
      : 'whether records after its end were cut off shows only against a newer head: give --head',
  ].join('\n');
  const { head } = result.head;
  return {
    json: { verified: true, file, records: result.records, ledger: result.ledger, key, checked, head },
    human,
  };
}

async function readHead(path: string): Promise<SignedHead> {
  const { parseHead } = await import('../control/ledger-head.ts');
  const text = await readable(path, async () => readFile(path, 'utf8'));
  const head = parseHead(text.replace(/\n$/, ''));
  if (typeof head !== 'string') return head;
  throw new ClonaError('evidenceDamaged', `the head ${path} ${head}`, {
    hint: 'take the copy of the archive or of its mirror',
  });
}

async function readable<Result>(path: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (!['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', 'EPERM'].includes(code)) throw cause;
    throw new ClonaError('fileUnreadable', `${path} cannot be read`, { cause });
  }
}
