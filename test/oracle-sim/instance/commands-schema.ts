import { writeFileSync } from 'node:fs';
import { pumpOf } from '../pump/state.ts';
import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { parseType } from '../sql/view-columns.ts';
import { parseCreateDirectory, parseDropDirectory } from './directories.ts';
import { findUser, type User } from './accounts.ts';
import { invalidateFor, listCode, saveCode } from './code-objects.ts';
import { opened } from './physical/database.ts';
import { parseDropRestorePoint, parseFlashback, parseRestorePoint } from './commands-restore-point.ts';
import { requirePrivilege, type Action, type Session } from './session.ts';
import { databaseOf, readParameterFile, useSpfile } from './startup.ts';
import { keepAccounts } from './stored-accounts.ts';
import { fileFor, findPlace, listTables, pageOf, saveTable, type StoredTable } from './tables.ts';

/** CREATE, DROP, GRANT, REVOKE, TRUNCATE, ALTER USER: as far as restores, imports and kits of the tests go. */
export function prepareSchemaCommand(cursor: TokenCursor, session: Session): Action {
  if (cursor.accept('CREATE', 'RESTORE', 'POINT')) return parseRestorePoint(cursor, session);
  if (cursor.accept('DROP', 'RESTORE', 'POINT')) return parseDropRestorePoint(cursor, session);
  if (cursor.accept('FLASHBACK', 'DATABASE', 'TO', 'RESTORE', 'POINT'))
    return parseFlashback(cursor, session);
  if (cursor.accept('CREATE', 'TABLE')) return parseCreateTable(cursor, session);
  if (cursor.accept('DROP', 'TABLE')) return parseDropTable(cursor, session);
  if (cursor.accept('TRUNCATE', 'TABLE')) return parseTruncate(cursor, session);
  if (cursor.accept('CREATE', 'USER')) return kept(session, parseCreateUser(cursor, session));
  if (cursor.accept('ALTER', 'USER') || cursor.accept('USER'))
    return kept(session, parseAlterUser(cursor, session));
  if (cursor.accept('DROP', 'USER')) return kept(session, parseDropUser(cursor, session));
  if (cursor.accept('GRANT')) return kept(session, parseGrant(cursor, session, true));
  if (cursor.accept('REVOKE')) return kept(session, parseGrant(cursor, session, false));
  if (cursor.accept('CREATE', 'SPFILE')) return parseCreateSpfile(cursor, session);
  if (cursor.accept('CREATE', 'PFILE')) return parseCreatePfile(cursor, session);
  if (cursor.accept('DROP', 'DIRECTORY')) return parseDropDirectory(cursor, session);
  if (cursor.is('CREATE', 'DIRECTORY') || cursor.is('CREATE', 'OR', 'REPLACE', 'DIRECTORY')) {
    cursor.next();
    return parseCreateDirectory(cursor, session);
  }
  if (cursor.is('CREATE')) throw new OraError(901, 'invalid CREATE command', cursor.peek(1).at);
  throw new OraError(950, 'invalid DROP option', cursor.peek(1).at);
}

/** Users and rights are in the database's own files. */
function kept(session: Session, change: Action): Action {
  return async () => {
    await change();
    keepAccounts(session);
  };
}

function readTarget(cursor: TokenCursor, schema: string): { owner: string; name: string } {
  const first = cursor.name();
  return cursor.accept('.') ? { owner: first, name: cursor.name() } : { owner: schema, name: first };
}

/** Columns with their types; NOT NULL, PRIMARY KEY and DEFAULT literals are read over. */
function parseCreateTable(cursor: TokenCursor, session: Session): Action {
  const { instance, user } = session;
  const { owner, name } = readTarget(cursor, session.schema());
  requirePrivilege(user, owner === user.name ? 'CREATE TABLE' : 'CREATE ANY TABLE');
  cursor.expect('(', 906, 'missing left parenthesis');
  const columns: StoredTable['columns'] = [];
  do columns.push(parseColumn(cursor));
  while (cursor.accept(','));
  cursor.expect(')', 907, 'missing right parenthesis');
  if (cursor.accept('TABLESPACE')) cursor.name();
  return () => {
    const database = databaseOf(instance);
    opened(database);
    const place = { file: fileFor(database, findUser(instance, `"${owner}"`)), page: pageOf(owner, name) };
    if (findPlace(database, { ...user, name: owner }, owner, name, 'SELECT', 0) !== null)
      throw new OraError(955, 'name is already used by an existing object');
    saveTable(database, session.transaction(), place, { columns, rows: [] });
    session.commit();
  };
}

function parseColumn(cursor: TokenCursor): StoredTable['columns'][number] {
  const name = cursor.name();
  const { at } = cursor.token;
  let type = cursor.name();
  if (cursor.accept('(')) {
    const size = cursor.next().text;
    if (type !== 'NUMBER' && type !== 'TIMESTAMP') type = `${type}(${size})`;
    while (!cursor.accept(')')) {
      if (cursor.next().kind === 'end') throw new OraError(907, 'missing right parenthesis', at);
    }
  }
  while (
    cursor.accept('NOT', 'NULL') ||
    cursor.accept('PRIMARY', 'KEY') ||
    (cursor.accept('DEFAULT') && cursor.next() !== undefined)
  );
  try {
    parseType(type);
  } catch {
    throw new OraError(902, 'invalid datatype', at);
  }
  return { name, type };
}

function parseDropTable(cursor: TokenCursor, session: Session): Action {
  const { at } = cursor.token;
  const { owner, name } = readTarget(cursor, session.schema());
  cursor.accept('CASCADE', 'CONSTRAINTS');
  cursor.accept('PURGE');
  return changeTable(session, owner, name, at, () => null);
}

function parseTruncate(cursor: TokenCursor, session: Session): Action {
  const { at } = cursor.token;
  const { owner, name } = readTarget(cursor, session.schema());
  return changeTable(session, owner, name, at, (table) => ({ ...table, rows: [] }));
}

function changeTable(
  session: Session,
  owner: string,
  name: string,
  at: number,
  change: (table: StoredTable) => StoredTable | null,
): Action {
  return () => {
    const database = databaseOf(session.instance);
    opened(database);
    const place = findPlace(database, session.user, owner, name, 'DROP', 0);
    if (place === null) throw new OraError(942, 'table or view does not exist', at);
    const changed = change(place.table);
    saveTable(database, session.transaction(), place, changed);
    if (changed === null) invalidateFor(session, owner, name);
    session.commit();
  };
}

function parseCreateUser(cursor: TokenCursor, { instance, user }: Session): Action {
  requirePrivilege(user, 'CREATE USER');
  const name = cursor.name();
  const created: User = { name, password: '', grants: [], quotas: {} };
  readUserOptions(cursor, created);
  return () => {
    if (findUser(instance, `"${name}"`) !== undefined)
      throw new OraError(1920, `user name '${name}' conflicts with another user or role name`);
    instance.users.push(created);
  };
}

function readUserOptions(cursor: TokenCursor, user: User): void {
  for (;;) {
    if (cursor.accept('IDENTIFIED', 'BY')) user.password = cursor.next().text;
    else if (cursor.accept('NO', 'AUTHENTICATION')) user.status = 'LOCKED';
    else if (cursor.accept('DEFAULT', 'TABLESPACE') || cursor.accept('TEMPORARY', 'TABLESPACE'))
      cursor.name();
    else if (cursor.accept('QUOTA')) {
      const bytes = cursor.accept('UNLIMITED') ? -1 : Number.parseInt(cursor.next().text, 10);
      if (/^[KMG]$/.test(cursor.token.text)) cursor.next();
      cursor.expect('ON', 969, 'missing ON keyword');
      user.quotas = { ...user.quotas, [cursor.name()]: bytes };
    } else if (cursor.accept('ACCOUNT', 'LOCK')) user.status = 'LOCKED';
    else if (cursor.accept('ACCOUNT', 'UNLOCK')) user.status = 'OPEN';
    else if (cursor.accept('PASSWORD', 'EXPIRE')) user.status = 'EXPIRED';
    else return;
  }
}

function parseAlterUser(cursor: TokenCursor, { instance, user }: Session): Action {
  const name = cursor.name();
  if (name !== user.name) requirePrivilege(user, 'ALTER USER');
  const changes: User = { name, password: '', grants: [] };
  readUserOptions(cursor, changes);
  return () => {
    const found = requireUser(instance, name);
    if (changes.password !== '') found.password = changes.password;
    if (changes.status !== undefined) found.status = changes.status;
    found.quotas = { ...found.quotas, ...changes.quotas };
  };
}

function requireUser(instance: Session['instance'], name: string): User {
  const found = findUser(instance, `"${name}"`);
  if (found === undefined) throw new OraError(1918, `user '${name}' does not exist`);
  return found;
}

function parseDropUser(cursor: TokenCursor, session: Session): Action {
  const { instance, user } = session;
  requirePrivilege(user, 'DROP USER');
  const name = cursor.name();
  const cascade = cursor.accept('CASCADE');
  return () => {
    requireUser(instance, name);
    const database = instance.database;
    const tables =
      database?.open === null || database === null
        ? []
        : listTables(database).filter(({ owner }) => owner === name);
    if (tables.length > 0 && !cascade)
      throw new OraError(1922, `CASCADE must be specified to drop '${name}'`);
    if ([...instance.sessions.values()].some((one) => one.user === name))
      throw new OraError(1940, 'cannot drop a user that is currently connected');
    // A job of Data Pump that still fills it holds its tables.
    const busy = [...pumpOf(instance).jobs.values()].some(
      ({ state, remapSchema }) => state === 'EXECUTING' && [...remapSchema.values()].includes(name),
    );
    if (busy) throw new OraError(54, 'resource busy and acquire with NOWAIT specified or timeout expired');
    for (const place of tables) saveTable(database!, session.transaction(), place, null);
    if (database !== null && database.open !== null) {
      for (const object of listCode(database)) if (object.owner === name) saveCode(session, object, true);
    }
    session.commit();
    instance.users = instance.users.filter((one) => one.name !== name);
  };
}

/** GRANT p, … [ON owner.object] TO user, and its opposite. */
function parseGrant(cursor: TokenCursor, session: Session, grants: boolean): Action {
  const { instance, user } = session;
  const privileges: string[] = [];
  do {
    const words = [cursor.name()];
    while (
      !cursor.is(',') &&
      !cursor.is('TO') &&
      !cursor.is('FROM') &&
      !cursor.is('ON') &&
      cursor.token.kind === 'word'
    )
      words.push(cursor.name());
    privileges.push(words.join(' '));
  } while (cursor.accept(','));
  let on = '';
  if (cursor.accept('ON')) {
    cursor.accept('DIRECTORY');
    const { owner, name } = readTarget(cursor, session.schema());
    on = ` ON ${owner}.${name}`;
    if (owner !== user.name) requirePrivilege(user, 'GRANT ANY OBJECT PRIVILEGE');
  } else requirePrivilege(user, 'GRANT ANY PRIVILEGE', 'GRANT ANY ROLE');
  cursor.expect(grants ? 'TO' : 'FROM', 905, 'missing keyword');
  const name = cursor.name();
  return () => {
    const found = requireUser(instance, name);
    const given = privileges.map((one) => `${one}${on}`);
    found.grants = grants ? [...found.grants, ...given] : found.grants.filter((one) => !given.includes(one));
  };
}

function parseCreateSpfile(cursor: TokenCursor, { instance, user }: Session): Action {
  requirePrivilege(user, 'SYSDBA');
  if (cursor.accept('=')) cursor.string();
  cursor.expect('FROM', 905, 'missing keyword');
  cursor.expect('PFILE', 905, 'missing keyword');
  const path = cursor.accept('=') ? cursor.string() : null;
  return () => {
    if (instance.started && instance.fromSpfile)
      throw new OraError(32002, 'cannot create SPFILE already being used by the instance');
    if (path !== null) useSpfile(instance, readParameterFile(path));
  };
}

/** CREATE PFILE = 'path' FROM SPFILE | MEMORY: text, one parameter a line. */
function parseCreatePfile(cursor: TokenCursor, { instance, user }: Session): Action {
  requirePrivilege(user, 'SYSDBA');
  cursor.expect('=', 927, 'missing equal sign');
  const path = cursor.string();
  cursor.expect('FROM', 905, 'missing keyword');
  const fromMemory = cursor.accept('MEMORY');
  if (!fromMemory) cursor.expect('SPFILE', 905, 'missing keyword');
  return () => {
    const source = fromMemory ? instance.database?.parameters : instance.spfile;
    if (source === null || source === undefined)
      throw new OraError(
        1565,
        "error in identifying file '?/dbs/spfile@.ora'\nORA-27037: unable to obtain file status",
      );
    const lines = [...source].map(
      ([name, value]) => `*.${name}=${/^\d+$/.test(value) ? value : `'${value}'`}\n`,
    );
    try {
      writeFileSync(path, lines.join(''));
    } catch {
      throw new OraError(27040, `file create error, unable to create file "${path}"`);
    }
  };
}
