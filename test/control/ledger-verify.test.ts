import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../src/control/canonical-json.ts';
import { exportHeader, readLines, writeExport } from '../../src/control/ledger-export.ts';
import { exportPublicKey, formatHead, signHead, type SignedHead } from '../../src/control/ledger-head.ts';
import { chainRecord, hashRecord, type LedgerRecord } from '../../src/control/ledger-record.ts';
import { verifyExport, type Verification, type VerifyOptions } from '../../src/control/ledger-verify.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const publicKey = exportPublicKey(privateKey);
const signal = new AbortController().signal;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-ledger-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function chain(count: number): LedgerRecord[] {
  const records: LedgerRecord[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry =
      index === 0
        ? { kind: 'ledger.opened', run: null, key: null, payload: { ledger: 'L1', publicKey } }
        : {
            kind: 'step.done',
            run: 'R1',
            key: `step-${index}`,
            payload: { n: index, text: 'grün "ok"\u0000' },
          };
    records.push(chainRecord(records.at(-1) ?? null, entry, new Date(1_770_000_000_000 + index * 1000)));
  }
  return records;
}

function headOf(records: LedgerRecord[], key = privateKey): SignedHead {
  const { sequence, hash, time } = records.at(-1)!;
  const head = { format: 'clona-evidence-head/1' as const, ledger: 'L1', sequence, hash, time };
  return signHead({ ...head, publicKey: exportPublicKey(key) }, key);
}

function exportLines(records: LedgerRecord[]): string[] {
  return [exportHeader, ...records.map(canonicalJson), formatHead(headOf(records))];
}

const verifyLines = async (lines: (string | null)[], options?: VerifyOptions): Promise<Verification> =>
  verifyExport(lines, options);

async function verifyBytes(bytes: Uint8Array, options?: VerifyOptions): Promise<Verification> {
  const path = join(folder, 'tampered');
  await writeFile(path, bytes);
  return verifyExport(readLines(path, signal), options);
}

async function exportBytes(count: number): Promise<Buffer> {
  const path = join(folder, 'export');
  const records = chain(count);
  await writeExport(path, records, headOf(records), signal);
  return readFile(path);
}

describe('an export', () => {
  test('as it was written verifies', async () => {
    expect(await verifyBytes(await exportBytes(5))).toMatchObject({ ok: true, records: 5, ledger: 'L1' });
  });

  test('with any one bit flipped does not', async () => {
    const bytes = await exportBytes(3);
    for (let at = 0; at < bytes.length; at += 1) {
      const copy = Buffer.from(bytes);
      copy[at] = copy[at]! ^ (1 << (at % 8));
      expect(await verifyBytes(copy)).toMatchObject({ ok: false });
    }
  });

  test('cut anywhere does not', async () => {
    const bytes = await exportBytes(3);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(await verifyBytes(bytes.subarray(0, length))).toMatchObject({ ok: false });
    }
  });

  test('with a byte put in anywhere does not', async () => {
    const bytes = await exportBytes(3);
    for (let at = 0; at <= bytes.length; at += 1) {
      const space = Buffer.from([at % 3 === 0 ? 0x20 : at % 3 === 1 ? 0x0a : 0x0d]);
      expect(
        await verifyBytes(Buffer.concat([bytes.subarray(0, at), space, bytes.subarray(at)])),
      ).toMatchObject({
        ok: false,
      });
    }
  });

  test('with lines dropped, doubled or moved does not, and the first bad record is named', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 8 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (n, picks) => {
          const lines = exportLines(chain(n));
          const body = picks.map((pick) => lines[1 + (pick % n)]!);
          const result = await verifyLines([lines[0]!, ...body, lines.at(-1)!]);
          const same = canonicalJson(body) === canonicalJson(lines.slice(1, -1));
          expect(result.ok).toBe(same);
          const firstWrong = body.findIndex((line, index) => line !== lines[1 + index]);
          const expected = firstWrong === -1 ? body.length : firstWrong;
          expect(result.ok || body.length === 0 || result.sequence === expected + 1).toBe(true);
        },
      ),
    );
  });

  test('names the record that was changed', async () => {
    const lines = exportLines(chain(6));
    lines[4] = lines[4]!.replace('"n":3', '"n":4');
    expect(await verifyLines(lines)).toEqual({
      ok: false,
      line: 5,
      sequence: 4,
      problem: 'record 4 was changed after it was written',
    });
  });

  test('finds a changed record whose hash was made anew', async () => {
    const records = chain(6);
    const forged = { ...records[3]!, payload: { n: 99 } };
    records[3] = { ...forged, hash: hashRecord(forged) };
    expect(await verifyLines(exportLines(records))).toMatchObject({ ok: false, sequence: 5 });
  });

  test.each([
    ['a doubled key', (line: string) => line.replace('"kind"', '"kind":"other","kind"')],
    ['a field that no hash covers', (line: string) => line.replace('"kind"', '"jest":1,"kind"')],
    [
      'another order of keys',
      (line: string) => line.replace(/^\{("hash":"[^"]+"),/, '{').replace(/\}$/, ',"hash":"x"}'),
    ],
    ['another spelling of a letter', (line: string) => line.replace('step.done', 'step\\u002edone')],
    ['another spelling of a number', (line: string) => line.replace('"n":2', '"n":2.0')],
    ['a carriage return', (line: string) => `${line}\r`],
  ])('with %s in a record does not verify', async (_how, tamper) => {
    const lines = exportLines(chain(4));
    const tampered = tamper(lines[3]!);
    expect(tampered).not.toBe(lines[3]);
    lines[3] = tampered;
    expect(await verifyLines(lines)).toMatchObject({ ok: false, sequence: 3 });
  });

  test('with something after its head does not verify', async () => {
    const lines = exportLines(chain(3));
    expect(await verifyLines([...lines, lines.at(-1)!])).toMatchObject({ ok: false });
    expect(await verifyLines([...lines, ''])).toMatchObject({ ok: false });
  });

  test('that nests too deeply to be read is damaged, not a crash', async () => {
    const lines = exportLines(chain(3));
    lines[2] = '['.repeat(200_000);
    expect(await verifyLines(lines)).toMatchObject({ ok: false, sequence: 2 });
  });
});

describe('a chain that was written anew', () => {
  const stranger = generateKeyPairSync('ed25519').privateKey;

  function forged(count: number): string[] {
    const records: LedgerRecord[] = [];
    const key = exportPublicKey(stranger);
    for (const [index, real] of chain(count).entries()) {
      const payload = index === 0 ? { ledger: 'L1', publicKey: key } : { n: -1 };
      records.push(chainRecord(records.at(-1) ?? null, { ...real, payload }, new Date(real.time)));
    }
    return [exportHeader, ...records.map(canonicalJson), formatHead(headOf(records, stranger))];
  }

  test('and signed by another key is found against the pinned key', async () => {
    expect(await verifyLines(forged(4))).toMatchObject({ ok: true });
    expect(await verifyLines(forged(4), { pinnedKey: publicKey })).toMatchObject({ ok: false });
    expect(await verifyLines(exportLines(chain(4)), { pinnedKey: publicKey })).toMatchObject({ ok: true });
  });

  test('and signed by another key is found against a known head', async () => {
    const known = headOf(chain(2));
    expect(await verifyLines(forged(4), { knownHead: known })).toMatchObject({ ok: false, sequence: 2 });
  });

  test('cannot carry the head of the old one', async () => {
    const lines = forged(4);
    lines[lines.length - 1] = formatHead(headOf(chain(4)));
    expect(await verifyLines(lines)).toMatchObject({ ok: false });
  });

  test('from the middle by the owner of the key is found against a known head', async () => {
    const records = chain(3);
    const known = headOf(chain(5));
    for (let index = 3; index < 6; index += 1) {
      const entry = { kind: 'step.done', run: 'R1', key: null, payload: { forged: index } };
      records.push(chainRecord(records.at(-1)!, entry, new Date()));
    }
    expect(await verifyLines(exportLines(records))).toMatchObject({ ok: true });
    expect(await verifyLines(exportLines(records), { knownHead: known })).toMatchObject({
      ok: false,
      sequence: 5,
    });
  });
});

describe('a cut tail', () => {
  test('is found against a head kept elsewhere, even where an older head fits it', async () => {
    const shorter = exportLines(chain(3));
    expect(await verifyLines(shorter)).toMatchObject({ ok: true });
    expect(await verifyLines(shorter, { knownHead: headOf(chain(5)) })).toEqual({
      ok: false,
      line: 5,
      sequence: 4,
      problem: 'records 4 to 5 were cut off',
    });
  });

  test('is found by the head that stayed', async () => {
    const lines = exportLines(chain(5));
    lines.splice(4, 2);
    expect(await verifyLines(lines)).toMatchObject({ ok: false, sequence: 4 });
  });

  test('is not claimed where the known head is older than the export', async () => {
    expect(await verifyLines(exportLines(chain(5)), { knownHead: headOf(chain(3)) })).toMatchObject({
      ok: true,
    });
  });
});
