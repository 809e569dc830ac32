import { describe, expect, test } from 'vitest';
import { judge, parseExpectation, parseSqlChecks } from '../../src/smoke/sql-checks.ts';

describe('an expectation', () => {
  test.each([
    ['no rows', { kind: 'rows', operator: '=', count: 0 }],
    ['0 rows', { kind: 'rows', operator: '=', count: 0 }],
    ['1 row', { kind: 'rows', operator: '=', count: 1 }],
    ['At least 3 rows.', { kind: 'rows', operator: '>=', count: 3 }],
    ['at most 5 rows', { kind: 'rows', operator: '<=', count: 5 }],
    ['rows > 0', { kind: 'rows', operator: '>', count: 0 }],
    ['value 42', { kind: 'value', operator: '=', value: '42' }],
    ['value >= -1.50', { kind: 'value', operator: '>=', value: '-1.50' }],
    ["value 'two words'", { kind: 'value', operator: '=', value: 'two words' }],
    ['TRUE', { kind: 'value', operator: '=', value: 'true' }],
  ])('%s is understood', (text, expected) => {
    expect(parseExpectation(text)).toEqual(expected);
  });

  test.each(['', 'rows', 'some rows', 'value', '42', 'at least rows', '-1 rows', 'rows ~ 3'])(
    '%j is not',
    (text) => {
      expect(parseExpectation(text)).toBeUndefined();
    },
  );
});

describe('a result', () => {
  const value = (text: string, first: string | null) =>
    judge(parseExpectation(text)!, { rows: 1, columns: 1, first });

  test.each([
    ['value 0', '0.00'],
    ['value 1.5', '1.50'],
    ['value > 9', '10'],
    ['value <= -2', '-2.0'],
    ['value <> 1', '2'],
    ['value 9007199254740993', '9007199254740993'],
    ['true', 't'],
    ['value open', 'open'],
    ['value null', null],
  ])('%s fits %j', (text, found) => {
    expect(value(text, found)).toBeNull();
  });

  test.each([
    ['value 0', '0.01', 'expected 0, found 0.01'],
    ['value 9007199254740993', '9007199254740992', 'expected 9007199254740993, found 9007199254740992'],
    ['value > 10', '9', 'expected > 10, found 9'],
    ['true', 'f', 'expected true, found f'],
    ['value 1', null, 'expected a value, found null'],
    ['value 1', '', 'expected 1, found '],
  ])('%s does not fit %j', (text, found, expected) => {
    expect(value(text, found)).toBe(expected);
  });

  test('of several rows or columns is no value, and rows are counted', () => {
    const answer = (text: string, rows: number, columns = 1) =>
      judge(parseExpectation(text)!, { rows, columns, first: '1' });
    expect(answer('value 1', 2)).toBe('expected one value, found 2 rows of 1 columns');
    expect(answer('value 1', 0)).toBe('expected one value, found 0 rows of 1 columns');
    expect(answer('value 1', 1, 2)).toBe('expected one value, found 1 rows of 2 columns');
    expect(answer('no rows', 1)).toBe('expected no rows, found 1');
    expect(answer('at least 2 rows', 1)).toBe('expected >= 2 rows, found 1');
    expect(answer('2 rows', 2)).toBeNull();
  });
});

test('the checks of a file carry name, line and expectation; what is none is a mistake', () => {
  const checks = parseSqlChecks(`-- department: accounting
-- check: it balances
-- expect: no rows
SELECT 1;

-- a plain comment names it
-- expect: value 1
SELECT 1;

-- expect: 1 row
SELECT 1;

SELECT 1;
-- expect: roughly ten rows
SELECT 1;
`);
  const none = { kind: 'rows', operator: '=', count: 0 };
  const row = { kind: 'rows', operator: '=', count: 1 };
  expect(checks).toEqual([
    { name: 'it balances', line: 4, sql: 'SELECT 1', expectation: none },
    { name: 'line 8', line: 8, sql: 'SELECT 1', expectation: { kind: 'value', operator: '=', value: '1' } },
    { name: 'line 11', line: 11, sql: 'SELECT 1', expectation: row },
    { name: 'line 13', line: 13, message: expect.stringContaining('has no expectation') as string },
    {
      name: 'line 15',
      line: 15,
      message: expect.stringContaining('"roughly ten rows" is no expectation') as string,
    },
  ]);
  expect(parseSqlChecks("SELECT 'open")).toMatchObject([
    { message: expect.stringContaining('line 1') as string },
  ]);
});
