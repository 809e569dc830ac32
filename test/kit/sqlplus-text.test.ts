import { expect, test } from 'vitest';
import { checkSqlPlusText, endsItself } from '../../src/kit/sqlplus-text.ts';

test.each([
  ['an EXIT in the middle', 'ALTER TABLE a ADD b NUMBER;\nEXIT\nSELECT 1 FROM dual;', 2],
  ['a CONNECT', 'CONNECT erp/secret\nSELECT 1 FROM dual;', 1],
  ['a question', 'ACCEPT name PROMPT "Name: "', 1],
  ['nothing', '-- only words\nREM more words\n\n', null],
])('a script with %s is found before it runs', (_, text, line) => {
  expect(checkSqlPlusText(text)).toMatchObject([{ line }]);
});

test.each([
  ['a query by CONNECT BY', 'SELECT level FROM dual\nCONNECT BY level < 3;'],
  ['a loop that is left', 'BEGIN\n  LOOP\n    EXIT WHEN TRUE;\n    EXIT;\n  END LOOP;\nEND;\n/'],
  [
    'WHENEVER CONTINUE, which the judge of the output deals with',
    'WHENEVER SQLERROR CONTINUE\nDROP TABLE a;',
  ],
  ['an EXIT at the end', 'SELECT 1 FROM dual;\nEXIT SQL.SQLCODE\n\n-- end\n'],
])('a script with %s is fine', (_, text) => {
  expect(checkSqlPlusText(text)).toEqual([]);
});

test('an EXIT at the end is known', () => {
  expect(endsItself('SELECT 1 FROM dual;\nexit\n-- x\n')).toBe(true);
  expect(endsItself('SELECT 1 FROM dual;\n')).toBe(false);
});
