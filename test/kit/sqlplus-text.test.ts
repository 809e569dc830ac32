import { describe, expect, test } from 'vitest';
import { readSqlPlusScript } from '../../src/kit/sqlplus-script.ts';
import { checkSqlPlusScript, endsItself } from '../../src/kit/sqlplus-text.ts';

async function check(script: string, others: Record<string, string> = {}, define = false) {
  const all: Record<string, string> = { 'sql/up.sql': script, ...others };
  const files = {
    has: (path: string) => Object.hasOwn(all, path),
    read: (path: string) => Promise.resolve(all[path] ?? ''),
  };
  return checkSqlPlusScript('sql/up.sql', define, files);
}

const more = (content: string): Record<string, string> => ({ 'sql/more.sql': content });

describe('a script is refused before it runs', () => {
  test.each<[string, string, RegExp, number | null, Record<string, string>?]>([
    [
      'an EXIT in the middle',
      'ALTER TABLE a ADD b NUMBER;\nEXIT\nSELECT 1 FROM dual;',
      /EXIT in the middle/,
      2,
    ],
    [
      'an EXIT at the end of a script that it calls',
      '@@more\nCOMMIT;',
      /EXIT in the middle/,
      2,
      more('COMMIT;\nEXIT\n'),
    ],
    ['a CONNECT', 'CONNECT erp/secret\nSELECT 1 FROM dual;', /needs a password/, 1],
    ['a CONNECT in a script that it calls', '@more.sql', /needs a password/, 1, more('conn erp/secret\n')],
    ['a question', 'ACCEPT name PROMPT "Name: "', /nobody is there to answer ACCEPT/, 1],
    ['a pause', 'COMMIT;\nPAUSE go on?', /answer PAUSE/, 2],
    ['a password', 'PASSWORD erp', /answer PASSWORD/, 1],
    ['an editor', 'EDIT', /answer EDIT/, 1],
    ['pages that stop', 'SET PAGESIZE 20 PAUSE ON\nSELECT 1 FROM dual;', /turn the pages/, 1],
    ['nothing', '-- only words\n/* more\nwords */\n\n', /holds no statement/, null],
    ['a statement without an end', 'COMMIT;\nDELETE FROM a\n', /would never be run/, 2],
    ['a block without a slash', 'BEGIN\n  pay;\nEND;\n', /a slash alone/, 1],
    [
      'a procedure without a slash',
      'CREATE OR REPLACE EDITIONABLE PROCEDURE p IS\nBEGIN\n  NULL;\nEND;\n',
      /a slash alone/,
      1,
    ],
    ['a script that is not there', '@@none', /holds no script none/, 1],
    ['a script outside of the kit', '@../../x.sql', /holds no script/, 1],
    ['a script of the machine', 'START /home/oracle/x.sql', /not part of the kit/, 1],
    ['a script of the network', '@https://vendor/x.sql', /not part of the kit/, 1],
    ['a script with a variable for a name', '@&which', /nobody can say which/, 1],
    ['a script that calls itself', '@@up', /calls itself/, 1],
    [
      'errors that nobody hears of',
      'SET TERMOUT OFF\nWHENEVER SQLERROR CONTINUE\nDROP TABLE a;',
      /nobody would ever hear/,
      2,
    ],
    [
      'an error that ends in success',
      'SET TERM OFF\nWHENEVER SQLERROR EXIT SQL.SQLCODE\nDROP TABLE a;\nEXIT',
      /nobody would ever hear/,
      2,
    ],
    [
      'silence in a script that it calls',
      'WHENEVER SQLERROR CONTINUE\n@@more',
      /nobody would ever hear/,
      1,
      more('SET TERMOUT OFF\nDROP TABLE a;'),
    ],
  ])('for %s', async (_, script, message, line, others) => {
    const { problems } = await check(script, others);
    expect(problems).toMatchObject([{ line, message: expect.stringMatching(message) as string }]);
  });

  test.each<[string, string, boolean]>([
    ['that nobody gives a value', "INSERT INTO t VALUES ('&site');", true],
    ['in a prompt', 'PROMPT now for &&site\nCOMMIT;', true],
    ['of a script that is called with nothing', "INSERT INTO t VALUES ('&1');", true],
    ['after a script has turned them on', "SET DEFINE ON\nINSERT INTO t VALUES ('&site');", false],
    ['after UNDEFINE', "DEFINE site = a\nUNDEFINE site\nINSERT INTO t VALUES ('&site');", true],
  ])('for a variable %s', async (_, script, define) => {
    const { problems } = await check(script, {}, define);
    expect(problems).toMatchObject([
      { message: expect.stringContaining('nobody is there to give &') as string },
    ]);
  });
});

describe('a script is fine', () => {
  test.each<[string, string, Record<string, string>?]>([
    ['with a query by CONNECT BY', 'SELECT level FROM dual\nCONNECT BY level < 3;'],
    ['with a loop that is left', 'BEGIN\n  LOOP\n    EXIT WHEN TRUE;\n    EXIT;\n  END LOOP;\nEND;\n/'],
    [
      'that passes over errors, which the judge of the output deals with',
      'WHENEVER SQLERROR CONTINUE\nDROP TABLE a;',
    ],
    [
      'that is silent and stops at errors',
      'SET TERMOUT OFF\nWHENEVER SQLERROR EXIT FAILURE ROLLBACK\nDROP TABLE a;',
    ],
    ['that ends with EXIT', 'SELECT 1 FROM dual;\nEXIT SQL.SQLCODE\n\n-- end\n'],
    ['with & as a letter', "INSERT INTO t VALUES ('Smith & Sons', 'R&D');"],
    ['that calls its neighbours', '@@more\nSTART more.sql\n@"more.sql" x', more('COMMIT;')],
    ['with a comment behind a semicolon', 'COMMIT; -- done\n'],
    ['with a SET that is SQL', 'SET TRANSACTION READ ONLY;\nCOMMIT;'],
    ['with a command in two lines', 'COLUMN a -\n  FORMAT A10\nSELECT 1 a FROM dual;'],
    ['with a statement that a slash ends', 'DELETE FROM a\n/\n'],
  ])('%s', async (_, script, others) => {
    expect((await check(script, others)).problems).toEqual([]);
  });

  test.each<[string, string]>([
    ['by DEFINE', "DEFINE site = a\nINSERT INTO t VALUES ('&site');"],
    ['by a query', "COLUMN x NEW_VALUE site\nSELECT 'a' x FROM dual;\nINSERT INTO t VALUES ('&&site');"],
    ['by what called it', '@@more A'],
    ['because they are turned off again', "SET DEFINE OFF\nINSERT INTO t VALUES ('&site');"],
  ])('with variables that have a value %s', async (_, script) => {
    expect((await check(script, more("INSERT INTO t VALUES ('&1');"), true)).problems).toEqual([]);
  });

  test('what the hash of the kit does not cover, and what SQL*Plus does not see, is told', async () => {
    const { problems, warnings } = await check('@?/rdbms/admin/utlrp\nHOST rm /tmp/x\n!ls\n');
    expect(problems).toEqual([]);
    expect(warnings).toMatchObject([
      expect.stringContaining("the server's own script"),
      expect.stringContaining('up.sql:2'),
      expect.stringContaining('up.sql:3'),
    ]);
  });
});

test('an EXIT at the end is known', () => {
  expect(endsItself('SELECT 1 FROM dual;\nexit\n-- x\n')).toBe(true);
  expect(endsItself('SELECT 1 FROM dual;\n')).toBe(false);
  expect(endsItself('BEGIN\nLOOP\nEXIT;\nEND LOOP;\nEND;\n/\n')).toBe(false);
});

test('a script is cut as SQL*Plus does it', () => {
  const script =
    "\uFEFFset echo on\nSELECT ';'\n FROM dual;\nDECLARE\n a NUMBER;\nBEGIN NULL; END;\n/\nEXEC pay;\n";
  expect(readSqlPlusScript(script)).toEqual([
    { kind: 'command', text: 'set echo on', line: 1, ended: true },
    { kind: 'sql', text: "SELECT ';'\n FROM dual;", line: 2, ended: true },
    { kind: 'block', text: 'DECLARE\n a NUMBER;\nBEGIN NULL; END;', line: 4, ended: true },
    { kind: 'command', text: 'EXEC pay', line: 8, ended: true },
  ]);
});
