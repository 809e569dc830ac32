import { expect, test } from 'vitest';
import {
  settlePages,
  settlePagesElsewhere,
} from '../../../../src/databases/postgres/prove/fractured-pages.ts';
import { pageChecksums } from '../../../../src/databases/postgres/prove/page-checksum.ts';

const size = 8192;
const rules = { blockSizeBytes: size, firstBlock: 7, startPosition: 1000n };

/** A page as the server writes it: position, checksum, a header that is initialized. */
function page(block: number, position: number, fill: number): Buffer {
  const bytes = Buffer.alloc(size, fill);
  bytes.writeUInt32LE(0, 0);
  bytes.writeUInt32LE(position, 4);
  bytes.writeUInt16LE(0, 8);
  bytes.writeUInt16LE(4000, 14);
  bytes.writeUInt16LE(pageChecksums(bytes, size, block)[0] ?? 0, 8);
  return bytes;
}

function fractured(before: Buffer, after: Buffer): Buffer {
  return Buffer.concat([before.subarray(0, 4096), after.subarray(4096)]);
}

test('a page with an old head and a new tail is read again until the server has written it', () => {
  const [whole, before, after] = [page(7, 500, 1), page(8, 500, 1), page(8, 2000, 2)];
  const content = Buffer.concat([whole, fractured(before, after)]);
  const asked: number[] = [];
  const left = settlePages(content, rules, (range, offset) => {
    asked.push(offset);
    if (asked.length === 3) range.set(after);
  });
  expect(left).toBe(0);
  expect(asked).toEqual([size, size, size]);
  expect(content.equals(Buffer.concat([whole, after]))).toBe(true);
});

test('a page written after the backup began needs no second look, one that is damaged stays and is counted', () => {
  const later = fractured(page(7, 2000, 2), page(7, 500, 1));
  expect(settlePages(later, rules, () => expect.unreachable())).toBe(0);
  const damaged = page(7, 500, 1);
  damaged[5000] = 9;
  const kept = Buffer.from(damaged);
  expect(settlePages(damaged, rules, (range) => range.set(kept))).toBe(1);
  expect(damaged.equals(kept)).toBe(true);
});

test('a page that comes through a session is read again in the same way', async () => {
  const [whole, before, after] = [page(7, 500, 1), page(8, 500, 1), page(8, 2000, 2)];
  const content = Buffer.concat([whole, fractured(before, after)]);
  const asked: number[] = [];
  const left = await settlePagesElsewhere(content, rules, async (range, offset) => {
    asked.push(offset);
    if (asked.length === 3) range.set(after);
  });
  expect([left, asked]).toEqual([0, [size, size, size]]);
  expect(content.equals(Buffer.concat([whole, after]))).toBe(true);
  const damaged = page(7, 500, 1);
  damaged[5000] = 9;
  const kept = Buffer.from(damaged);
  expect(await settlePagesElsewhere(damaged, rules, async (range) => range.set(kept))).toBe(1);
});
