import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { createRestorePoint, dropRestorePoint, flashBack } from './physical/flashback.ts';
import { requireAdministrator, requirePrivilege, type Action, type Session } from './session.ts';
import { databaseOf } from './startup.ts';

export function parseRestorePoint(cursor: TokenCursor, { instance, user }: Session): Action {
  const name = cursor.name();
  const guaranteed = cursor.accept('GUARANTEE', 'FLASHBACK', 'DATABASE');
  if (guaranteed) requireAdministrator(user);
  else requirePrivilege(user, 'SELECT ANY DICTIONARY', 'FLASHBACK ANY TABLE', 'SELECT_CATALOG_ROLE');
  return () => {
    if (guaranteed && instance.settings.edition === 'SE2') {
      throw new OraError(439, 'feature not enabled: Flashback Database');
    }
    createRestorePoint(databaseOf(instance), name, guaranteed);
  };
}

export function parseDropRestorePoint(cursor: TokenCursor, { instance, user }: Session): Action {
  const name = cursor.name();
  requirePrivilege(user, 'SELECT ANY DICTIONARY', 'FLASHBACK ANY TABLE', 'SELECT_CATALOG_ROLE');
  return () => dropRestorePoint(databaseOf(instance), name);
}

/** FLASHBACK DATABASE TO RESTORE POINT name. */
export function parseFlashback(cursor: TokenCursor, { instance, user }: Session): Action {
  requireAdministrator(user);
  const name = cursor.name();
  return () => {
    if (instance.settings.edition === 'SE2')
      throw new OraError(439, 'feature not enabled: Flashback Database');
    flashBack(databaseOf(instance), name);
  };
}
