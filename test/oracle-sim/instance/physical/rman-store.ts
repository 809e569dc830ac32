import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OraError } from '../../wire/values.ts';
import { currentIncarnation, flushFile, mounted, saveControl, type Database } from './database.ts';
import { kindOfFile, readDataFile, readPiece, readRedoLog, writeDataFile, writePiece } from './files.ts';
import { checkpoint } from './checkpoint.ts';
import { stampOf } from './stamps.ts';
import type { ArchivedLog, BackedUpFile, BackupSet, ControlFile, DataFile, RedoLog } from './types.ts';

/** What a backup piece holds. */
export interface Piece {
  dbid: bigint;
  databaseName: string;
  set: BackupSet;
  files: { backedUp: BackedUpFile; data: DataFile }[];
  logs: RedoLog[];
  control: ControlFile | null;
}

function newSet(database: Database, type: BackupSet['type'], handle: string, tag: string): BackupSet {
  const control = mounted(database);
  control.lastRecid += 1;
  const startedAt = database.now();
  return {
    recid: control.lastRecid,
    stamp: stampOf(startedAt),
    count: control.lastRecid,
    type,
    level: null,
    controlFile: false,
    startedAt,
    completedAt: startedAt,
    tag,
    handle,
    bytes: 0,
    status: 'A',
    files: [],
    logs: [],
    keepUntil: null,
  };
}

function keep(database: Database, piece: Piece): BackupSet {
  const control = mounted(database);
  const { set } = piece;
  set.completedAt = database.now();
  try {
    writePiece(set.handle, piece);
  } catch {
    throw new OraError(
      19504,
      `failed to create file "${set.handle}"\nORA-27040: file create error, unable to create file`,
    );
  }
  set.bytes = statSync(set.handle).size;
  writePiece(set.handle, piece);
  control.sets.push(set);
  saveControl(database);
  return set;
}

/** BACKUP DATABASE: every file from its own checkpoint on; what changes meanwhile makes it fuzzy. */
export function backUpFiles(
  database: Database,
  handle: string,
  tag: string,
  level: number | null,
): BackupSet {
  const control = mounted(database);
  const set = newSet(database, level === null || level === 0 ? 'D' : 'I', handle, tag);
  set.level = level;
  const files = control.files.map((known) => {
    if (database.open !== null) checkpoint(database);
    const from = known.checkpointScn;
    const at = known.checkpointAt;
    const pages: DataFile['pages'] = new Map();
    const names = [...(database.open?.files.get(known.file) ?? readDataFile(known.name)).pages.keys()];
    for (const id of names) {
      database.betweenBlocks();
      if (database.open !== null) flushFile(database, known.file, false);
      const page = readDataFile(known.name).pages.get(id);
      if (page !== undefined) pages.set(id, page);
    }
    const { header } = readDataFile(known.name);
    const highest = [...pages.values()].reduce((most, { head }) => (head > most ? head : most), 0n);
    const absoluteFuzzyScn = highest > from ? highest : 0n;
    const { resetlogsScn, resetlogsAt } = header;
    const backedUp: BackedUpFile = {
      file: known.file,
      creationScn: known.creationScn,
      resetlogsScn,
      resetlogsAt,
      checkpointScn: from,
      checkpointAt: at,
      absoluteFuzzyScn,
      level,
      corrupt: 0,
      pages: pages.size,
    };
    set.files.push(backedUp);
    return {
      backedUp,
      data: {
        header: {
          ...header,
          checkpointScn: from,
          checkpointAt: at,
          fuzzy: false,
          backupScn: null,
          absoluteFuzzyScn,
        },
        pages,
      },
    };
  });
  return keep(database, {
    dbid: control.dbid,
    databaseName: control.name,
    set,
    files,
    logs: [],
    control: null,
  });
}

export function backUpLogs(
  database: Database,
  handle: string,
  tag: string,
  chosen: readonly ArchivedLog[],
): BackupSet {
  const control = mounted(database);
  const set = newSet(database, 'L', handle, tag);
  const logs = chosen.map((known) => {
    known.backups += 1;
    return readRedoLog(known.name);
  });
  set.logs = chosen.map(
    ({ thread, sequence, resetlogsScn, resetlogsAt, firstScn, firstAt, nextScn, nextAt }) => ({
      thread,
      sequence,
      resetlogsScn,
      resetlogsAt,
      firstScn,
      firstAt,
      nextScn,
      nextAt,
    }),
  );
  return keep(database, {
    dbid: control.dbid,
    databaseName: control.name,
    set,
    files: [],
    logs,
    control: null,
  });
}

/** A control file in a piece of its own, as the autobackup makes it; it knows nothing of itself. */
export function backUpControl(database: Database, handle: string, tag: string): BackupSet {
  const control = mounted(database);
  const set = newSet(database, 'D', handle, tag);
  set.controlFile = true;
  const { resetlogsScn, resetlogsAt } = currentIncarnation(control);
  const copied = structuredClone(control);
  set.files = [
    {
      file: 0,
      creationScn: 0n,
      resetlogsScn,
      resetlogsAt,
      checkpointScn: control.scn,
      checkpointAt: database.now(),
      absoluteFuzzyScn: 0n,
      level: null,
      corrupt: 0,
      pages: 1,
    },
  ];
  return keep(database, {
    dbid: control.dbid,
    databaseName: control.name,
    set,
    files: [],
    logs: [],
    control: copied,
  });
}

export function openPiece(handle: string): Piece {
  try {
    return readPiece(handle) as Piece;
  } catch {
    throw new OraError(
      19870,
      `error while restoring backup piece ${handle}\nORA-19505: failed to identify file "${handle}"\nORA-27037: unable to obtain file status`,
    );
  }
}

export function restoreFile(piece: Piece, file: number, to: string): void {
  const found = piece.files.find(({ backedUp }) => backedUp.file === file);
  if (found === undefined)
    throw new OraError(19612, `datafile ${file} not restored due to missing or corrupt data`);
  writeDataFile(to, found.data);
}

export interface Cataloged {
  pieces: string[];
  logs: string[];
  copies: string[];
  /** Files of another kind, or of another database. */
  refused: string[];
}

/** CATALOG START WITH: what lies there and belongs to this database. */
export function catalogFolder(database: Database, prefix: string): Cataloged {
  const control = mounted(database);
  const result: Cataloged = { pieces: [], logs: [], copies: [], refused: [] };
  for (const path of filesUnder(prefix)) {
    const kind = kindOfFile(path);
    if (kind === 'BACKUP PIECE' && addPiece(control, path)) result.pieces.push(path);
    else if (kind === 'REDO LOG' && addLog(control, path)) result.logs.push(path);
    else if (kind === 'DATAFILE' && addCopy(database, path)) result.copies.push(path);
    else if (kind === null || !isKnown(control, path)) result.refused.push(path);
  }
  saveControl(database);
  return result;
}

function filesUnder(prefix: string): string[] {
  const folder = existsSync(prefix) && statSync(prefix).isDirectory() ? prefix : join(prefix, '..');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path.startsWith(prefix))
    .sort();
}

function isKnown({ sets, archived, copies }: ControlFile, path: string): boolean {
  return (
    sets.some(({ handle }) => handle === path) || [...archived, ...copies].some(({ name }) => name === path)
  );
}

function addPiece(control: ControlFile, path: string): boolean {
  const { dbid, set } = openPiece(path);
  if (dbid !== control.dbid || isKnown(control, path)) return false;
  const known = control.sets.find(({ stamp, count }) => stamp === set.stamp && count === set.count);
  if (known !== undefined) known.handle = path;
  else {
    control.lastRecid += 1;
    control.sets.push({ ...set, recid: control.lastRecid, handle: path, status: 'A' });
  }
  return true;
}

function addLog(control: ControlFile, path: string): boolean {
  const log = readRedoLog(path);
  if (log.dbid !== control.dbid || log.nextScn === null || log.nextAt === null || isKnown(control, path))
    return false;
  control.lastRecid += 1;
  const { thread, sequence, resetlogsScn, resetlogsAt, firstScn, firstAt, nextScn, nextAt } = log;
  control.archived.push({
    recid: control.lastRecid,
    name: path,
    thread,
    sequence,
    resetlogsScn,
    resetlogsAt,
    firstScn,
    firstAt,
    nextScn,
    nextAt,
    completedAt: nextAt,
    deleted: false,
    status: 'A',
    backups: 0,
    bytes: statSync(path).size,
  });
  learnIncarnation(control, resetlogsScn, resetlogsAt);
  return true;
}

/** A log of an incarnation that the control file does not know yet tells of it. */
function learnIncarnation(control: ControlFile, resetlogsScn: bigint, resetlogsAt: number): void {
  if (
    control.incarnations.some((one) => one.resetlogsScn === resetlogsScn && one.resetlogsAt === resetlogsAt)
  )
    return;
  const number = Math.max(...control.incarnations.map((one) => one.number)) + 1;
  control.incarnations.push({ number, resetlogsScn, resetlogsAt, parent: control.current, status: 'ORPHAN' });
}

function addCopy(database: Database, path: string): boolean {
  const control = mounted(database);
  const { header, pages } = readDataFile(path);
  if (
    header.dbid !== control.dbid ||
    isKnown(control, path) ||
    control.files.some(({ name }) => name === path)
  )
    return false;
  control.lastRecid += 1;
  const { file, creationScn, resetlogsScn, resetlogsAt, checkpointScn, checkpointAt, absoluteFuzzyScn } =
    header;
  control.copies.push({
    recid: control.lastRecid,
    name: path,
    tag: null,
    completedAt: database.now(),
    status: 'A',
    file,
    creationScn,
    resetlogsScn,
    resetlogsAt,
    checkpointScn,
    checkpointAt,
    absoluteFuzzyScn,
    level: null,
    corrupt: 0,
    pages: pages.size,
  });
  return true;
}
