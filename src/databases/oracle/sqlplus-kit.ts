import { ClonaError } from '../../errors.ts';
import { quoteName } from './rman-text.ts';

/** How SQL*Plus or SQLcl log on; a password goes through stdin, never into argv or a file. */
export type SqlPlusLogon =
  /** `/ as sysdba`: the operating system's own account, a member of the dba group. */
  | { kind: 'sysdba' }
  /** `/@alias`: the secure external password store of the machine. */
  | { kind: 'wallet'; alias: string }
  | { kind: 'password'; user: string; password: string; connect?: string | undefined };

export interface SqlPlusScript {
  /** Of the script, as the machine sees it; `@@` in it finds its neighbours. */
  path: string;
  logon: SqlPlusLogon;
  /** Nobody else's output can hold it: tells that the session began, and that the script came to its end. */
  token: string;
  /** Where names without an owner are looked for and made; undefined: with the user who logs on. */
  schema?: string | undefined;
  /** Texts with & in them are texts, unless the script sets DEFINE itself. */
  define: boolean;
}

const marks = (token: string): { begin: string; end: string } => ({
  begin: `CLONA-${token}-BEGIN`,
  end: `CLONA-${token}-END`,
});

/** V$SESSION.CLIENT_IDENTIFIER of the session in which a script runs. */
export function sessionMark(token: string): string {
  return `CLONA-KIT-${token}`;
}

/**
 * What goes into the standard input of `sqlplus -S /nolog`. SQL*Plus goes on after most of its own mistakes: a CONNECT that fails
 * stops nothing (SP2-0640 for every statement, exit 0), a script may set WHENEVER SQLERROR CONTINUE or EXIT by itself. So marks
 * that only a session can write stand before and after the script, and the output is judged, too. SQL.SQLCODE is no exit code:
 * shells keep 8 bits of it. Source: SQL*Plus User's Guide and Reference, WHENEVER SQLERROR, EXIT, CONNECT.
 */
export function sqlPlusInput({ path, logon, token, define, schema }: SqlPlusScript): string {
  const say = (mark: string): string => {
    const at = Math.floor(mark.length / 2);
    // In two parts: an echo of the statement is not its result.
    return `SELECT '${mark.slice(0, at)}' || '${mark.slice(at)}' FROM DUAL;`;
  };
  const { begin, end } = marks(token);
  return [
    'WHENEVER OSERROR EXIT FAILURE ROLLBACK',
    'WHENEVER SQLERROR EXIT FAILURE ROLLBACK',
    'SET ECHO OFF',
    'SET HEADING OFF',
    // A password may hold &; variables are for the script alone.
    'SET DEFINE OFF',
    // An empty line in a statement would end it unrun.
    'SET SQLBLANKLINES ON',
    `CONNECT ${logonText(logon)}`,
    // Of a session: before there is one it might be SP2-0640.
    'SET SERVEROUTPUT ON SIZE UNLIMITED',
    // So that the session can be found, and ended, when nobody waits for it any more. Where that is not allowed the script runs without.
    'SET FEEDBACK OFF',
    'BEGIN',
    `  EXECUTE IMMEDIATE 'BEGIN DBMS_SESSION.SET_IDENTIFIER(''${sessionMark(token)}''); END;';`,
    'EXCEPTION WHEN OTHERS THEN NULL;',
    'END;',
    '/',
    'SET FEEDBACK ON',
    say(begin),
    ...(schema === undefined
      ? []
      : [`ALTER SESSION SET CURRENT_SCHEMA = ${quoteName(schema, 'the schema of the kit')};`]),
    'SET HEADING ON',
    ...(define ? ['SET DEFINE ON'] : []),
    `@"${checkPath(path)}"`,
    'SET HEADING OFF',
    say(end),
    'EXIT SUCCESS COMMIT',
    '',
  ].join('\n');
}

function logonText(logon: SqlPlusLogon): string {
  switch (logon.kind) {
    case 'sysdba':
      return '/ AS SYSDBA';
    case 'wallet':
      return `/@${checkWord(logon.alias, 'the alias of the wallet')}`;
    case 'password': {
      const { user, password, connect } = logon;
      if (/["\p{Cc}]/u.test(password)) {
        throw new ClonaError(
          'usage',
          'the password holds a double quote or a control character, which SQL*Plus takes from no input',
          {
            hint: 'choose another password, or put it into a wallet on the machine',
          },
        );
      }
      const at = connect === undefined ? '' : `@${checkWord(connect, 'the connect string')}`;
      return `"${checkWord(user, 'the user')}"/"${password}"${at}`;
    }
    default:
      return logon satisfies never;
  }
}

function checkWord(text: string, what: string): string {
  if (text !== '' && !/["'\s\p{Cc}]/u.test(text)) return text;
  throw new ClonaError('usage', `${what} ${JSON.stringify(text)} cannot be written for SQL*Plus`);
}

function checkPath(path: string): string {
  if (path !== '' && !/["\p{Cc}]/u.test(path)) return path;
  throw new ClonaError('usage', `the path ${JSON.stringify(path)} cannot be written for SQL*Plus`);
}

export interface SqlPlusVerdict {
  ok: boolean;
  /** One sentence; null when it is ok. */
  failure: string | null;
  /** Objects were created with compilation errors: whether they stay so is seen after recompiling. */
  compilationWarnings: number;
}

/** Objects that a DROP did not find are what re-runnable scripts say all day; only where the kit says so. */
export interface SqlPlusExpectation {
  tolerate: readonly string[];
  /** Its last word is EXIT: exit 0 is all that can be had. */
  endsItself: boolean;
}

/** As `createSqlPlusJudge`, for an output that is there as a whole. */
export function judgeSqlPlus(
  output: string,
  exitCode: number | null,
  token: string,
  { tolerate, endsItself }: SqlPlusExpectation = { tolerate: [], endsItself: false },
): SqlPlusVerdict {
  const judge = createSqlPlusJudge(token, tolerate);
  judge.add(output);
  return judge.end(exitCode, endsItself);
}

export interface SqlPlusJudge {
  add: (chunk: string) => void;
  end: (exitCode: number | null, endsItself: boolean) => SqlPlusVerdict;
}

/** What SQLcl puts in front of the server's own line. */
const errorLine = /^\s*(?:(?:ERROR|SQL Error|Error report -):?\s*)?((?:ORA|SP2|PLS|TNS|CPY|O\/S)-\d{4,5})\b/;
const longestLine = 32_768;

/**
 * Judges what SQL*Plus says while it says it, in bounded memory: a script may print for hours. Codes are the same in every language.
 * A script that passes over its own errors (WHENEVER SQLERROR CONTINUE) is judged by them all the same: what it tolerates, the kit must
 * name. `onLine` gets every line but our own marks.
 */
export function createSqlPlusJudge(
  token: string,
  tolerate: readonly string[],
  onLine: (line: string) => void = () => {},
): SqlPlusJudge {
  const { begin, end } = marks(token);
  const tolerated = new Set(tolerate);
  const seen = { begin: false, end: false, compilationWarnings: 0, first: null as string | null };
  let rest = '';
  const take = (line: string): void => {
    if (line.includes(begin)) seen.begin = true;
    else if (line.includes(end)) seen.end = true;
    else onLine(line);
    if (/\bSP2-08\d\d\b/.test(line) || isCompilationWarning(line)) seen.compilationWarnings += 1;
    const code = errorLine.exec(line)?.[1];
    if (code === undefined || tolerated.has(code) || isCompilationCode(code)) return;
    seen.first ??= line.trim().slice(0, 300);
  };
  return {
    add(chunk) {
      const lines = `${rest}${chunk}`.split(/\r?\n/);
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
      // A line without an end is looked at in pieces; what tells an error stands at its beginning.
      if (rest.length <= longestLine) return;
      take(rest);
      rest = '';
    },
    end(exitCode, endsItself) {
      if (rest !== '') take(rest);
      const failure = explainFailure(seen, exitCode, endsItself);
      return { ok: failure === null, failure, compilationWarnings: seen.compilationWarnings };
    },
  };
}

function explainFailure(
  { begin, end, first }: { begin: boolean; end: boolean; first: string | null },
  exitCode: number | null,
  endsItself: boolean,
): string | null {
  if (!begin) return `it could not log on${first === null ? '' : `: ${first}`}`;
  if (first !== null) return first;
  if (exitCode !== 0) return `SQL*Plus ended with exit code ${exitCode ?? 'none'}`;
  if (end || endsItself) return null;
  return 'the script ended SQL*Plus by itself (EXIT), so nobody knows whether all of it ran';
}

/** SP2-0804 … SP2-0810: "created with compilation warnings", as they are numbered where SQL*Plus numbers them. */
function isCompilationCode(code: string): boolean {
  return /^SP2-08(?:0[2-9]|1\d)$/.test(code);
}

function isCompilationWarning(line: string): boolean {
  return /^\s*(?:Warning|Warnung|Avertissement|Advertencia|Aviso|Avvertenza|警告|경고|Предупреждение)\s*[:：]/i.test(
    line,
  );
}
