import { dirname, join } from 'node:path';
import { existsSync, readdirSync } from 'node:fs';
import { OraError } from '../../wire/values.ts';
import { advance, beginOperation } from '../../instance/long-operations.ts';
import { controlFilePaths } from '../../instance/physical/database.ts';
import { kindOfFile, readControlFile, writeControlFile } from '../../instance/physical/files.ts';
import { requireKey } from '../../instance/keystore.ts';
import { openPiece, restoreFile, type Piece } from '../../instance/physical/rman-store.ts';
import type { ControlDatafile, ControlFile } from '../../instance/physical/types.ts';
import { saveControl } from '../../instance/physical/database.ts';
import { chooseForFile, type Chosen } from './choose.ts';
import type { RmanCommand } from './commands.ts';
import { RmanSyntaxError, type RmanCursor } from './lexer.ts';
import {
  channelOf,
  now,
  rmanControl,
  rmanDatabase,
  RmanError,
  rmanTime,
  type RmanSession,
  type RmanUntil,
} from './session.ts';
import { readUntil } from './set.ts';
import { checkPiece, validateLogs } from './validate.ts';

/** RESTORE CONTROLFILE … | DATABASE … | ARCHIVELOG ALL VALIDATE. */
export function readRestore(cursor: RmanCursor, session: RmanSession): RmanCommand {
  if (cursor.accept('CONTROLFILE')) return readControlFileRestore(cursor, session);
  if (cursor.accept('ARCHIVELOG', 'ALL')) {
    if (!cursor.accept('VALIDATE') && !cursor.accept('PREVIEW')) throw new RmanSyntaxError(cursor.token);
    return { name: 'restore', run: () => validateLogs(session) };
  }
  cursor.expect('DATABASE');
  let tag: string | null = null;
  let mode: 'restore' | 'preview' | 'validate' = 'restore';
  let until: (() => RmanUntil) | null = null;
  for (;;) {
    if (cursor.accept('FROM', 'TAG')) {
      cursor.accept('=');
      tag = cursor.name();
    } else if (cursor.accept('PREVIEW')) {
      cursor.accept('SUMMARY');
      mode = 'preview';
    } else if (cursor.accept('VALIDATE')) {
      cursor.accept('CHECK', 'LOGICAL');
      mode = 'validate';
    } else if (cursor.accept('UNTIL')) until = readUntil(cursor, session);
    else break;
  }
  return {
    name: 'restore',
    run: () => restoreDatabase(session, tag, mode, until?.() ?? session.block?.until ?? null),
  };
}

function started(session: RmanSession, what: string): void {
  session.output.push(
    `Starting ${what} at ${rmanTime(session, now(session))}`,
    `using channel ${channelOf(session)}`,
    '',
  );
}

function finished(session: RmanSession, what: string): void {
  session.output.push(`Finished ${what} at ${rmanTime(session, now(session))}`);
}

/** Every datafile must have a backup before any is written: RMAN-06023 names those that have none. */
export function chooseAll(
  control: ControlFile,
  until: RmanUntil | null,
  tag: string | null,
  failed: ReadonlySet<string> = new Set(),
): { known: ControlDatafile; chosen: Chosen }[] {
  const chosen = control.files.map((known) => ({
    known,
    chosen: chooseForFile(control, known.file, until, tag, failed),
  }));
  const missing = chosen.filter((one) => one.chosen === null);
  if (missing.length > 0) {
    const lines = missing.map(
      ({ known }) => `RMAN-06023: no backup or copy of datafile ${known.file} found to restore`,
    );
    throw new RmanError(6026, 'some targets not found - aborting restore', ...lines);
  }
  return chosen.map(({ known, chosen: one }) => ({ known, chosen: one! }));
}

async function restoreDatabase(
  session: RmanSession,
  tag: string | null,
  mode: 'restore' | 'preview' | 'validate',
  until: RmanUntil | null,
): Promise<void> {
  const database = rmanDatabase(session);
  const control = rmanControl(session);
  started(session, 'restore');
  const chosen = chooseAll(control, until, tag);
  const { output } = session;
  const handles = [...new Set(chosen.map((one) => one.chosen.set.handle))];
  if (mode === 'preview') {
    output.push('', 'List of Backup Sets', '===================', '');
    for (const {
      known,
      chosen: { set, file },
    } of chosen)
      output.push(
        `  ${known.file}       Full ${file.checkpointScn}   ${rmanTime(session, file.checkpointAt)} ${set.handle}`,
      );
    const highest = chosen
      .map(({ chosen: { file } }) =>
        file.absoluteFuzzyScn >= file.checkpointScn ? file.absoluteFuzzyScn + 1n : file.checkpointScn,
      )
      .reduce((a, b) => (a > b ? a : b));
    const lowest = chosen.map(({ chosen: { file } }) => file.checkpointScn).reduce((a, b) => (a < b ? a : b));
    output.push(
      `recovery will be done up to SCN ${highest}`,
      `Media recovery start SCN is ${lowest}`,
      `Recovery must be done beyond SCN ${highest} to clear datafile fuzziness`,
    );
    return finished(session, 'restore');
  }
  if (mode === 'restore' && database.open !== null) {
    throw new OraError(
      19870,
      `error while restoring backup piece ${handles[0]}\nORA-19573: cannot obtain exclusive enqueue for datafile 1`,
    );
  }
  const { instance } = session.server;
  const all = chosen.reduce((sum, one) => sum + one.chosen.file.pages, 0);
  const aggregate = beginOperation(instance, {
    session: session.channel,
    name: 'RMAN: aggregate output',
    total: all,
    targetDescription: 'restore',
  });
  // What cannot be read is told, and an older backup of the same files is taken (RMAN-05016: failover to previous backup).
  const failed = new Set<string>();
  const through = new Set<number>();
  for (let left = chosen; left.length > 0;) {
    const { handle } = left[0]!.chosen.set;
    const inPiece = left.filter(({ chosen: one }) => one.set.handle === handle);
    try {
      await readWhole(session, handle, inPiece, mode);
    } catch (error) {
      if (!(error instanceof OraError)) throw error;
      output.push(...error.message.split('\n'), 'failover to previous backup', '');
      failed.add(handle);
      left = chooseAll(control, until, tag, failed).filter(({ known }) => !through.has(known.file));
      continue;
    }
    for (const { known } of inPiece) through.add(known.file);
    await advance(
      instance,
      aggregate,
      inPiece.reduce((sum, one) => sum + one.chosen.file.pages, 0),
    );
    left = left.filter(({ known }) => !through.has(known.file));
  }
  finished(session, 'restore');
}

/** One piece, with all files that are wanted of it. */
async function readWhole(
  session: RmanSession,
  handle: string,
  inPiece: readonly { known: ControlDatafile; chosen: Chosen }[],
  mode: 'restore' | 'validate',
): Promise<void> {
  const { output } = session;
  const { instance } = session.server;
  output.push(
    `channel ${channelOf(session)}: ${mode === 'validate' ? 'starting validation of datafile backup set' : 'starting datafile backup set restore'}`,
    `channel ${channelOf(session)}: reading from backup piece ${handle}`,
  );
  const piece = openPiece(handle, rmanControl(session));
  requirePieceKey(session, piece, handle);
  checkPiece(piece, handle);
  const step = beginOperation(instance, {
    session: session.channel,
    name: mode === 'validate' ? 'RMAN: full datafile validate' : 'RMAN: full datafile restore',
    total: inPiece.reduce((sum, one) => sum + one.chosen.file.pages, 0),
    target: piece.set.count,
    targetDescription: 'Set Count',
  });
  for (const { known, chosen: one } of inPiece) {
    await advance(instance, step, 0);
    if (mode === 'restore') writeFiles(session, piece, [known]);
    await advance(instance, step, one.file.pages);
  }
  output.push(
    `channel ${channelOf(session)}: piece handle=${handle} tag=${piece.set.tag}`,
    `channel ${channelOf(session)}: ${mode === 'validate' ? 'validation complete' : 'restore complete'}, elapsed time: 00:00:01`,
  );
}

/** A piece that is encrypted is no more than noise without its key. */
function requirePieceKey({ server }: RmanSession, { masterKey }: Piece, handle: string): void {
  try {
    requireKey(server.instance, masterKey);
  } catch (error) {
    const why = error instanceof OraError ? error.message : String(error);
    throw new OraError(
      19870,
      `error while restoring backup piece ${handle}\nORA-19913: unable to decrypt backup\n${why}`,
    );
  }
}

function writeFiles(session: RmanSession, piece: Piece, files: readonly ControlDatafile[]): void {
  const { block, output } = session;
  for (const known of files) {
    const format = block?.newNameForDatabase ?? null;
    const name = block?.newNames.get(known.file) ?? (format === null ? known.name : nameFrom(format, known));
    if (!existsSync(dirname(name))) {
      throw new OraError(
        19870,
        `error while restoring backup piece ${piece.set.handle}\nORA-19504: failed to create file "${name}"\nORA-27040: file create error, unable to create file`,
      );
    }
    output.push(
      `channel ${channelOf(session)}: restoring datafile ${String(known.file).padStart(5, '0')} to ${name}`,
    );
    restoreFile(piece, known.file, name);
    if (name !== known.name) block?.restored.set(known.file, name);
  }
}

function nameFrom(format: string, { file, name, tablespace }: ControlDatafile): string {
  return format
    .replaceAll('%f', String(file))
    .replaceAll('%b', name.split('/').at(-1) ?? '')
    .replaceAll('%N', tablespace)
    .replaceAll('%U', `data_D-${file}_TS-${tablespace}_FNO-${file}`)
    .replaceAll('%I', '1');
}

/** SWITCH DATAFILE ALL: the control file takes over the new names. */
export function readSwitch(cursor: RmanCursor, session: RmanSession): RmanCommand {
  const temporary = cursor.accept('TEMPFILE');
  if (!temporary) cursor.expect('DATAFILE');
  cursor.expect('ALL');
  return {
    name: 'switch',
    run() {
      const control = rmanControl(session);
      if (temporary) return;
      for (const [file, name] of session.block?.restored ?? []) {
        control.files.find((one) => one.file === file)!.name = name;
        session.output.push(
          `datafile ${file} switched to datafile copy`,
          `input datafile copy RECID=${file} STAMP=1 file name=${name}`,
        );
      }
      saveControl(rmanDatabase(session));
    },
  };
}

/** The newest backup of the control file, or the one before it where that cannot be read. */
function validateControlFile(session: RmanSession): void {
  const control = rmanControl(session);
  started(session, 'restore');
  const sets = control.sets.filter(({ status, controlFile }) => status === 'A' && controlFile).toReversed();
  for (const { handle } of sets) {
    session.output.push(`channel ${channelOf(session)}: reading from backup piece ${handle}`);
    try {
      requirePieceKey(session, openPiece(handle, control), handle);
      return finished(session, 'restore');
    } catch (error) {
      if (!(error instanceof OraError)) throw error;
      session.output.push(...error.message.split('\n'), 'failover to previous backup', '');
    }
  }
  throw new RmanError(
    6026,
    'some targets not found - aborting restore',
    'RMAN-06024: no backup or copy of the control file found to restore',
  );
}

function readControlFileRestore(cursor: RmanCursor, session: RmanSession): RmanCommand {
  if (cursor.accept('VALIDATE')) return { name: 'restore', run: () => validateControlFile(session) };
  cursor.expect('FROM');
  const handle = cursor.accept('AUTOBACKUP') ? null : cursor.text();
  return {
    name: 'restore',
    run() {
      const database = rmanDatabase(session);
      if (database.control !== null)
        throw new RmanError(6496, 'must use the TO clause when the database is mounted or open');
      started(session, 'restore');
      const control = readControl(session, handle);
      for (const path of controlFilePaths(database)) {
        writeControlFile(path, control);
        session.output.push(`output file name=${path}`);
      }
      finished(session, 'restore');
    },
  };
}

function readControl(session: RmanSession, handle: string | null): ControlFile {
  const nothing = new RmanError(6172, 'no AUTOBACKUP found or specified handle is not a valid copy or piece');
  const path = handle ?? findAutobackup(session);
  if (path !== null && kindOfFile(path) === 'CONTROL FILE') {
    return { ...readControlFile(path), type: 'BACKUP', recoveredTo: null };
  }
  let piece: Piece;
  try {
    piece = openPiece(path ?? '');
  } catch {
    throw nothing;
  }
  requirePieceKey(session, piece, path ?? '');
  if (piece.control === null) throw nothing;
  return { ...piece.control, type: 'BACKUP', recoveredTo: null };
}

/** c-DBID-… in the recovery area; which one is ours only SET DBID says. */
function findAutobackup(session: RmanSession): string | null {
  if (session.dbid === null) throw new RmanError(6495, 'must explicitly specify DBID with SET DBID command');
  const area = rmanDatabase(session).parameters.get('db_recovery_file_dest');
  if (area === undefined || !existsSync(area)) return null;
  const found = readdirSync(area, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes(`c-${session.dbid}-`))
    .sort();
  const last = found.at(-1);
  return last === undefined ? null : join(area, last);
}
