import { join } from 'node:path';
import { OraError } from '../../wire/values.ts';
import { checkpoint } from './checkpoint.ts';
import {
  currentIncarnation,
  mounted,
  nextScn,
  parameter,
  removeFile,
  saveControl,
  type Database,
} from './database.ts';
import { readDataFile, readPiece, writeDataFile, writePiece } from './files.ts';
import { resetIncarnation } from './lifecycle.ts';
import type { DataFile, RestorePoint } from './types.ts';

/** What a guaranteed restore point needs: here whole files, there the blocks as they were before their first change. */
type Kept = { file: number; data: DataFile }[];

function keptPath(database: Database, name: string): string {
  const area = parameter(database, 'db_recovery_file_dest');
  if (area === undefined) {
    throw new OraError(
      38784,
      `Cannot create restore point '${name}'.\nORA-38786: Recovery area is not enabled.`,
    );
  }
  return join(area, mounted(database).name, 'flashback', `${name}.flb`);
}

export function createRestorePoint(database: Database, name: string, guaranteed: boolean): void {
  const control = mounted(database);
  if (control.restorePoints.some((one) => one.name === name)) {
    throw new OraError(38778, `Restore point '${name}' already exists.`);
  }
  if (guaranteed && control.logMode === 'NOARCHIVELOG') {
    throw new OraError(
      38784,
      `Cannot create restore point '${name}'.\nORA-38785: Media recovery must be enabled for guaranteed restore point.`,
    );
  }
  if (guaranteed) {
    const path = keptPath(database, name);
    if (database.open !== null) checkpoint(database);
    const kept: Kept = control.files.map((known) => ({ file: known.file, data: readDataFile(known.name) }));
    writePiece(path, kept);
  }
  const incarnation = currentIncarnation(control).number;
  control.restorePoints.push({
    name,
    // The moment itself: a guaranteed one begins with a checkpoint.
    scn: guaranteed || database.open === null ? control.checkpointScn : nextScn(database),
    at: database.now(),
    incarnation,
    guaranteed,
  });
  saveControl(database);
}

export function dropRestorePoint(database: Database, name: string): void {
  const control = mounted(database);
  const found = findRestorePoint(database, name);
  if (found.guaranteed) removeFile(keptPath(database, name));
  control.restorePoints = control.restorePoints.filter((one) => one !== found);
  saveControl(database);
}

function findRestorePoint(database: Database, name: string): RestorePoint {
  const found = mounted(database).restorePoints.find((one) => one.name === name);
  if (found === undefined) throw new OraError(38780, `Restore point '${name}' does not exist.`);
  return found;
}

/** FLASHBACK DATABASE TO RESTORE POINT: also over a RESETLOGS; afterwards only OPEN RESETLOGS opens it. */
export function flashBack(database: Database, name: string): void {
  const control = mounted(database);
  if (database.open !== null)
    throw new OraError(38757, 'Database must be mounted and not open to FLASHBACK.');
  const point = findRestorePoint(database, name);
  if (!point.guaranteed) throw new OraError(38726, 'Flashback database logging is not on.');
  const kept = readPiece(keptPath(database, name)) as Kept;
  resetIncarnation(control, point.incarnation);
  const { resetlogsScn, resetlogsAt } = currentIncarnation(control);
  for (const { file, data } of kept) {
    const known = control.files.find((one) => one.file === file);
    if (known === undefined)
      throw new OraError(38753, `Cannot flashback data file ${file}; no flashback log data.`);
    Object.assign(data.header, {
      resetlogsScn,
      resetlogsAt,
      fuzzy: false,
      backupScn: null,
      dbid: control.dbid,
    });
    known.backup = null;
    known.checkpointScn = data.header.checkpointScn;
    writeDataFile(known.name, data);
  }
  control.recoveredTo = point.scn;
  saveControl(database);
}
