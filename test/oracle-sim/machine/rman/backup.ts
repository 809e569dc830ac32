import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { advance, beginOperation } from '../../instance/long-operations.ts';
import { readDataFile } from '../../instance/physical/files.ts';
import { OraError } from '../../wire/values.ts';
import { parameter, saveControl } from '../../instance/physical/database.ts';
import { switchLog } from '../../instance/physical/checkpoint.ts';
import { backUpControl, backUpFiles, backUpLogs } from '../../instance/physical/rman-store.ts';
import type { BackupSet } from '../../instance/physical/types.ts';
import type { RmanCommand } from './commands.ts';
import { lyingCopy } from '../../instance/physical/recover.ts';
import { describeLog } from './choose.ts';
import { RmanSyntaxError, type RmanCursor } from './lexer.ts';
import { validateFiles } from './validate.ts';
import {
  channelOf,
  now,
  rmanControl,
  rmanDatabase,
  RmanError,
  rmanTime,
  type RmanSession,
} from './session.ts';
import { hostTime } from '../../instance/instance.ts';

interface BackupRequest {
  what: 'database' | 'logs' | 'control';
  level: number | null;
  format: string | null;
  tag: string | null;
  plusLogs: boolean;
  deletesInput: boolean;
  validates: boolean;
}

/** BACKUP [VALIDATE] [AS …] [INCREMENTAL LEVEL n] DATABASE | ARCHIVELOG ALL | CURRENT CONTROLFILE, with FORMAT, TAG, PLUS ARCHIVELOG. */
export function readBackup(cursor: RmanCursor, session: RmanSession): RmanCommand {
  const request: BackupRequest = {
    what: 'database',
    level: null,
    format: null,
    tag: null,
    plusLogs: false,
    deletesInput: false,
    validates: false,
  };
  let named = false;
  for (;;) {
    if (cursor.accept('VALIDATE')) request.validates = true;
    else if (
      cursor.accept('CHECK', 'LOGICAL') ||
      cursor.accept('AS', 'BACKUPSET') ||
      cursor.accept('AS', 'COMPRESSED', 'BACKUPSET')
    )
      continue;
    else if (cursor.accept('INCREMENTAL', 'LEVEL')) request.level = Number(cursor.number());
    else if (cursor.accept('DATABASE')) named = true;
    else if (cursor.accept('ARCHIVELOG', 'ALL')) [request.what, named] = ['logs', true];
    else if (cursor.accept('CURRENT', 'CONTROLFILE')) [request.what, named] = ['control', true];
    else if (cursor.accept('FORMAT')) {
      cursor.accept('=');
      request.format = cursor.text();
    } else if (cursor.accept('TAG')) {
      cursor.accept('=');
      request.tag = cursor.name().toUpperCase();
    } else if (cursor.accept('PLUS', 'ARCHIVELOG')) request.plusLogs = true;
    else if (cursor.accept('DELETE', 'INPUT') || cursor.accept('DELETE', 'ALL', 'INPUT'))
      request.deletesInput = true;
    else break;
  }
  if (!named) throw new RmanSyntaxError(cursor.token);
  return { name: 'backup', run: () => backUp(session, request) };
}

async function backUp(session: RmanSession, request: BackupRequest): Promise<void> {
  const database = rmanDatabase(session);
  const control = rmanControl(session);
  const { output } = session;
  if (request.validates) return validateFiles(session);
  if (request.what === 'database' && control.logMode === 'NOARCHIVELOG' && database.open !== null) {
    throw new RmanError(6149, 'cannot BACKUP DATABASE in NOARCHIVELOG mode');
  }
  const tag =
    request.tag ??
    `TAG${hostTime(session.server.instance, now(session)).replaceAll(/[-:]/g, '').replace(' ', 'T')}`;
  const place = (kind: string): string => nameOf(session, request.format, kind);
  output.push(`Starting backup at ${rmanTime(session, now(session))}`, `using channel ${channelOf(session)}`);
  if (request.plusLogs || request.what === 'logs')
    backUpArchived(session, place('al'), tag, request.deletesInput);
  if (request.what === 'database') {
    const set = await whileTold(session, () => backUpFiles(database, place('df'), tag, request.level));
    tell(session, set);
  }
  if (request.plusLogs) backUpArchived(session, place('al'), tag, request.deletesInput);
  if (request.what === 'control') tell(session, backUpControl(database, place('cf'), tag));
  output.push(`Finished backup at ${rmanTime(session, now(session))}`);
  if (request.what === 'control') return;
  const stamp = String(control.lastRecid + 1).padStart(2, '0');
  const handle = join(area(session), `c-${control.dbid}-${tag.slice(3, 11)}-${stamp}`);
  backUpControl(database, handle, `TAG${tag.slice(3)}`);
  output.push(
    '',
    'Starting Control File and SPFILE Autobackup',
    `piece handle=${handle} comment=NONE`,
    'Finished Control File and SPFILE Autobackup',
  );
}

/** One row for the command and one for its set: nothing done, then all of it. */
async function whileTold<Result>(session: RmanSession, work: () => Result): Promise<Result> {
  const { instance } = session.server;
  const { files } = rmanControl(session);
  const total = files.reduce((sum, { name }) => sum + readDataFile(name).pages.size, 0);
  const common = { session: session.channel, total };
  const rows = [
    beginOperation(instance, { ...common, name: 'RMAN: aggregate input', targetDescription: 'backup' }),
    beginOperation(instance, {
      ...common,
      name: 'RMAN: full datafile backup',
      targetDescription: 'Set Count',
    }),
  ];
  await instance.pace();
  const result = work();
  for (const row of rows) await advance(instance, row, total);
  return result;
}

function area(session: RmanSession): string {
  const database = rmanDatabase(session);
  const found = parameter(database, 'db_recovery_file_dest');
  if (found === undefined)
    throw new OraError(
      19504,
      'failed to create file\nORA-19801: initialization parameter DB_RECOVERY_FILE_DEST is not set',
    );
  return join(found, rmanControl(session).name, 'backupset');
}

function nameOf(session: RmanSession, format: string | null, kind: string): string {
  const control = rmanControl(session);
  const count = control.lastRecid + 1;
  const unique = `${kind}_${control.name}_${count}_${control.sequence}`;
  if (format === null) return join(area(session), `${unique}.bkp`);
  return format
    .replaceAll('%U', unique)
    .replaceAll('%d', control.name)
    .replaceAll('%s', String(count))
    .replaceAll('%p', '1')
    .replaceAll('%t', String(control.sequence))
    .replaceAll('%I', String(control.dbid))
    .replaceAll('%T', '20260301');
}

function tell(session: RmanSession, set: BackupSet): void {
  const channel = channelOf(session);
  session.output.push(
    `channel ${channel}: starting full datafile backup set`,
    ...set.files
      .filter(({ file }) => file > 0)
      .map(({ file }) => `input datafile file number=${String(file).padStart(5, '0')}`),
    `channel ${channel}: finished piece 1 at ${rmanTime(session, set.completedAt)}`,
    `piece handle=${set.handle} tag=${set.tag} comment=NONE`,
    `channel ${channel}: backup set complete, elapsed time: 00:00:01`,
  );
}

/** The current log is switched first, so that nothing up to now is left out. */
function backUpArchived(session: RmanSession, handle: string, tag: string, deletesInput: boolean): void {
  const database = rmanDatabase(session);
  const control = rmanControl(session);
  if (database.open !== null) {
    switchLog(database);
    session.output.push('current log archived');
  }
  const logs = control.archived.filter(({ status }) => status === 'A');
  const lost = logs.find((log) => lyingCopy(log) === undefined);
  if (lost !== undefined) {
    throw new RmanError(
      6059,
      'expected archived log not found, loss of archived log compromises recoverability',
      `ORA-19625: error identifying file ${lost.name}`,
      'ORA-27037: unable to obtain file status',
    );
  }
  if (logs.length === 0) return;
  const set = backUpLogs(database, handle, tag, logs);
  session.output.push(
    `channel ${channelOf(session)}: starting archived log backup set`,
    ...logs.map((log) => `input archived log ${describeLog(log)} RECID=${log.recid}`),
    `piece handle=${set.handle} tag=${set.tag} comment=NONE`,
  );
  if (!deletesInput) return;
  for (const log of logs) {
    rmSync(log.name, { force: true });
    Object.assign(log, { deleted: true, status: 'D' });
  }
  saveControl(database);
}
