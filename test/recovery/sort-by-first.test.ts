import fc from 'fast-check';
import { expect, test } from 'vitest';
import { asPosition } from '../../src/recovery/position.ts';
import { sortByFirst } from '../../src/recovery/sort-by-first.ts';

test.for([
  ['many equals', 0n, 4n],
  ['few bits', 0n, 40n],
  ['many bits', 0n, 2n ** 64n - 1n],
  ['a narrow range far up', 2n ** 64n - 1000n, 2n ** 64n - 1n],
] as const)('sorts any list by first, equals as they come: %s', ([, min, max]) => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min, max })), (positions) => {
      const logs = positions.map((position, sequence) => ({ first: asPosition(position), sequence }));
      const sorted = sortByFirst(logs);
      expect(sorted).toEqual(logs.toSorted((a, b) => (a.first < b.first ? -1 : Number(a.first > b.first))));
    }),
  );
});
