import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { pumpOf } from '../pump/state.ts';
import type { Instance } from './instance.ts';
import { changePage } from './physical/change.ts';
import { opened } from './physical/database.ts';
import { requirePrivilege, type Action, type Session } from './session.ts';
import { databaseOf } from './startup.ts';
import { listPages } from './tables.ts';

const prefix = 'D:';
const systemFile = 1;

/** CREATE [OR REPLACE] DIRECTORY name AS 'path': in the dictionary, so a restored database has production's. */
export function parseCreateDirectory(cursor: TokenCursor, session: Session): Action {
  requirePrivilege(session.user, 'CREATE ANY DIRECTORY');
  const replaces = cursor.accept('OR', 'REPLACE');
  cursor.expect('DIRECTORY', 901, 'invalid CREATE command');
  const name = cursor.name();
  cursor.expect('AS', 905, 'missing keyword');
  const path = cursor.string();
  return () => {
    const database = databaseOf(session.instance);
    opened(database);
    const { directories } = pumpOf(session.instance);
    if (directories.has(name) && !replaces)
      throw new OraError(955, 'name is already used by an existing object');
    directories.set(name, path);
    changePage(database, session.transaction(), systemFile, `${prefix}${name}`, path);
    session.commit();
  };
}

export function parseDropDirectory(cursor: TokenCursor, session: Session): Action {
  requirePrivilege(session.user, 'DROP ANY DIRECTORY');
  const name = cursor.name();
  return () => {
    const database = databaseOf(session.instance);
    opened(database);
    if (!pumpOf(session.instance).directories.delete(name))
      throw new OraError(4043, `object ${name} does not exist`);
    changePage(database, session.transaction(), systemFile, `${prefix}${name}`, null);
    session.commit();
  };
}

export function readDirectories(instance: Instance): void {
  const { database } = instance;
  if (database === null || database.open === null) return;
  for (const { page, content } of listPages(database, 0, prefix))
    pumpOf(instance).directories.set(page.slice(prefix.length), content);
}
