import { OraError } from '../../wire/values.ts';
import { readDataFile, readRedoLog } from '../../instance/physical/files.ts';
import { lyingCopy } from '../../instance/physical/recover.ts';
import { findCorrupt, openPiece, type Piece } from '../../instance/physical/rman-store.ts';
import type { RmanCommand } from './commands.ts';
import type { RmanCursor } from './lexer.ts';
import {
  channelOf,
  now,
  rmanControl,
  rmanDatabase,
  RmanError,
  rmanTime,
  type RmanSession,
} from './session.ts';

/** A piece whose blocks are torn is corrupt: nothing of it is used. */
export function checkPiece({ files }: Piece, handle: string): void {
  for (const { backedUp, data } of files) {
    for (const page of data.pages.values()) {
      if (page.head === page.tail) continue;
      throw new OraError(
        19870,
        `error while restoring backup piece ${handle}\nORA-19612: datafile ${backedUp.file} not restored due to missing or corrupt data\nORA-19599: block number 128 is corrupt in backup piece ${handle}`,
      );
    }
  }
}

/** VALIDATE DATABASE, BACKUP VALIDATE DATABASE: the table that people read, with the blocks that are torn. */
export function validateFiles(session: RmanSession): void {
  const control = rmanControl(session);
  const { output } = session;
  output.push(
    `Starting validate at ${rmanTime(session, now(session))}`,
    'List of Datafiles',
    '=================',
    'File Status Marked Corrupt Empty Blocks Blocks Examined High SCN',
    '---- ------ -------------- ------------ --------------- ----------',
  );
  const corrupt = findCorrupt(rmanDatabase(session));
  for (const { file, name } of control.files) {
    const { pages } = readDataFile(name);
    const highest = [...pages.values()].reduce((most, { head }) => (head > most ? head : most), 0n);
    const bad = corrupt.get(file) ?? 0;
    const status = bad > 0 ? 'FAILED' : 'OK';
    output.push(
      `${String(file).padEnd(4)} ${status.padEnd(6)} ${String(bad).padEnd(14)} 0            ${String(pages.size).padEnd(15)} ${highest}`,
      `  File Name: ${name}`,
    );
  }
  if (corrupt.size > 0)
    output.push('validate found one or more corrupt blocks', 'See trace file for details');
  output.push(`Finished validate at ${rmanTime(session, now(session))}`);
}

export function readValidate(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.accept('CHECK', 'LOGICAL');
  cursor.expect('DATABASE');
  return { name: 'validate', run: () => validateFiles(session) };
}

/** Every archived log that is there, or in a backup set, is read. */
export function validateLogs(session: RmanSession): void {
  const control = rmanControl(session);
  session.output.push(`Starting restore at ${rmanTime(session, now(session))}`);
  const saved = control.sets.filter(({ status, logs }) => status === 'A' && logs.length > 0);
  for (const { handle } of saved) checkPiece(openPiece(handle, control), handle);
  const missing: string[] = [];
  for (const log of control.archived.filter(({ deleted }) => !deleted)) {
    const inSet = saved.some(({ logs }) =>
      logs.some((one) => one.sequence === log.sequence && one.resetlogsScn === log.resetlogsScn),
    );
    const lying = lyingCopy(log);
    if (lying !== undefined) {
      readRedoLog(lying);
      session.output.push(`channel ${channelOf(session)}: scanning archived log ${lying}`);
    } else if (!inSet)
      missing.push(
        `RMAN-06025: no backup of archived log for thread ${log.thread} with sequence ${log.sequence} and starting SCN of ${log.firstScn} found to restore`,
      );
  }
  if (missing.length > 0) throw new RmanError(6026, 'some targets not found - aborting restore', ...missing);
  session.output.push(`Finished restore at ${rmanTime(session, now(session))}`);
}
