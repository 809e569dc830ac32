import { describe, expect, test } from 'vitest';
import { findNewlyInvalid } from '../../../src/databases/oracle/recompile.ts';
import { createSqlPlusJudge, judgeSqlPlus, sqlPlusInput } from '../../../src/databases/oracle/sqlplus-kit.ts';

const token = '0123456789abcdef';
const begin = `CLONA-${token}-BEGIN`;
const end = `CLONA-${token}-END`;
const judge = (output: string, exitCode = 0, more = {}) =>
  judgeSqlPlus(output, exitCode, token, { tolerate: [], endsItself: false, ...more });

describe('what goes into SQL*Plus', () => {
  const input = (logon: Parameters<typeof sqlPlusInput>[0]['logon']) =>
    sqlPlusInput({ path: '/kit/up.sql', logon, token, define: false });

  test('stops at errors, logs on, marks beginning and end without writing the marks themselves', () => {
    const text = input({ kind: 'password', user: 'ERP', password: "it's", connect: 'localhost/ERP' });
    expect(text.split('\n')[1]).toBe('WHENEVER SQLERROR EXIT FAILURE ROLLBACK');
    expect(text).toContain('CONNECT "ERP"/"it\'s"@localhost/ERP\n');
    expect(text).toContain('@"/kit/up.sql"\n');
    expect(text).not.toContain(begin);
    expect(text).not.toContain(end);
  });

  test.each([
    ['a password with a double quote', { kind: 'password', user: 'ERP', password: 'a"b' } as const],
    ['a password with a line break', { kind: 'password', user: 'ERP', password: 'a\nHOST rm' } as const],
    ['an alias with a line break', { kind: 'wallet', alias: 'a\nHOST rm' } as const],
    ['a user with a space', { kind: 'password', user: 'a b', password: 'x' } as const],
  ])('%s is refused', (_, logon) => expect(() => input(logon)).toThrow(/password|cannot be written/));
});

test("variables are the script's alone: a password may hold &", () => {
  const logon = { kind: 'password', user: 'ERP', password: 'a&b' } as const;
  const lines = sqlPlusInput({ path: '/kit/up.sql', logon, token, define: true }).split('\n');
  expect(lines.indexOf('SET DEFINE OFF')).toBeLessThan(lines.indexOf('CONNECT "ERP"/"a&b"'));
  expect(lines.indexOf('SET DEFINE ON')).toBe(lines.indexOf('@"/kit/up.sql"') - 1);
});

test('hours of output are judged in pieces, and no line is lost between two of them', () => {
  const lines: string[] = [];
  const judge = createSqlPlusJudge(token, [], (line) => lines.push(line));
  const said = `${begin}\nrow one\nORA-00001: unique constraint violated\n${'x'.repeat(200_000)}\n${end}`;
  for (let at = 0; at < said.length; at += 7) judge.add(said.slice(at, at + 7));
  expect(judge.end(0, false).failure).toBe('ORA-00001: unique constraint violated');
  expect(lines.slice(0, 2)).toEqual(['row one', 'ORA-00001: unique constraint violated']);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(40_000);
});

describe('what SQL*Plus said', () => {
  test.each([
    ['a good run', `${begin}\nTable altered.\n${end}\n`, 0, null],
    [
      'a script that talks of ORA-00001 in a sentence',
      `${begin}\nsee ORA-00001 in the manual\n${end}\n`,
      0,
      null,
    ],
    [
      'an error that ends it',
      `${begin}\nALTER TABLE x\n*\nERROR at line 1:\nORA-00942: table or view does not exist\n`,
      1,
      'ORA-00942: table or view does not exist',
    ],
    [
      'an error that the script passes over',
      `${begin}\nORA-01430: column being added already exists in table\n${end}\n`,
      0,
      'ORA-01430: column being added already exists in table',
    ],
    [
      'a logon that fails, and then exit 0',
      'ERROR:\nORA-01017: invalid username/password; logon denied\n\nSP2-0640: Not connected\n',
      0,
      'it could not log on: ORA-01017: invalid username/password; logon denied',
    ],
    ['nothing at all', '', 0, 'it could not log on'],
    [
      'a file that is not there',
      `${begin}\nSP2-0310: unable to open file "x.sql"\n${end}\n`,
      0,
      'SP2-0310: unable to open file "x.sql"',
    ],
    [
      'an EXIT inside',
      `${begin}\nTable altered.\n`,
      0,
      'the script ended SQL*Plus by itself (EXIT), so nobody knows whether all of it ran',
    ],
    [
      'an error as SQLcl words it',
      `${begin}\nError report -\nSQL Error: ORA-00942: table or view does not exist\n${end}\n`,
      0,
      'SQL Error: ORA-00942: table or view does not exist',
    ],
    ['an exit code without a word', `${begin}\n`, 255, 'SQL*Plus ended with exit code 255'],
  ])('%s', (_, output, exitCode, failure) => {
    expect(judge(output, exitCode)).toMatchObject({ ok: failure === null, failure });
  });

  test('what the kit names is passed over, and a script may end with EXIT', () => {
    const output = `${begin}\nORA-00942: table or view does not exist\nTable created.\n`;
    expect(judge(output, 0, { tolerate: ['ORA-00942'], endsItself: true }).ok).toBe(true);
    expect(judge(output, 0, { endsItself: true }).ok).toBe(false);
  });

  test('compilation errors are counted: whether they stay is seen after recompiling', () => {
    const output = `${begin}\nWarning: Package Body created with compilation errors.\n${end}\n`;
    expect(judge(output)).toEqual({ ok: true, failure: null, compilationWarnings: 1 });
  });
});

test('only what was valid before counts against a kit', () => {
  expect(findNewlyInvalid(['VIEW ERP.OLD'], ['VIEW ERP.NEW', 'VIEW ERP.OLD'])).toEqual(['VIEW ERP.NEW']);
});
