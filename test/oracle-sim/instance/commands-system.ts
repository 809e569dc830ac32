import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { setRestricted } from './pluggable.ts';
import { requirePrivilege, type Action, type Session } from './session.ts';
import { knownParameters } from './parameters.ts';
import { checkpoint, switchLog } from './physical/checkpoint.ts';
import { enabledThreads, mounted, opened } from './physical/database.ts';
import { quiesce, unquiesce } from './quiesce.ts';
import { databaseOf } from './startup.ts';

/** ALTER SYSTEM … */
export function prepareSystemCommand(cursor: TokenCursor, session: Session): Action {
  const { instance, user } = session;
  requirePrivilege(user, 'ALTER SYSTEM');
  const switches = (): void => {
    const database = databaseOf(instance);
    opened(database);
    switchLog(database);
  };
  if (cursor.accept('SWITCH', 'LOGFILE')) return switches;
  if (cursor.accept('ARCHIVE', 'LOG')) {
    if (!cursor.accept('CURRENT') && !cursor.accept('ALL'))
      throw new OraError(2231, 'missing or invalid option to ALTER DATABASE', cursor.token.at);
    return () => {
      if (mounted(databaseOf(instance)).logMode === 'NOARCHIVELOG')
        throw new OraError(258, 'manual archiving in NOARCHIVELOG mode must identify log');
      const database = databaseOf(instance);
      opened(database);
      // Of every thread that is enabled; SWITCH LOGFILE is for the own one.
      for (const thread of enabledThreads(mounted(database))) switchLog(database, thread);
    };
  }
  if (cursor.accept('CHECKPOINT')) {
    cursor.accept('GLOBAL');
    return () => {
      opened(databaseOf(instance));
      checkpoint(databaseOf(instance));
    };
  }
  if (cursor.is('ENABLE', 'RESTRICTED', 'SESSION') || cursor.is('DISABLE', 'RESTRICTED', 'SESSION')) {
    const restricted = cursor.next().text === 'ENABLE';
    cursor.next();
    cursor.next();
    return () => {
      setRestricted(instance, session.container(), restricted);
    };
  }
  if (cursor.accept('QUIESCE', 'RESTRICTED')) return quiescing(async () => quiesce(instance), user.name);
  if (cursor.accept('UNQUIESCE')) return quiescing(() => unquiesce(instance), user.name);
  if (cursor.accept('KILL', 'SESSION')) return parseKill(cursor, instance);
  if (cursor.accept('SET')) return parseSet(cursor, instance);
  if (cursor.accept('RESET')) {
    const name = parameterName(cursor);
    parseScope(cursor);
    return () => {
      instance.spfile?.delete(name);
    };
  }
  if (
    cursor.accept('REGISTER') ||
    cursor.accept('FLUSH', 'SHARED_POOL') ||
    cursor.accept('FLUSH', 'BUFFER_CACHE')
  )
    return () => {};
  throw new OraError(2065, 'illegal option for ALTER SYSTEM', cursor.token.at);
}

/** For nobody but SYS and SYSTEM, whatever roles he has. */
function quiescing(work: Action, user: string): Action {
  if (user !== 'SYS' && user !== 'SYSTEM') throw new OraError(1031, 'insufficient privileges');
  return work;
}

function parseKill(cursor: TokenCursor, instance: Session['instance']): Action {
  const { at } = cursor.token;
  const [sid = '', serial = ''] = cursor.string().split(',');
  cursor.accept('IMMEDIATE');
  return () => {
    const found = instance.sessions.get(Number(sid));
    if (found === undefined || found.serial !== Number(serial))
      throw new OraError(30, 'User session ID does not exist.', at);
    instance.endSessions(found.id);
    // One of a program on the machine itself has no connection of ours.
    instance.sessions.delete(found.id);
  };
}

function parameterName(cursor: TokenCursor): string {
  const { at } = cursor.token;
  const name = cursor.name().toLowerCase();
  if (!knownParameters.has(name)) throw new OraError(2065, 'illegal option for ALTER SYSTEM', at);
  return name;
}

function parseScope(cursor: TokenCursor): 'MEMORY' | 'SPFILE' | 'BOTH' {
  if (cursor.accept('COMMENT', '=')) cursor.string();
  let scope: 'MEMORY' | 'SPFILE' | 'BOTH' = 'BOTH';
  if (cursor.accept('SCOPE', '=')) {
    const { text, at } = cursor.next();
    if (text !== 'MEMORY' && text !== 'SPFILE' && text !== 'BOTH')
      throw new OraError(922, 'missing or invalid option', at);
    scope = text;
  }
  if (cursor.accept('SID', '=')) cursor.string();
  return scope;
}

/** Parameters that only a restart changes. */
const onlyAtStart = new Set([
  'control_files',
  'db_name',
  'db_unique_name',
  'processes',
  'sessions',
  'compatible',
  'undo_management',
  'db_files',
  'log_archive_format',
  'log_file_name_convert',
  'db_file_name_convert',
  'audit_trail',
  'sga_max_size',
  'open_links',
  'open_links_per_instance',
]);

function parseSet(cursor: TokenCursor, instance: Session['instance']): Action {
  const { at } = cursor.token;
  const name = parameterName(cursor);
  cursor.expect('=', 927, 'missing equal sign');
  const values = [cursor.next().text];
  while (cursor.accept(',')) values.push(cursor.next().text);
  const value = values
    .join(', ')
    .replace(/^(\d+)([KMG])$/i, (_, digits: string, unit: string) =>
      String(Number(digits) * 1024 ** ('KMG'.indexOf(unit.toUpperCase()) + 1)),
    );
  const scope = parseScope(cursor);
  return () => {
    if (scope !== 'SPFILE' && onlyAtStart.has(name))
      throw new OraError(2095, 'specified initialization parameter cannot be modified', at);
    if (scope !== 'SPFILE') requireDestination(instance, name, value);
    if (scope !== 'MEMORY') {
      if (instance.spfile === null || !instance.fromSpfile)
        throw new OraError(32001, 'write to SPFILE requested but no SPFILE is in use');
      instance.spfile.set(name, value);
    }
    if (scope !== 'SPFILE') instance.database?.parameters.set(name, value);
  };
}

/** At least one destination must be left to a database in ARCHIVELOG mode (LOG_ARCHIVE_MIN_SUCCEED_DEST is 1). */
function requireDestination({ database }: Session['instance'], name: string, value: string): void {
  if (!/^log_archive_dest_(?:state_)?\d+$/.test(name) || database?.control?.logMode !== 'ARCHIVELOG') return;
  const set = (key: string): string => (key === name ? value : (database.parameters.get(key) ?? ''));
  const works = Array.from({ length: 31 }, (_, index) => index + 1).some(
    (id) =>
      /LOCATION/i.test(set(`log_archive_dest_${id}`)) && !/^defer/i.test(set(`log_archive_dest_state_${id}`)),
  );
  if (works) return;
  const why = `ORA-16028: new ${name.toUpperCase()} causes less destinations than LOG_ARCHIVE_MIN_SUCCEED_DEST requires`;
  throw new OraError(2097, `parameter cannot be modified because specified value is invalid\n${why}`);
}
