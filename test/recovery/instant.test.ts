import fc from 'fast-check';
import { expect, test } from 'vitest';
import { showInstant, toInstant } from '../../src/recovery/instant.ts';

test.for([
  ['2017-03-08T17:52:00Z', '2017-03-08T17:52:00.000Z'],
  ['2017-03-08T19:59:35+02:00', '2017-03-08T17:59:35.000Z'],
  ['2017-03-08T19:59:35-0930', '2017-03-09T05:29:35.000Z'],
  ['2017-03-08 19:59:35+02', null],
  ['2017-03-08T19:59:35+02', '2017-03-08T17:59:35.000Z'],
  ['2017-03-08T19:59Z', '2017-03-08T19:59:00.000Z'],
  ['2017-03-08T19:59:35.1Z', '2017-03-08T19:59:35.100Z'],
  ['2017-03-08T19:59:35.123999Z', '2017-03-08T19:59:35.123Z'],
  ['2017-03-08T19:59:35.Z', null],
  ['2017-03-08T19:59:35', null],
  ['2017-03-08T19:59:60Z', null],
  ['2017-03-08T24:00:00Z', null],
  ['2017-13-08T00:00:00Z', null],
  ['2017-00-08T00:00:00Z', null],
  ['2017-04-31T00:00:00Z', null],
  ['2017-04-00T00:00:00Z', null],
  ['2017-02-29T00:00:00Z', null],
  ['2016-02-29T00:00:00Z', '2016-02-29T00:00:00.000Z'],
  ['1900-02-29T00:00:00Z', null],
  ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ['2017-03-08T19:59:35z', null],
  ['2017-03-08T19:59:35+2', null],
  ['2017-03-08T19:59:35+24:00', null],
  ['2017-03-08T19:59:35+02:60', null],
  ['2017-03-08T19:59:35+02:0', null],
  ['2017-03-08T19:59:35+02:000', null],
  ['2017-03-08T19:59:35Zulu', null],
  ['2017/03/08T19:59:35Z', null],
  ['2017-03/08T19:59:35Z', null],
  ['2017-03-08T19.59:35Z', null],
  ['2017-03-08T19:5x:35Z', null],
  ['2017-03-08T1x:59:35Z', null],
  ['2017-03-08T19:60:35Z', null],
  ['2017-03-08T19:59:3xZ', null],
  ['17-03-08T19:59:35Z', null],
  ['20x7-03-08T19:59:35Z', null],
  ['2017/03-08T19:59:35Z', null],
  ['2017-03-1/T19:59:35Z', null],
  ['2016-05-30T00:00:00Z', '2016-05-30T00:00:00.000Z'],
  ['2017-03-08T19:59:35 02:00', null],
  ['2017-03-08T19:59:35+0x:00', null],
  ['2017-03-08T19:59:35+02:0x', null],
  ['2017-03-08T23:59:35+23:59', '2017-03-08T00:00:35.000Z'],
  ['', null],
] as const)('%s is %s', ([text, expected]) => {
  const instantMs = toInstant(text);
  expect(instantMs === null ? null : new Date(instantMs).toISOString()).toBe(expected);
});

test('what a Date prints is read as the same instant, in any year of four digits', () => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date('0000-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59Z'),
        noInvalidDate: true,
      }),
      (date) => {
        expect(toInstant(date.toISOString())).toBe(date.getTime());
      },
    ),
  );
});

test('an instant is shown in UTC, without a fraction that is zero', () => {
  expect(showInstant(0)).toBe('1970-01-01T00:00:00Z');
  expect(showInstant(50)).toBe('1970-01-01T00:00:00.050Z');
});
