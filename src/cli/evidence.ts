import { readFile } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import type { LedgerRecord } from '../control/ledger-record.ts';
import type { SignedHead } from '../control/ledger-head.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .argument('<action>', 'list, export or verify')
      .argument('[file]', 'the export')
      .option('--run <id>', 'list: only the records of one run')
      .option('--head <file>', 'verify: a head kept elsewhere, for example on the archive or its mirror')
      .option('--key <file>', 'verify: the public key (ledger.pub) that must have signed');
  },
  examples: [
    'clona evidence list --run release-20260314-180000-1f9c',
    'clona evidence export evidence.jsonl',
    'clona evidence verify evidence.jsonl --head /mnt/mirror/evidence/head.json --key ledger.pub',
  ],
  exits: { 4: 'a record was changed, dropped, moved or cut off' },
  changesNothing: (_, args) => args[0] === 'verify',
  run: async (context, options, args) => {
    const [action, file] = args;
    if (action === 'verify') return verifyEvidence(context, options, fileOf(action, file));
    if (action === 'export') return exportEvidence(context, fileOf(action, file));
    if (action === 'list') return listEvidence(context, options['run']);
    throw new ClonaError('usage', `evidence cannot "${action}"`, { hint: 'see: clona evidence --help' });
  },
};

function fileOf(action: string, file: string | undefined): string {
  if (file !== undefined) return file;
  throw new ClonaError('usage', `evidence ${action} needs a file`, {
    hint: `clona evidence ${action} evidence.jsonl`,
  });
}

async function exportEvidence(context: VerbContext, file: string): Promise<VerbResult> {
  const { openSite } = await import('../pipeline/open-site.ts');
  const { readLines, writeExport } = await import('../control/ledger-export.ts');
  const { verifyExport } = await import('../control/ledger-verify.ts');
  await using site = await openSite(context.sitePath, context.signal);
  const head = await site.ledger.head();
  // Records that come meanwhile are after the head, and not in this export.
  const records = upTo(site.ledger.read(), head.head.sequence);
  await readable(file, () => writeExport(file, records, head, context.signal));
  const result = await verifyExport(readLines(file, context.signal));
  if (!result.ok) {
    throw new ClonaError(
      'evidenceDamaged',
      `the ledger in the control database is damaged: ${result.problem}`,
      {
        details: { file, record: result.sequence },
      },
    );
  }
  const { sequence, hash } = head.head;
  return {
    json: { file, records: sequence, verified: true, head: head.head },
    human: `${file}: ${sequence} records, verified, head ${hash.slice(0, 16)}`,
  };
}

async function* upTo(records: AsyncIterable<LedgerRecord>, last: number): AsyncGenerator<LedgerRecord> {
  for await (const record of records) {
    if (record.sequence > last) return;
    yield record;
  }
}

async function listEvidence(context: VerbContext, run: unknown): Promise<VerbResult> {
  const { openSite } = await import('../pipeline/open-site.ts');
  await using site = await openSite(context.sitePath, context.signal);
  const records = await site.ledger.list(typeof run === 'string' ? { runs: [run] } : {});
  const human = records.map(
    ({ sequence, time, kind, run: of, payload }) =>
      `${String(sequence).padStart(5)} ${time} ${kind.padEnd(20)} ${of ?? '-'} ${JSON.stringify(payload).slice(0, 100)}`,
  );
  return { json: { records }, human: human.join('\n') };
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
