import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/control/canonical-json.ts';

test('canonical JSON says the same value and has one spelling for it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(JSON.parse(text))).toBe(text);
    }),
  );
});

test('the order in which keys were set does not show', () => {
  expect(canonicalJson({ b: 1, a: { d: null, c: [] } })).toBe('{"a":{"c":[],"d":null},"b":1}');
});

test('what JSON cannot say is refused, not left out', () => {
  for (const value of [undefined, 1n, Number.NaN, Number.POSITIVE_INFINITY, () => 1, new Date(), new Map()]) {
    expect(() => canonicalJson({ value })).toThrow(TypeError);
  }
});
