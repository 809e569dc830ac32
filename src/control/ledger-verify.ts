import { exportHeader } from './ledger-export.ts';
import { parseHead, type SignedHead } from './ledger-head.ts';
import { hashRecord, noRecord, parseRecord, type LedgerRecord } from './ledger-record.ts';

export interface VerifyOptions {
  /** Public key (SPKI DER, base64) that must have signed. */
  pinnedKey?: string | undefined;
  /** A head kept elsewhere (archive, mirror): the chain must reach it and fit it. */
  knownHead?: SignedHead | undefined;
}

export type Verification =
  | { ok: true; ledger: string; records: number; firstTime: string; lastTime: string; head: SignedHead }
  | { ok: false; line: number; sequence: number | null; problem: string };

/**
 * Verifies the lines of an export (docs/evidence.md, R22) with nothing but the file: form, hashes, order, signed
 * end; against `options`, also that it is the chain that the key's owner wrote and that nothing after a known head
 * was cut off. Names the first record that is not as it was written.
 */
export async function verifyExport(
  lines: AsyncIterable<string | null> | Iterable<string | null>,
  options: VerifyOptions = {},
): Promise<Verification> {
  let line = 0;
  let chain: Chain | null = null;
  let head: SignedHead | null = null;
  for await (const text of lines) {
    line += 1;
    const sequence: number | null = chain === null ? null : chain.last.sequence + 1;
    if (text === null) return broken(line, sequence, 'the line is not whole');
    if (head !== null) return broken(line, null, 'something follows after the head');
    if (line === 1) {
      if (text !== exportHeader) return broken(line, null, 'this is not an export of a clona ledger');
      continue;
    }
    if (text.startsWith('{"head":')) {
      const read = parseHead(text);
      if (typeof read === 'string') return broken(line, null, `the head ${read}`);
      head = read;
      continue;
    }
    const next = followChain(chain, text, options.knownHead);
    if (typeof next === 'string') return broken(line, sequence ?? 1, next);
    chain = next;
  }
  if (chain === null) return broken(line, null, 'the file holds no record');
  if (head === null) return broken(line, chain.last.sequence + 1, 'the file ends before its signed head');
  return checkEnd(chain, head, line, options);
}

interface Chain {
  first: LedgerRecord;
  last: LedgerRecord;
}

function followChain(chain: Chain | null, text: string, known: SignedHead | undefined): Chain | string {
  const record = parseRecord(text);
  const expected = (chain?.last.sequence ?? 0) + 1;
  if (typeof record === 'string') return `record ${expected} ${record}`;
  if (record.sequence !== expected) {
    const why = record.sequence < expected ? 'doubled or out of order' : 'missing or out of order';
    return `record ${expected} is ${why}: in its place stands record ${record.sequence}`;
  }
  if (hashRecord(record) !== record.hash) return `record ${expected} was changed after it was written`;
  if (record.previous !== (chain?.last.hash ?? noRecord)) {
    return `record ${expected} does not follow the record before it`;
  }
  if (known?.head.sequence === expected && known.head.hash !== record.hash) {
    return `record ${expected} is not the one that the known head of ${known.head.time} ends with`;
  }
  return { first: chain?.first ?? record, last: record };
}

function checkEnd(
  { first, last }: Chain,
  signed: SignedHead,
  line: number,
  options: VerifyOptions,
): Verification {
  const { head } = signed;
  const known = options.knownHead?.head;
  if (head.sequence > last.sequence) {
    return broken(line, last.sequence + 1, `records ${last.sequence + 1} to ${head.sequence} were cut off`);
  }
  if (head.sequence !== last.sequence || head.hash !== last.hash) {
    return broken(line, last.sequence, `the head does not belong to record ${last.sequence}`);
  }
  const opened = first.payload;
  const isOwn =
    first.kind === 'ledger.opened' &&
    typeof opened === 'object' &&
    opened !== null &&
    'ledger' in opened &&
    'publicKey' in opened &&
    opened.ledger === head.ledger &&
    opened.publicKey === head.publicKey;
  if (!isOwn) return broken(2, 1, 'record 1 does not open the ledger that the head signs');
  if (options.pinnedKey !== undefined && options.pinnedKey !== head.publicKey) {
    return broken(line, null, 'the head is signed by another key than the pinned one');
  }
  if (known !== undefined && (known.publicKey !== head.publicKey || known.ledger !== head.ledger)) {
    return broken(line, null, 'the known head is of another ledger or signed by another key');
  }
  if (known !== undefined && known.sequence > last.sequence) {
    return broken(line, last.sequence + 1, `records ${last.sequence + 1} to ${known.sequence} were cut off`);
  }
  return {
    ok: true,
    ledger: head.ledger,
    records: last.sequence,
    firstTime: first.time,
    lastTime: last.time,
    head: signed,
  };
}

function broken(line: number, sequence: number | null, problem: string): Verification {
  return { ok: false, line, sequence, problem };
}
