import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatLsn,
  formatSegmentName,
  parseLsn,
  parseSegmentName,
  segmentStart,
} from '../../../src/databases/postgres/lsn.ts';

test('a position is read back as it was written', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (position) => {
      expect(parseLsn(formatLsn(position), 'test')).toBe(position);
    }),
  );
});

test('a text that is no LSN is refused with the place where it stood', () => {
  for (const text of ['', '0', '0/', '/0', 'x/0', '0/123456789', '123456789/0', ' 0/0', '0/0 ', '-1/0']) {
    expect(() => parseLsn(text, 'line 3')).toThrow(/line 3: .* is not a log position/);
  }
});

test('segment names follow the size of the segments', () => {
  expect(formatSegmentName({ timeline: 1, number: 256 }, 16 * 2 ** 20)).toBe('000000010000000100000000');
  expect(formatSegmentName({ timeline: 10, number: 4096 }, 2 ** 20)).toBe('0000000A0000000100000000');
  expect(parseSegmentName('0000000100000000000000FF', 16 * 2 ** 20)).toEqual({ timeline: 1, number: 255 });
  expect(parseSegmentName('000000010000000000000100', 16 * 2 ** 20)).toBeUndefined();
  expect(parseSegmentName('000000000000000000000001', 16 * 2 ** 20)).toBeUndefined();
  expect(parseSegmentName('00000002.history', 16 * 2 ** 20)).toBeUndefined();
  expect(segmentStart(3, 16 * 2 ** 20)).toBe(0x3000000n);
});

test('a segment name is read back as it was written, for every size', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 2 ** 36 }),
      fc.integer({ min: 20, max: 30 }),
      (timeline, number, power) => {
        const name = formatSegmentName({ timeline, number }, 2 ** power);
        fc.pre(name.length === 24);
        expect(parseSegmentName(name, 2 ** power)).toEqual({ timeline, number });
      },
    ),
  );
});
