import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c, crc32cByTables, formatCrc32c } from '../../src/archive/crc32c.ts';

test('the check value of CRC-32C comes out of both makers', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe306_9283);
  expect(crc32cByTables(Buffer.from('123456789'))).toBe(0xe306_9283);
  expect(formatCrc32c(0xe306_9283)).toBe('839206e3');
});

test('both makers agree on any bytes, in one piece or in two', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
      const whole = Buffer.from(bytes);
      const [head, tail] = [whole.subarray(0, cut), whole.subarray(cut)];
      expect(crc32cByTables(whole)).toBe(crc32c(whole));
      expect(crc32cByTables(tail, crc32cByTables(head))).toBe(crc32c(whole));
      expect(crc32c(tail, crc32c(head))).toBe(crc32c(whole));
    }),
  );
});
