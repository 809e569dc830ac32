import { existsSync, rmSync } from 'node:fs';
import { beginOperation } from '../../instance/long-operations.ts';
import { join } from 'node:path';
import { archiveFolder, loadFile, saveControl } from '../../instance/physical/database.ts';
import { logFileName } from '../../instance/physical/checkpoint.ts';
import { writeDataFile, writeRedoLog } from '../../instance/physical/files.ts';
import { resetIncarnation, loadAll } from '../../instance/physical/lifecycle.ts';
import {
  controlFileLogs,
  recover,
  wouldFail,
  type LogName,
  type Until,
} from '../../instance/physical/recover.ts';
import { openPiece } from '../../instance/physical/rman-store.ts';
import { stampOf } from '../../instance/physical/stamps.ts';
import { chooseIncrement, describeLog, untilScn } from './choose.ts';
import { checkPiece } from './validate.ts';
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
  type RmanUntil,
} from './session.ts';
import { readUntil } from './set.ts';

/** RECOVER DATABASE [UNTIL …] [NOREDO] [DELETE ARCHIVELOG]. */
export function readRecover(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('DATABASE');
  let until: (() => RmanUntil) | null = null;
  let deletes = false;
  let noRedo = false;
  for (;;) {
    if (cursor.accept('UNTIL')) until = readUntil(cursor, session);
    else if (cursor.accept('NOREDO')) noRedo = true;
    else if (cursor.accept('DELETE', 'ARCHIVELOG')) deletes = true;
    else if (!cursor.accept('SKIP', 'TABLESPACE')) break;
    else cursor.name();
  }
  return {
    name: 'recover',
    run: () => recoverDatabase(session, until?.() ?? session.block?.until ?? null, deletes, noRedo),
  };
}

async function recoverDatabase(
  session: RmanSession,
  until: RmanUntil | null,
  deletes: boolean,
  noRedo: boolean,
): Promise<void> {
  const database = rmanDatabase(session);
  const control = rmanControl(session);
  const { output } = session;
  output.push(
    `Starting recover at ${rmanTime(session, now(session))}`,
    `using channel ${channelOf(session)}`,
    '',
  );
  if (noRedo) {
    control.recoveredTo = [...loadAll(control).values()][0]!.header.checkpointScn;
    saveControl(database);
    output.push(`Finished recover at ${rmanTime(session, now(session))}`);
    return;
  }
  applyIncrements(session, until);
  output.push('starting media recovery', '');
  const restored: string[] = [];
  const fetch = (name: LogName): string | null => fetchLog(session, name, restored);
  const target = untilScn(control, until);
  const wanted: Until = until === null ? null : until.kind === 'time' ? { at: until.at } : { scn: target! };
  const { instance } = session.server;
  const long = (item: string, units: string) =>
    beginOperation(instance, {
      session: session.channel,
      name: 'Media Recovery',
      total: 0,
      targetDescription: item,
      units,
    });
  const [logs, redo] = [long('Log Files', 'Files'), long('Redo Applied', 'Megabytes')];
  await instance.pace();
  const { applied, missing } = recover(database, wanted, controlFileLogs(database, fetch));
  Object.assign(logs, { soFar: applied.length, updatedAt: now(session) });
  Object.assign(redo, { soFar: applied.length, updatedAt: now(session) });
  await instance.pace();
  for (const log of applied)
    output.push(`archived log ${describeLog(log)} applied, first change ${log.firstScn}`);
  if (deletes) for (const path of restored) rmSync(path, { force: true });
  if (missing !== null) throw new RmanError(...missingLog(session, missing));
  const inconsistent = wouldFail(database);
  if (inconsistent !== null) throw inconsistent;
  output.push(
    'media recovery complete, elapsed time: 00:00:01',
    `Finished recover at ${rmanTime(session, now(session))}`,
  );
}

/** Blocks of level 1 over restored files, before any redo; each must begin where the file stands. */
function applyIncrements(session: RmanSession, until: RmanUntil | null): void {
  const control = rmanControl(session);
  for (const known of control.files) {
    const data = loadFile(known);
    for (;;) {
      const chosen = chooseIncrement(control, data.header, until);
      if (chosen === null) break;
      const piece = openPiece(chosen.set.handle);
      checkPiece(piece, chosen.set.handle);
      const found = piece.files.find(({ backedUp }) => backedUp.file === known.file);
      if (found === undefined) break;
      for (const [id, page] of found.data.pages) data.pages.set(id, page);
      const { checkpointScn, checkpointAt, absoluteFuzzyScn } = found.data.header;
      Object.assign(data.header, { checkpointScn, checkpointAt, absoluteFuzzyScn, fuzzy: false });
      writeDataFile(known.name, data);
      session.output.push(
        `channel ${channelOf(session)}: starting incremental datafile backup set restore`,
        `destination for restore of datafile ${String(known.file).padStart(5, '0')}: ${known.name}`,
        `channel ${channelOf(session)}: reading from backup piece ${chosen.set.handle}`,
      );
    }
  }
}

/** Known and not there is RMAN-06053 with 06025; never heard of is RMAN-06054, which at the end of the log does no harm. */
function missingLog(
  session: RmanSession,
  { thread, sequence, from, incarnation }: LogName,
): [number, string, ...string[]] {
  const control = rmanControl(session);
  const known = [...control.archived, ...control.sets.flatMap(({ logs }) => logs)].some(
    (log) =>
      log.thread === thread &&
      log.resetlogsScn === incarnation.resetlogsScn &&
      log.firstScn <= from &&
      from < log.nextScn,
  );
  if (!known)
    return [
      6054,
      `media recovery requesting unknown archived log for thread ${thread} with sequence ${sequence} and starting SCN of ${from}`,
    ];
  return [
    6053,
    'unable to perform media recovery because of missing log',
    `RMAN-06025: no backup of archived log for thread ${thread} with sequence ${sequence} and starting SCN of ${from} found to restore`,
  ];
}

/** Takes a log out of a backup set, into the place where archived logs lie. */
function fetchLog(
  session: RmanSession,
  { thread, from, incarnation }: LogName,
  restored: string[],
): string | null {
  const control = rmanControl(session);
  const holding = control.sets.filter(
    ({ status, logs, handle }) =>
      status === 'A' &&
      existsSync(handle) &&
      logs.some(
        (log) =>
          log.thread === thread &&
          log.resetlogsScn === incarnation.resetlogsScn &&
          log.firstScn <= from &&
          from < log.nextScn,
      ),
  );
  for (const { handle } of holding) {
    const log = openPiece(handle).logs.find(
      (one) => one.thread === thread && one.firstScn <= from && one.nextScn !== null && from < one.nextScn,
    );
    if (log === undefined) continue;
    const path = join(
      archiveFolder(rmanDatabase(session)),
      logFileName(log.sequence, thread, stampOf(log.resetlogsAt)),
    );
    writeRedoLog(path, log);
    restored.push(path);
    session.output.push(
      `channel ${channelOf(session)}: starting archived log restore to default destination`,
      `channel ${channelOf(session)}: restoring archived log`,
      `archived log ${describeLog(log)}`,
      `channel ${channelOf(session)}: reading from backup piece ${handle}`,
    );
    return path;
  }
  return null;
}

/** RESET DATABASE TO INCARNATION n: the database is mounted and not open. */
export function readReset(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('DATABASE', 'TO', 'INCARNATION');
  const number = Number(cursor.number());
  return {
    name: 'reset',
    run() {
      const control = rmanControl(session);
      const database = rmanDatabase(session);
      if (database.open !== null)
        throw new RmanError(6188, 'cannot use command when connected to a mounted target database');
      if (!control.incarnations.some((one) => one.number === number))
        throw new RmanError(20010, 'database incarnation not found');
      resetIncarnation(control, number);
      saveControl(database);
      session.output.push(`database reset to incarnation ${number}`);
    },
  };
}
