import { ClonaError } from '../../errors.ts';
import type { BindValues, OracleSql } from './connect.ts';
import { runSecretSqlPlus, runSqlPlus, type OracleTools, type ToolOutput } from './guest-tools.ts';
import { quoteName, quoteSqlText } from './rman-text.ts';
import { serverError } from './server-errors.ts';

/**
 * A session `/ AS SYSDBA` through SQL*Plus on the machine itself: for a clone that no listener knows yet and for which
 * nobody has a password, by its operating system. Every call is a session of its own that commits at its end. Rows come as CSV (SET MARKUP
 * CSV, SQL*Plus 12.2 and newer), numbers whole. `container`: a pluggable database in which they are done; else the root. A row whose only column is null cannot be told from nothing, and is left out.
 */
export function openSqlPlusSession(tools: OracleTools, name = 'sql', container?: string): OracleSql {
  const run = async (sql: string, what: string): Promise<string> => {
    const { text, exitCode } = await runScript(tools, name, sqlPlusScript(sql, container));
    if (/^SP2-0(?:158|281)/m.test(text)) {
      throw new ClonaError('serverUnfit', 'SQL*Plus on that machine is older than 12.2: it knows no CSV', {
        hint: 'install the client of 12.2 or newer beside it, or upgrade the machine first',
      });
    }
    // SQL*Plus ends well although it could not connect, or did not know a command: its own errors are at the beginning of a line.
    const isSound = exitCode === 0 && text.includes(mark) && !/^SP2-\d{4}/m.test(text);
    if (isSound) return text.slice(text.indexOf(mark) + mark.length);
    const at = text.search(/\b(?:ORA|PLS|SP2|TNS|LRM)-\d/);
    throw serverError(new Error(at < 0 ? text.trim().slice(0, 500) : text.slice(at)), what);
  };
  const place = `Oracle instance ${tools.instanceName}`;
  return {
    query: async (sql, binds = {}, what = place) => parseCsv(await run(inlineBinds(sql, binds), what)),
    execute: async (sql, binds = {}, out = []) => {
      if (out.length > 0) throw new ClonaError('internal', 'SQL*Plus gives no values back');
      await run(inlineBinds(sql, binds), place);
      return {};
    },
  };
}

/** Through standard input where that is sure: a file for each of many short questions would double the way there. */
async function runScript(tools: OracleTools, name: string, script: string): Promise<ToolOutput> {
  return tools.guest.platform === 'windows'
    ? runSqlPlus(tools, name, script)
    : runSecretSqlPlus(tools, script, []);
}

const mark = 'clona-rows';

/** A statement or a block, without a word of SQL*Plus's own around the rows. */
function sqlPlusScript(sql: string, container: string | undefined): string {
  const text = sql.trim();
  const isBlock = /^(?:BEGIN|DECLARE)\b/i.test(text);
  return [
    'WHENEVER SQLERROR EXIT 1 ROLLBACK',
    'WHENEVER OSERROR EXIT 1 ROLLBACK',
    'SET DEFINE OFF ECHO OFF FEEDBACK OFF HEADING OFF PAGESIZE 0 LINESIZE 32767 LONG 1000000 NUMWIDTH 38',
    'SET TRIMSPOOL ON SQLBLANKLINES ON',
    'SET MARKUP CSV ON QUOTE ON',
    'CONNECT / AS SYSDBA',
    ...(container === undefined
      ? []
      : [`ALTER SESSION SET CONTAINER = ${quoteName(container, 'a pluggable database')};`]),
    `PROMPT ${mark}`,
    isBlock ? `${text}\n/` : `${text.replace(/;$/, '')};`,
    'EXIT 0',
    '',
  ].join('\n');
}

/** SQL*Plus binds nothing that a script does not declare: values become literals, texts quoted by the one function for that. */
export function inlineBinds(sql: string, binds: BindValues): string {
  return sql.replaceAll(
    /'(?:[^']|'')*'|"[^"]*"|--[^\n]*|\/\*[^]*?\*\/|:(\w+)/g,
    (found, name: string | undefined) => {
      if (name === undefined) return found;
      const value = binds[name];
      if (value === undefined) throw new ClonaError('internal', `nothing is bound to :${name}`);
      if (value === null) return 'NULL';
      return typeof value === 'number' ? String(value) : quoteSqlText(value, `the value of :${name}`);
    },
  );
}

/** RFC 4180: a quote inside of quotes is doubled, lines may go on inside of them; null where nothing stands (in Oracle '' is null). */
export function parseCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = [];
  let row: (string | null)[] = [];
  const value = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/gy;
  for (let match = value.exec(text); match !== null; match = value.exec(text)) {
    const [, quoted, plain = '', end] = match;
    const cell = quoted?.replaceAll('""', '"') ?? plain.trim();
    row.push(cell === '' ? null : cell);
    if (end === ',') continue;
    if (row.length > 1 || row[0] !== null) rows.push(row);
    row = [];
    if (end === '') break;
  }
  return rows;
}
