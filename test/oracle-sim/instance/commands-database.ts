import { existsSync } from 'node:fs';
import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { requireAdministrator, requirePrivilege, type Action, type Session } from './session.ts';
import { beginBackup, endBackup } from './physical/backup-mode.ts';
import { mounted, opened, saveControl, type Database } from './physical/database.ts';
import { writeControlFile } from './physical/files.ts';
import { requireContainerMode } from './pluggable.ts';
import { mount, openNormally, openResetlogs } from './physical/lifecycle.ts';
import { requireKey } from './keystore.ts';
import { disableThread, enableThread } from './physical/threads.ts';
import { parseRecover } from './recover-command.ts';
import { databaseOf } from './startup.ts';

/** Clauses for which the privilege ALTER DATABASE is not enough (SQL Language Reference, ALTER DATABASE, Prerequisites). */
const administrators = new Set(['MOUNT', 'OPEN', 'RECOVER', 'ARCHIVELOG', 'NOARCHIVELOG', 'FLASHBACK']);

/** ALTER DATABASE … */
export function prepareDatabaseCommand(cursor: TokenCursor, session: Session): Action {
  const { instance, user } = session;
  requirePrivilege(user, 'ALTER DATABASE');
  const first = cursor.token.text;
  if (administrators.has(first)) requireAdministrator(user);
  const on =
    (work: (database: Database) => void): Action =>
    () =>
      work(databaseOf(instance));
  if (cursor.accept('MOUNT')) return on(mountStarted(instance));
  if (cursor.accept('OPEN')) {
    const open = parseOpen(cursor);
    return on((database) => {
      requireKey(instance, database.control?.masterKey);
      open(database);
    });
  }
  if (cursor.accept('BEGIN', 'BACKUP'))
    return on((database) => (opened(database), beginBackup(database, null)));
  if (cursor.accept('END', 'BACKUP')) return on((database) => endBackup(database, null));
  if (cursor.accept('RENAME', 'FILE')) return on(parseRename(cursor));
  if (cursor.accept('ARCHIVELOG')) return on((database) => setLogMode(database, 'ARCHIVELOG'));
  if (cursor.accept('NOARCHIVELOG')) return on((database) => setLogMode(database, 'NOARCHIVELOG'));
  if (cursor.accept('FORCE', 'LOGGING') || cursor.accept('NO', 'FORCE', 'LOGGING'))
    return on((database) => void mounted(database));
  if (cursor.accept('FLASHBACK', 'ON')) return on((database) => setFlashback(session, database, true));
  if (cursor.accept('FLASHBACK', 'OFF')) return on((database) => setFlashback(session, database, false));
  if (cursor.accept('DISABLE', 'BLOCK', 'CHANGE', 'TRACKING')) {
    return on(() => {
      throw new OraError(19759, 'block change tracking is not enabled');
    });
  }
  if (cursor.accept('BACKUP', 'CONTROLFILE', 'TO')) return on(parseControlBackup(cursor));
  if (cursor.accept('ENABLE', 'THREAD') || cursor.accept('ENABLE', 'PUBLIC', 'THREAD'))
    return on(parseThread(cursor, enableThread));
  if (cursor.accept('DISABLE', 'THREAD')) return on(parseThread(cursor, disableThread));
  if (cursor.accept('RECOVER')) return parseRecover(cursor, session);
  throw new OraError(2231, 'missing or invalid option to ALTER DATABASE', cursor.token.at);
}

function mountStarted(instance: Session['instance']): (database: Database) => void {
  return (database) => {
    if (!instance.started) throw new OraError(1034, 'ORACLE not available');
    mount(database);
    requireContainerMode(instance);
  };
}

function parseOpen(cursor: TokenCursor): (database: Database) => void {
  if (cursor.accept('RESETLOGS')) return openResetlogs;
  cursor.accept('READ', 'WRITE');
  return openNormally;
}

/** The new file must be there: the server only changes what its control file says. Online logs are made at RESETLOGS. */
function parseRename(cursor: TokenCursor): (database: Database) => void {
  const from = cursor.string();
  cursor.expect('TO', 905, 'missing keyword');
  const to = cursor.string();
  return (database) => {
    const control = mounted(database);
    const file = control.files.find(({ name }) => name === from);
    const group = control.groups.find(({ members }) => members.includes(from));
    if (file === undefined && group === undefined) {
      throw new OraError(
        1511,
        `error in renaming log/data files\nORA-01516: nonexistent log file, data file, or temporary file "${from}" in the current container`,
      );
    }
    if (file !== undefined) {
      if (!existsSync(to)) {
        throw new OraError(
          1511,
          `error in renaming log/data files\nORA-01141: error renaming data file ${file.file} - new file '${to}' not found\nORA-01110: data file ${file.file}: '${from}'`,
        );
      }
      file.name = to;
    }
    if (group !== undefined) group.members = group.members.map((member) => (member === from ? to : member));
    saveControl(database);
  };
}

function setLogMode(database: Database, mode: 'ARCHIVELOG' | 'NOARCHIVELOG'): void {
  const control = mounted(database);
  if (database.open !== null)
    throw new OraError(1126, 'database must be mounted in this instance and not open in any instance');
  control.logMode = mode;
  saveControl(database);
}

function setFlashback({ instance }: Session, database: Database, on: boolean): void {
  if (on && instance.settings.edition === 'SE2')
    throw new OraError(439, 'feature not enabled: Flashback Database');
  const control = mounted(database);
  if (!on && !control.flashbackOn) return;
  if (on && control.logMode === 'NOARCHIVELOG')
    throw new OraError(
      38706,
      'Cannot turn on FLASHBACK DATABASE logging.\nORA-38707: Media recovery is not enabled.',
    );
  control.flashbackOn = on;
  saveControl(database);
}

function parseThread(
  cursor: TokenCursor,
  work: (database: Database, thread: number) => void,
): (database: Database) => void {
  const thread = Number(cursor.next().text);
  return (database) => work(database, thread);
}

function parseControlBackup(cursor: TokenCursor): (database: Database) => void {
  if (cursor.accept('TRACE')) return (database) => void mounted(database);
  const path = cursor.string();
  const reuse = cursor.accept('REUSE');
  return (database) => {
    if (!reuse && existsSync(path))
      throw new OraError(
        1580,
        `error creating control backup file ${path}\nORA-27038: created file already exists`,
      );
    writeControlFile(path, { ...mounted(database), type: 'BACKUP' });
  };
}
