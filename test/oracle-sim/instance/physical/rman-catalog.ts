import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { mounted, saveControl, type Database } from './database.ts';
import { kindOfFile, readDataFile, readRedoLog } from './files.ts';
import { openPiece } from './rman-store.ts';
import type { ControlFile, Incarnation, RedoLog } from './types.ts';

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
  learnIncarnation(control, log);
  return true;
}

/** A log of an incarnation that the control file does not know yet tells of it, and of the one before. */
function learnIncarnation(control: ControlFile, { resetlogsScn, resetlogsAt, prior }: RedoLog): void {
  const find = (scn: bigint, at: number): Incarnation | undefined =>
    control.incarnations.find((one) => one.resetlogsScn === scn && one.resetlogsAt === at);
  const add = (scn: bigint, at: number, parent: number | null): number => {
    const number = Math.max(...control.incarnations.map((one) => one.number)) + 1;
    control.incarnations.push({ number, resetlogsScn: scn, resetlogsAt: at, parent, status: 'ORPHAN' });
    return number;
  };
  const parent =
    prior === null
      ? null
      : (find(prior.resetlogsScn, prior.resetlogsAt)?.number ??
        add(prior.resetlogsScn, prior.resetlogsAt, null));
  const known = find(resetlogsScn, resetlogsAt);
  if (known === undefined) add(resetlogsScn, resetlogsAt, parent);
  else known.parent ??= parent;
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
    incrementalFrom: 0n,
    corrupt: 0,
    pages: pages.size,
  });
  return true;
}
