import { randomUUID, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { quoteIdentifier } from '../databases/postgres/connect.ts';
import { ClonaError } from '../errors.ts';
import { canonicalJson } from './canonical-json.ts';
import { inTransaction, type Control } from './control.ts';
import { replaceFile } from './files.ts';
import { copyHeadTo, type HeadCopy } from './ledger-copies.ts';
import { exportPublicKey, formatHead, parseHead, signHead, type SignedHead } from './ledger-head.ts';
import { openLedgerKey } from './ledger-keys.ts';
import { chainRecord, parseRecord, type LedgerRecord, type NewRecord } from './ledger-record.ts';
import { schemaName } from './schema.ts';

export interface Ledger {
  /** Appends one record and signs the new head; with a key that is there already, gives the record that has it. */
  append(entry: NewRecord, now: Date): Promise<LedgerRecord>;
  /** Records in order, all or those of some runs or kinds, read in portions. */
  read(filter?: RecordFilter): AsyncGenerator<LedgerRecord>;
  list(filter?: RecordFilter): Promise<LedgerRecord[]>;
  find(key: string): Promise<LedgerRecord | null>;
  /** The head of the chain as it stands, signed now. */
  head(): Promise<SignedHead>;
  /** Head copies that could not be written since the ledger was opened: path and why. */
  readonly lateCopies: ReadonlyMap<string, string>;
}

export interface RecordFilter {
  runs?: readonly string[];
  kinds?: readonly string[];
}

export interface LedgerOptions {
  control: Control;
  /** Files that get each new head: on the archive and on its mirror. */
  headCopies: readonly HeadCopy[];
}

/** Opens the site's ledger (R22), creating key and first record when there is none. Checks it against the local head. */
export async function openLedger({ control, headCopies }: LedgerOptions, now: Date): Promise<Ledger> {
  const table = `${quoteIdentifier(schemaName(control.site))}.ledger`;
  const { session } = control;
  const privateKey = await openLedgerKey(join(control.directory, 'keys'));
  const ownCopy = join(control.directory, 'evidence-head.json');
  const lateCopies = new Map<string, string>();
  const readLine = async (where: string, values: readonly unknown[]): Promise<LedgerRecord | null> => {
    const [row] = await session.query<{ line: string }>(`select line from ${table} ${where}`, values);
    return row === undefined ? null : readStored(row.line);
  };
  const last = async (): Promise<LedgerRecord | null> => readLine('order by sequence desc limit 1', []);
  const first = async (): Promise<LedgerRecord | null> => readLine('where sequence = 1', []);

  const insert = async (entry: NewRecord, now: Date): Promise<LedgerRecord> =>
    inTransaction(session, async () => {
      await session.query(`lock table ${table} in exclusive mode`);
      const known = entry.key === null ? null : await readLine('where key = $1', [entry.key]);
      if (known !== null) return known;
      const record = chainRecord(await last(), entry, now);
      await session.query(
        `insert into ${table} (sequence, hash, key, kind, run, line) values ($1, $2, $3, $4, $5, $6)`,
        [record.sequence, record.hash, record.key, record.kind, record.run, canonicalJson(record)],
      );
      return record;
    });

  await checkAgainstOwnCopy(ownCopy, async (sequence) => readLine('where sequence = $1', [sequence]));
  if ((await first()) === null) {
    const payload = { ledger: randomUUID(), site: control.site, publicKey: exportPublicKey(privateKey) };
    await insert({ kind: 'ledger.opened', run: null, key: 'ledger.opened', payload }, now);
  }
  const ledgerId = requireOwnKey(await first(), privateKey);

  const head = async (): Promise<SignedHead> => {
    const record = await last();
    if (record === null) throw new ClonaError('evidenceDamaged', 'the ledger is empty');
    const { sequence, hash, time } = record;
    const publicKey = exportPublicKey(privateKey);
    return signHead(
      { format: 'clona-evidence-head/1', ledger: ledgerId, sequence, hash, time, publicKey },
      privateKey,
    );
  };
  const hashAt = async (sequence: number): Promise<string | null> =>
    (await readLine('where sequence = $1', [sequence]))?.hash ?? null;
  const copyHead = async (): Promise<void> => {
    const text = `${formatHead(await head())}\n`;
    await replaceFile(ownCopy, text, 0o600);
    for (const copy of headCopies) {
      // An archive that is away stops no work; the copy is made again with the next record, and status says so.
      const problem = await copyHeadTo(copy, { head, hashAt });
      if (problem === null) lateCopies.delete(copy.path);
      else lateCopies.set(copy.path, problem);
    }
  };
  const read = async function* (filter: RecordFilter = {}): AsyncGenerator<LedgerRecord> {
    const portion = 500;
    for (let after = 0; ;) {
      const rows = await session.query<{ line: string }>(
        `select line from ${table} where sequence > $1 and ($2::text[] is null or run = any($2))
           and ($3::text[] is null or kind = any($3)) order by sequence limit ${portion}`,
        [after, filter.runs ?? null, filter.kinds ?? null],
      );
      for (const { line } of rows) {
        const record = readStored(line);
        after = record.sequence;
        yield record;
      }
      if (rows.length < portion) return;
    }
  };
  await copyHead();

  return {
    lateCopies,
    head,
    find: async (key) => readLine('where key = $1', [key]),
    append: async (entry, now) => {
      const record = await insert(entry, now);
      await copyHead();
      return record;
    },
    read,
    list: async (filter) => {
      const records: LedgerRecord[] = [];
      for await (const record of read(filter)) records.push(record);
      return records;
    },
  };
}

function readStored(line: string): LedgerRecord {
  const record = parseRecord(line);
  if (typeof record !== 'string') return record;
  throw new ClonaError('evidenceDamaged', `a record of the ledger in the control database ${record}`, {
    hint: 'clona evidence verify with the heads on the archive and its mirror shows how far it is whole',
  });
}

function requireOwnKey(first: LedgerRecord | null, privateKey: KeyObject): string {
  const payload = first?.payload;
  const isOpening =
    typeof payload === 'object' && payload !== null && 'ledger' in payload && 'publicKey' in payload;
  if (!isOpening || typeof payload.ledger !== 'string') {
    throw new ClonaError('evidenceDamaged', 'the ledger does not begin with its opening record');
  }
  if (payload.publicKey !== exportPublicKey(privateKey)) {
    throw new ClonaError(
      'evidenceDamaged',
      'the signing key here is not the one this ledger was opened with',
      {
        hint: 'bring back keys/ledger.key of the site; every controller of one site needs the same',
      },
    );
  }
  return payload.ledger;
}

/** What this host has signed must still be there: else rows were taken out behind the server's back. */
async function checkAgainstOwnCopy(
  path: string,
  find: (sequence: number) => Promise<LedgerRecord | null>,
): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return;
  const signed = parseHead(text.replace(/\n$/, ''));
  if (typeof signed === 'string') {
    throw new ClonaError('evidenceDamaged', `the head ${path} ${signed}`, {
      hint: 'compare it with the copies on the archive and its mirror, then put a good one in its place',
    });
  }
  const record = await find(signed.head.sequence);
  if (record?.hash === signed.head.hash) return;
  const what = record === null ? 'was cut off' : 'is another one';
  throw new ClonaError(
    'evidenceDamaged',
    `record ${signed.head.sequence} of the ledger ${what} in the control database`,
    {
      hint: `the head ${path} was signed over it; restore the control database, or move that file aside to begin anew`,
      details: { record: signed.head.sequence },
    },
  );
}
