import { expect, test } from 'vitest';
import { splitSql } from '../../src/kit/split-sql.ts';

function textsOf(sql: string): string[] {
  return splitSql(sql).statements.map(({ text }) => text);
}

test('statements end at semicolons and carry their line and the comments before them', () => {
  const { statements, rest } = splitSql('-- first\nSELECT 1;\n\n-- second\n--  more\nSELECT\n 2;\n-- end\n');
  expect(statements).toEqual([
    { text: 'SELECT 1', line: 2, comments: [{ text: 'first', line: 1 }] },
    {
      text: 'SELECT\n 2',
      line: 6,
      comments: [
        { text: 'second', line: 4 },
        { text: 'more', line: 5 },
      ],
    },
  ]);
  expect(rest).toEqual([{ text: 'end', line: 8 }]);
});

test.each([
  ["SELECT 'a;b'", 'a quote'],
  ["SELECT 'it''s; fine'", 'a doubled quote'],
  ["SELECT E'it\\'s; fine'", 'an escape string'],
  ["SELECT 'ends in a backslash\\', ';'", 'a plain string ending in a backslash'],
  ['SELECT ";" FROM "a"";b"', 'a quoted name'],
  ['SELECT $$a;b$$, $tag$ $$ ; $tag$', 'dollar quotes'],
  ['SELECT 1 /* a; /* nested; */ b; */ + 2', 'a nested comment'],
  ['SELECT 1 -- a; b', 'a line comment'],
  ['CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)', 'parentheses'],
  [
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
    'an atomic body',
  ],
  ['CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); END', 'a procedure'],
  ['SELECT a$b$c, 1 FROM t', 'dollar signs within a name'],
  ['PREPARE p AS SELECT $1', 'a parameter'],
])('a semicolon inside does not end: %s (%s)', (statement) => {
  expect(textsOf(`${statement}\n; SELECT 'next'`)).toEqual([statement, "SELECT 'next'"]);
});

test('BEGIN and END outside of functions are statements of their own', () => {
  expect(textsOf('BEGIN; SELECT 1; END;')).toEqual(['BEGIN', 'SELECT 1', 'END']);
});

test('empty statements, a byte order mark and CRLF do no harm', () => {
  expect(textsOf('\uFEFF;;\r\nSELECT 1;\r\n;')).toEqual(['SELECT 1']);
});

test.each(["SELECT 'open", 'SELECT "open', 'SELECT $x$ open', '/* open'])(
  'what is never closed is named: %s',
  (sql) => {
    expect(() => splitSql(`SELECT 1;\n${sql}`)).toThrow(/^line 2: a .* is opened and never closed$/);
  },
);
