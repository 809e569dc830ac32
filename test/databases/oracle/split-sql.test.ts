import { expect, test } from 'vitest';
import { splitOracleSql } from '../../../src/databases/oracle/split-sql.ts';

const texts = (sql: string): string[] => splitOracleSql(sql).map(({ text }) => text);

test.each<[what: string, sql: string, statements: string[]]>([
  ['semicolons', 'UPDATE a SET b = 1;\nDELETE FROM c;\n', ['UPDATE a SET b = 1', 'DELETE FROM c']],
  ['a last statement without one', 'DELETE FROM c', ['DELETE FROM c']],
  [
    'texts, names and comments with signs in them',
    `UPDATE "a;b" SET c = 'x;''/' -- no; end
 WHERE d = /* ; */ 1;`,
    [`UPDATE "a;b" SET c = 'x;''/' -- no; end\n WHERE d = /* ; */ 1`],
  ],
  [
    "Oracle's own quotes",
    "UPDATE a SET b = q'[it's; done]', c = Q'!a;b!', d = nq'{;}';",
    ["UPDATE a SET b = q'[it's; done]', c = Q'!a;b!', d = nq'{;}'"],
  ],
  ['a block', 'BEGIN\n  a;\n  b;\nEND;\n/\nDELETE FROM c;', ['BEGIN\n  a;\n  b;\nEND;', 'DELETE FROM c']],
  [
    'a block at the end of the text',
    'DECLARE n NUMBER; BEGIN a(n); END;',
    ['DECLARE n NUMBER; BEGIN a(n); END;'],
  ],
  ['a slash in place of a semicolon', 'DELETE FROM c\n/\n', ['DELETE FROM c']],
  ['a division in a line of its own is none', 'UPDATE a SET b = 4\n / 2;', ['UPDATE a SET b = 4\n / 2']],
  ['nothing', ' -- a comment;\n;\n/\n', []],
])('splits %s', (_, sql, statements) => {
  expect(texts(sql)).toEqual(statements);
});

test('says where a statement begins, and the comment before it', () => {
  expect(splitOracleSql('\uFEFF-- customers\nUPDATE a\n  SET b = 1;\n\nDELETE FROM c;')).toEqual([
    { text: 'UPDATE a\n  SET b = 1', line: 2, comment: 'customers' },
    { text: 'DELETE FROM c', line: 5, comment: undefined },
  ]);
});

test.each(["UPDATE a SET b = 'x;", 'UPDATE "a SET b = 1;', 'DELETE FROM a; /* and so on'])(
  'refuses what is never closed: %s',
  (sql) => {
    expect(() => splitOracleSql(sql)).toThrow(/line 1: a quote or comment is never closed/);
  },
);
