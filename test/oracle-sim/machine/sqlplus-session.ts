import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Server } from '../instance/backend.ts';
import { findUser } from '../instance/accounts.ts';
import { OraError } from '../wire/values.ts';
import { openLocalSql, type LocalSql } from './local-sql.ts';

/** What SET, WHENEVER and CONNECT have made of the session. */
export interface SqlPlus {
  server: Server;
  connected: boolean;
  /** Of a user: kept from CONNECT to the end. SYSDBA has one for each statement, because it starts and stops the instance. */
  session: LocalSql | null;
  output: string[];
  echo: boolean;
  heading: boolean;
  feedback: boolean;
  numberWidth: number;
  /** SET MARKUP CSV ON [DELIMITER c] [QUOTE ON | OFF]. */
  /** ALTER SESSION SET CONTAINER: SYSDBA has a session for each statement, which is put there again. */
  container: string | null;
  csv: { delimiter: string; quotes: boolean } | null;
  autoRecovery: boolean;
  logSource: string | null;
  onError: { exit: number | null };
  /** Set: the program ends with it. */
  exit: number | null;
  cwd: string;
  /** ALTER SESSION SET CURRENT_SCHEMA, until the next CONNECT. */
  currentSchema: string | null;
  /** It is SQLcl, which words errors otherwise. */
  isSqlcl: boolean;
}

/** `/ AS SYSDBA` by the operating system, or user/password[@service]. */
export function connect(plus: SqlPlus, logon: string): boolean {
  plus.session?.[Symbol.dispose]();
  plus.session = null;
  plus.connected = false;
  plus.currentSchema = null;
  if (connectUser(plus, logon.trim())) return true;
  if (!/^\/\s+as\s+sysdba$/i.test(logon.trim())) {
    plus.output.push(
      'ERROR:',
      'ORA-01017: invalid username/password; logon denied',
      '',
      'SP2-0157: unable to CONNECT to ORACLE after 3 attempts, exiting SQL*Plus',
    );
    return false;
  }
  plus.connected = true;
  plus.output.push(plus.server.instance.status === 'DOWN' ? 'Connected to an idle instance.' : 'Connected.');
  return true;
}

export function readScript(plus: SqlPlus, given: string): string {
  const name = given.replace(/^"(.*)"$/, '$1');
  const path = isAbsolute(name) ? name : join(plus.cwd, name);
  for (const one of [path, `${path}.sql`]) {
    try {
      return readFileSync(one, 'utf8');
    } catch {
      // the next name
    }
  }
  plus.output.push(`SP2-0310: unable to open file "${name}"`);
  return '';
}

/** The text with a star under the place, then the stack; WHENEVER SQLERROR decides what follows. */
export function fail(plus: SqlPlus, error: unknown, sql: string | null): void {
  if (!(error instanceof OraError)) throw error;
  if (sql === null) plus.output.push(error.message);
  else if (plus.isSqlcl)
    plus.output.push(
      '',
      'Error starting at line : 1 in command -',
      sql,
      'Error report -',
      `SQL Error: ${error.message}`,
      '',
    );
  else {
    const before = sql.slice(0, Math.max(0, error.position));
    const line = before.split('\n').length;
    const column = before.length - before.lastIndexOf('\n') - 1;
    plus.output.push(
      sql.split('\n')[line - 1] ?? '',
      `${' '.repeat(column)}*`,
      `ERROR at line ${line}:`,
      error.message,
      '',
    );
  }
  if (plus.onError.exit !== null) plus.session?.session.rollback();
  if (plus.onError.exit !== null) plus.exit = plus.onError.exit === -1 ? error.code & 255 : plus.onError.exit;
}

function connectUser(plus: SqlPlus, logon: string): boolean {
  const [, name = '', quoted, plain, service] =
    /^("[^"]+"|\w+)\/(?:"([^"]*)"|([^@"]*))(?:@(\S+))?$/.exec(logon) ?? [];
  const user = name === '' ? undefined : findUser(plus.server.instance, name);
  if (user === undefined || user.password !== (quoted ?? plain)) return false;
  const known = plus.server.instance.settings.serviceName.toUpperCase();
  if (service !== undefined && service.toUpperCase().split('/').at(-1) !== known) return false;
  plus.session = openLocalSql(plus.server, user);
  plus.connected = true;
  plus.output.push('Connected.');
  return true;
}
