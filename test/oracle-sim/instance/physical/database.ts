import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OraError } from '../../wire/values.ts';
import { readDataFile, writeControlFile, writeDataFile, writeRedoLog } from './files.ts';
import { committedTransactions, transactionTable, undoFile } from './pages.ts';
import type { ControlDatafile, ControlFile, DataFile, Incarnation, LogGroup, Page, Redo } from './types.ts';

/** Parameters of an instance: what its parameter file said, names in lower case. */
export type Parameters = Map<string, string>;

/** An open database: blocks in memory, the redo of the current log, running transactions. */
export interface OpenDatabase {
  files: Map<number, DataFile>;
  /** Of the current log of each thread. */
  redo: Map<number, Redo[]>;
  /** Blocks changed since the last checkpoint, by file. */
  dirty: Map<number, Set<string>>;
  /** Blocks whose whole image is in the redo since their file's BEGIN BACKUP. */
  imaged: Set<string>;
  transactions: Set<number>;
  lastTransaction: number;
}

/** The physical side of an instance. */
export interface Database {
  parameters: Parameters;
  /** null until MOUNT. */
  control: ControlFile | null;
  open: OpenDatabase | null;
  /** The node of the cluster that is at work: its thread takes the redo. */
  thread: number;
  now: () => number;
  /** Redo written since the instance was made: V$SYSSTAT. */
  redoBytes: number;
  /** Corrupt blocks by file, as the last backup or validation found them: V$DATABASE_BLOCK_CORRUPTION. */
  corrupt: Map<number, number>;
  /** Services to which archived logs were sent, each time. */
  shipped: string[];
  /** A recovery UNTIL CANCEL waits for its next log. */
  recoveryWaits: boolean;
  /** An online log that holds so much redo is full, and switched at the next commit; undefined: none ever is. */
  logBytes?: number;
  /** Called between the blocks that a backup reads: tests let work go on there. */
  betweenBlocks: () => void;
  /** Called when its blocks are in memory: the instance then reads its dictionary. */
  afterOpen: () => void;
}

export function mounted({ control }: Database): ControlFile {
  if (control === null) throw new OraError(1507, 'database not mounted');
  return control;
}

export function opened({ open }: Database): OpenDatabase {
  if (open === null) throw new OraError(1109, 'database not open');
  return open;
}

export function parameter({ parameters }: Database, name: string): string | undefined {
  return parameters.get(name);
}

export function controlFilePaths(database: Database): string[] {
  const written = parameter(database, 'control_files');
  if (written === undefined)
    throw new OraError(205, 'error in identifying control file, check alert log for more info');
  return written.split(',').map((path) => path.trim().replaceAll("'", ''));
}

export function nextScn(database: Database): bigint {
  const control = mounted(database);
  control.scn += 1n;
  return control.scn;
}

/** Every change of the control file goes to all of its copies. */
export function saveControl(database: Database): void {
  const control = mounted(database);
  control.sequence += 1;
  for (const path of controlFilePaths(database)) writeControlFile(path, control);
}

export function currentIncarnation({ incarnations, current }: ControlFile): Incarnation {
  return incarnations.find(({ number }) => number === current)!; // the control file never loses its own
}

/** Resetlogs of the parent of the current incarnation, as headers of logs carry it. */
export function priorOf(control: ControlFile): { resetlogsScn: bigint; resetlogsAt: number } | null {
  const { parent } = currentIncarnation(control);
  const found = control.incarnations.find(({ number }) => number === parent);
  return found === undefined ? null : { resetlogsScn: found.resetlogsScn, resetlogsAt: found.resetlogsAt };
}

export function currentGroup({ groups }: ControlFile, thread: number): LogGroup {
  return groups.find((group) => group.thread === thread && group.status === 'CURRENT')!;
}

/** Records of the current log of a thread. */
export function redoOf({ redo }: OpenDatabase, thread: number): Redo[] {
  const found = redo.get(thread) ?? [];
  redo.set(thread, found);
  return found;
}

export function enabledThreads({ threads }: ControlFile): number[] {
  return threads.filter(({ disabledFrom }) => disabledFrom === null).map(({ thread }) => thread);
}

export function findFile(control: ControlFile, file: number): ControlDatafile {
  const found = control.files.find((one) => one.file === file);
  if (found === undefined)
    throw new OraError(
      1516,
      `nonexistent log file, data file, or temporary file "${file}" in the current container`,
    );
  return found;
}

/** Reads a datafile, with the two errors that a missing one gives. */
export function loadFile(known: ControlDatafile): DataFile {
  if (!existsSync(known.name)) {
    throw new OraError(
      1157,
      `cannot identify/lock data file ${known.file} - see DBWR trace file\nORA-01110: data file ${known.file}: '${known.name}'`,
    );
  }
  return readDataFile(known.name);
}

/**
 * Writes a datafile as it is in memory. With `torn` the blocks that changed are written as a copy by the operating system may
 * find them: the new head over the old tail.
 */
export function flushFile(database: Database, file: number, torn: boolean): void {
  const open = opened(database);
  const data = open.files.get(file)!;
  const dirty = open.dirty.get(file);
  const pages = new Map<string, Page>();
  for (const [id, page] of data.pages)
    pages.set(id, torn && dirty?.has(id) === true ? { ...page, tail: page.tail - 1n } : page);
  writeDataFile(findFile(mounted(database), file).name, { header: data.header, pages });
}

/** Returns how many bytes it has now. */
export function writeOnlineLog(database: Database, thread = database.thread): number {
  const control = mounted(database);
  const group = currentGroup(control, thread);
  const { resetlogsScn, resetlogsAt } = currentIncarnation(control);
  const { sequence, firstScn, firstAt, nextScn, nextAt } = group;
  const records = redoOf(opened(database), thread);
  let bytes = 0;
  for (const member of group.members) {
    bytes = writeRedoLog(member, {
      dbid: control.dbid,
      thread,
      sequence,
      resetlogsScn,
      resetlogsAt,
      prior: priorOf(control),
      firstScn,
      firstAt,
      nextScn,
      nextAt,
      records,
    });
  }
  return bytes;
}

export function committedNow(database: Database): Set<number> {
  return committedTransactions(opened(database).files.get(undoFile)?.pages.get(transactionTable));
}

export function removeFile(path: string): void {
  rmSync(path, { force: true });
}

/** Where archived logs go: LOG_ARCHIVE_DEST_1, or the recovery area. */
export function archiveFolder(database: Database): string {
  const location = /LOCATION=("[^"]+"|[^ ]+)/i
    .exec(parameter(database, 'log_archive_dest_1') ?? '')?.[1]
    ?.replaceAll(/["']/g, '');
  const area = parameter(database, 'db_recovery_file_dest');
  if (location !== undefined && location.toUpperCase() !== 'USE_DB_RECOVERY_FILE_DEST') return location;
  if (area !== undefined) return join(area, mounted(database).name, 'archivelog');
  return join(dirname(controlFilePaths(database)[0]!), 'arch');
}
