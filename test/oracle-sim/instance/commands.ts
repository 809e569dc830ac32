import { OraError } from '../wire/values.ts';
import { TokenCursor } from '../sql/cursor.ts';
import type { Command } from '../sql/session.ts';
import { findUser } from './accounts.ts';
import { prepareCode } from './code-objects.ts';
import { parseAlterTable } from './constraints.ts';
import { prepareDatabaseCommand } from './commands-database.ts';
import { prepareLock } from './commands-lock.ts';
import { parseAlterPluggable, requireContainer } from './pluggable.ts';
import { prepareSchemaCommand } from './commands-schema.ts';
import { prepareSystemCommand } from './commands-system.ts';
import { prepareTablespaceCommand } from './commands-tablespace.ts';
import { parseKeyManagement } from './keystore.ts';
import { prepareDml } from './dml.ts';
import type { Action, Session } from './session.ts';

/** Statements that are no query. What is not in the grammar is refused with the server's error. */
export function prepareCommand(sql: string, session: Session): Command {
  const cursor = new TokenCursor(sql);
  if (cursor.is('INSERT') || cursor.is('UPDATE') || cursor.is('DELETE'))
    return prepareDml(cursor, sql, session);
  if (cursor.accept('LOCK')) return prepareLock(cursor, session);
  if (cursor.accept('COMMIT') || cursor.accept('ROLLBACK')) {
    const commits = sql.trimStart().toUpperCase().startsWith('COMMIT');
    cursor.accept('WORK');
    if (cursor.token.kind !== 'end')
      throw new OraError(2185, 'a token other than WORK follows COMMIT', cursor.token.at);
    return { run: () => (commits ? session.commit() : session.rollback(), { rowCount: 0 }) };
  }
  if (cursor.accept('SET', 'TRANSACTION')) return prepareTransaction(cursor, session);
  const action = prepareCode(cursor, sql, session) ?? parse(cursor, session);
  const { token } = cursor;
  if (token.kind !== 'end') {
    if (token.text === ';') throw new OraError(911, 'invalid character', token.at);
    throw new OraError(933, 'SQL command not properly ended', token.at);
  }
  return {
    async run() {
      session.commit(); // DDL commits what was open
      await action();
      return { rowCount: 0 };
    },
  };
}

function prepareTransaction(cursor: TokenCursor, session: Session): Command {
  if (!cursor.accept('READ', 'ONLY') || cursor.token.kind !== 'end')
    throw new OraError(900, 'invalid SQL statement (only READ ONLY is simulated)', cursor.token.at);
  return {
    run() {
      session.setReadOnly();
      return Promise.resolve({ rowCount: 0 });
    },
  };
}

function parse(cursor: TokenCursor, session: Session): Action {
  if (cursor.accept('ALTER')) return parseAlter(cursor, session);
  if (cursor.accept('ADMINISTER')) return parseKeyManagement(cursor, session);
  if (
    cursor.is('CREATE') ||
    cursor.is('DROP') ||
    cursor.is('GRANT') ||
    cursor.is('REVOKE') ||
    cursor.is('TRUNCATE') ||
    cursor.is('FLASHBACK')
  ) {
    return prepareSchemaCommand(cursor, session);
  }
  throw new OraError(900, 'invalid SQL statement', cursor.token.at);
}

function parseAlter(cursor: TokenCursor, session: Session): Action {
  if (cursor.accept('SYSTEM')) return prepareSystemCommand(cursor, session);
  if (cursor.accept('PLUGGABLE', 'DATABASE')) return parseAlterPluggable(cursor, session);
  if (cursor.accept('DATABASE')) return prepareDatabaseCommand(cursor, session);
  if (cursor.accept('TABLESPACE')) return prepareTablespaceCommand(cursor, session);
  if (cursor.accept('TABLE')) return parseAlterTable(cursor, session);
  if (cursor.accept('SESSION')) return parseAlterSession(cursor, session);
  if (cursor.is('USER')) return prepareSchemaCommand(cursor, session);
  throw new OraError(940, 'invalid ALTER command', cursor.token.at);
}

/** CURRENT_SCHEMA is done; the others change nothing here. What would change answers (NLS_…, TIME_ZONE) is refused. */
const sessionParameters = new Set(['CONTAINER', 'CURRENT_SCHEMA', 'DDL_LOCK_TIMEOUT', 'RESUMABLE_TIMEOUT']);
const notSimulated = /^(?:NLS_\w+|TIME_ZONE|ISOLATION_LEVEL|EVENTS)$/;

function parseAlterSession(cursor: TokenCursor, session: Session): Action {
  let schema: string | null = null;
  let container: string | null = null;
  if (!cursor.accept('SET')) throw new OraError(922, 'missing or invalid option', cursor.token.at);
  while (cursor.token.kind === 'word') {
    const { text, at } = cursor.next();
    if (!sessionParameters.has(text)) {
      const why = notSimulated.test(text) ? ` (${text} is not simulated)` : '';
      throw new OraError(2248, `invalid option for ALTER SESSION${why}`, at);
    }
    cursor.expect('=', 927, 'missing equal sign');
    const value = cursor.next().text;
    if (text === 'CURRENT_SCHEMA') schema = value;
    if (text === 'CONTAINER') container = value;
  }
  return () => {
    if (container !== null) {
      requireContainer(session.instance, container);
      session.setContainer(container);
    }
    if (schema === null) return;
    if (findUser(session.instance, `"${schema}"`) === undefined)
      throw new OraError(1435, 'user does not exist');
    session.setSchema(schema);
  };
}
