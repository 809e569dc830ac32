import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c, formatCrc32c } from '../../../../../src/archive/crc32c.ts';
import { FileLedger } from '../../../../../src/databases/postgres/restore/unpack/file-ledger.ts';

const origin = { archive: 0, frame: 0 };

function ledgerOf(path: string, content: Buffer): FileLedger {
  const checksum = { algorithm: 'CRC32C', hex: formatCrc32c(crc32c(content)) } as const;
  return new FileLedger({
    version: 2,
    systemIdentifier: '1',
    files: [{ rawPath: path, sizeBytes: content.length, checksum }],
    logRanges: [],
  });
}

function partsOf(path: string, content: Buffer, cuts: readonly number[]) {
  if (content.length === 0) return [{ path, fileBytes: 0, offset: 0, bytes: 0, crc32c: 0 }];
  const edges = [0, ...cuts.map((cut) => cut % (content.length + 1)), content.length].sort((a, b) => a - b);
  return edges.slice(0, -1).flatMap((from, index) => {
    const bytes = content.subarray(from, edges[index + 1]);
    return bytes.length === 0
      ? []
      : [{ path, fileBytes: content.length, offset: from, bytes: bytes.length, crc32c: crc32c(bytes) }];
  });
}

test('a file is whole when all its parts came, in whatever order, and wrong when one bit differs', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.nat(300), { maxLength: 5 }),
      fc.infiniteStream(fc.nat()),
      fc.boolean(),
      (bytes, cuts, order, flip) => {
        const content = Buffer.from(bytes);
        const seen = Buffer.from(content);
        const isFlipped = flip && seen.length > 0;
        if (isFlipped) seen[seen.length >> 1]! ^= 4;
        const ledger = ledgerOf('base/1/2', content);
        const keyed = partsOf('base/1/2', seen, cuts).map((part) => ({
          part,
          key: order.next().value as number,
        }));
        const verdicts = keyed
          .sort((a, b) => a.key - b.key)
          .map(({ part }) => ledger.take(part, origin).kind);
        expect(verdicts.at(-1)).toBe(isFlipped ? 'wrong' : 'whole');
        expect(new Set(verdicts.slice(0, -1))).toEqual(new Set(verdicts.length > 1 ? ['unfinished'] : []));
        expect(ledger.findMissing('B') === undefined).toBe(!isFlipped);
      },
    ),
  );
});

test('a file that never came, one of another size and one that nobody expects are named', () => {
  const ledger = ledgerOf('base/1/2', Buffer.from('abc'));
  expect(ledger.findMissing('B1')?.message).toBe(
    'backup B1: base/1/2 is in its manifest but not in its archives',
  );
  const part = { offset: 0, bytes: 2, crc32c: 0, fileBytes: 2 };
  expect(ledger.take({ ...part, path: 'base/1/2' }, origin)).toMatchObject({
    kind: 'wrong',
    problem: 'base/1/2 has 2 bytes and should have 3',
  });
  expect(ledger.take({ ...part, path: 'base/9' }, origin)).toMatchObject({
    kind: 'wrong',
    problem: 'base/9 is not in its manifest',
  });
  expect(ledger.take({ ...part, path: 'pg_wal/000000010000000000000001' }, origin)).toEqual({
    kind: 'whole',
  });
});
