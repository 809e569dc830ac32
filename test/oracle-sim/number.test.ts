import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeNumber, encodeNumber } from './wire/number.ts';

test('whole numbers of up to 38 digits come back as they went', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }), (value) => {
      expect(decodeNumber(encodeNumber(value))).toBe(value);
    }),
  );
});

test.each([0.5, -0.5, 0.05, 100.125, -12.34, 1e-7, 99.99])('%d comes back as it went', (value) => {
  expect(decodeNumber(encodeNumber(value))).toBe(value);
});
