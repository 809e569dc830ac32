import { expect, test } from 'vitest';
import { asPosition, lower, showPosition, toPosition, upper } from '../../src/recovery/position.ts';

test.for([
  ['0', 0n],
  ['999999999999999', 999_999_999_999_999n],
  ['1000000000000000', 1_000_000_000_000_000n],
  ['18446744073709551615', 2n ** 64n - 1n],
  ['18446744073709551616', null],
  ['100000000000000000000', null],
  ['00', null],
  ['01', null],
  ['', null],
  [' 1', null],
  ['1 ', null],
  ['1/', null],
  ['1:', null],
  ['1e3', null],
] as const)('%o is position %s', ([text, expected]) => {
  expect(toPosition(text)).toBe(expected);
});

test.for([
  [0n, '0', '0/0'],
  [0xab_0000_cdefn, '734439460335', 'AB/CDEF'],
  [2n ** 64n - 1n, '18446744073709551615', 'FFFFFFFF/FFFFFFFF'],
] as const)('%s is shown as people of that engine write it', ([value, scn, lsn]) => {
  expect(showPosition('oracle', asPosition(value))).toBe(scn);
  expect(showPosition('postgres', asPosition(value))).toBe(lsn);
});

test('of two positions the lower and the upper', () => {
  const [one, two] = [asPosition(1n), asPosition(2n)];
  expect([lower(one, two), lower(two, one), upper(one, two), upper(two, one)]).toEqual([1n, 1n, 2n, 2n]);
});
