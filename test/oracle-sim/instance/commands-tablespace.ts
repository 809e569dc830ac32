import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { requirePrivilege, type Action, type Session } from './session.ts';
import { beginBackup, endBackup } from './physical/backup-mode.ts';
import { opened } from './physical/database.ts';
import { databaseOf } from './startup.ts';

/** ALTER TABLESPACE name BEGIN | END BACKUP. */
export function prepareTablespaceCommand(cursor: TokenCursor, { instance, user }: Session): Action {
  requirePrivilege(user, 'ALTER TABLESPACE', 'MANAGE TABLESPACE');
  const name = cursor.name();
  if (cursor.accept('BEGIN', 'BACKUP')) {
    return () => {
      opened(databaseOf(instance));
      beginBackup(databaseOf(instance), name);
    };
  }
  if (cursor.accept('END', 'BACKUP')) {
    return () => {
      opened(databaseOf(instance));
      endBackup(databaseOf(instance), name);
    };
  }
  throw new OraError(2142, 'missing or invalid ALTER TABLESPACE option', cursor.token.at);
}
