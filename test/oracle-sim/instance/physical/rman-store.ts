import { existsSync, rmSync, statSync } from 'node:fs';
import { OraError } from '../../wire/values.ts';
import { currentIncarnation, flushFile, mounted, saveControl, type Database } from './database.ts';
import { countCorrupt, readDataFile, readPiece, readRedoLog, writeDataFile, writePiece } from './files.ts';
import { checkpoint } from './checkpoint.ts';
import { requireAreaRoom } from './recovery-area.ts';
import { lyingCopy } from './recover.ts';
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
  /** It is encrypted with it. */
  masterKey?: string | undefined;
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
  piece.masterKey = control.masterKey;
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
  try {
    requireAreaRoom(database, set.handle, set.bytes);
  } catch (error) {
    rmSync(set.handle, { force: true });
    throw error;
  }
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
  const bases = new Map(control.files.map(({ file }) => [file, level === 1 ? baseOf(control, file) : null]));
  refuseCorrupt(database);
  // Without a base a level 1 is made as a level 0.
  const isIncremental = level === 1 && [...bases.values()].every((base) => base !== null);
  const made = level === 1 && !isIncremental ? 0 : level;
  const set = newSet(database, isIncremental ? 'I' : 'D', handle, tag);
  set.level = made;
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
      const older = page !== undefined && isIncremental && page.head < bases.get(known.file)!;
      if (page !== undefined && !older) pages.set(id, page);
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
      level: made,
      incrementalFrom: isIncremental ? bases.get(known.file)! : 0n,
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

/** Reads every file as it lies on disk, and remembers what is damaged. */
export function findCorrupt(database: Database): ReadonlyMap<number, number> {
  for (const { file, name } of mounted(database).files) {
    const count = countCorrupt(readDataFile(name));
    if (count > 0) database.corrupt.set(file, count);
    else database.corrupt.delete(file);
  }
  return database.corrupt;
}

/** A backup stops at the first corrupt block (MAXCORRUPT 0). */
function refuseCorrupt(database: Database): void {
  const [file] = findCorrupt(database).keys();
  if (file === undefined) return;
  const { name } = mounted(database).files.find((one) => one.file === file)!;
  throw new OraError(
    19566,
    `exceeded limit of 0 corrupt blocks for file ${name}\nORA-19600: input file is datafile ${file} (${name})`,
  );
}

/** SCN of the newest level 0 or 1 of a file in this incarnation: what changed since goes into the next level 1. */
function baseOf(control: ControlFile, file: number): bigint | null {
  const { resetlogsScn } = currentIncarnation(control);
  const found = control.sets
    .filter(({ status, level }) => status === 'A' && level !== null)
    .flatMap(({ files }) => files)
    .filter((one) => one.file === file && one.resetlogsScn === resetlogsScn)
    .map(({ checkpointScn }) => checkpointScn);
  return found.length === 0 ? null : found.reduce((a, b) => (a > b ? a : b));
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
    return readRedoLog(lyingCopy(known) ?? known.name);
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
      incrementalFrom: 0n,
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

/** `of`: the control file whose piece it is to be. */
export function openPiece(handle: string, of?: Pick<ControlFile, 'dbid' | 'name'>): Piece {
  const wrong = (below: string): OraError =>
    new OraError(19870, `error while restoring backup piece ${handle}\n${below}`);
  let piece: Piece;
  try {
    piece = readPiece(handle) as Piece;
  } catch {
    // It is there, and ends too early.
    if (existsSync(handle))
      throw wrong(
        'ORA-19587: error occurred reading 8192 bytes at block number 129\nORA-27091: unable to queue I/O\nORA-27072: File I/O error',
      );
    throw wrong(`ORA-19505: failed to identify file "${handle}"\nORA-27037: unable to obtain file status`);
  }
  if (of === undefined || piece.dbid === of.dbid) return piece;
  throw wrong(
    `ORA-19691: ${handle} is from different database: id=${piece.dbid}, name=${piece.databaseName}`,
  );
}

export function restoreFile(piece: Piece, file: number, to: string): void {
  const found = piece.files.find(({ backedUp }) => backedUp.file === file);
  if (found === undefined)
    throw new OraError(19612, `datafile ${file} not restored due to missing or corrupt data`);
  writeDataFile(to, found.data);
}
