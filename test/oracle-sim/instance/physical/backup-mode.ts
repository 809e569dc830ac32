import { OraError } from '../../wire/values.ts';
import {
  flushFile,
  loadFile,
  mounted,
  nextScn,
  opened,
  saveControl,
  writeOnlineLog,
  type Database,
  redoOf,
} from './database.ts';
import { checkpoint } from './checkpoint.ts';
import { writeDataFile } from './files.ts';
import type { ControlDatafile, ControlFile } from './types.ts';

export function filesOf({ files }: ControlFile, tablespace: string | null): ControlDatafile[] {
  const found = tablespace === null ? files : files.filter((file) => file.tablespace === tablespace);
  if (found.length === 0) throw new OraError(959, `tablespace '${tablespace}' does not exist`);
  return found;
}

/** ALTER TABLESPACE … BEGIN BACKUP, or ALTER DATABASE BEGIN BACKUP: a checkpoint, then the headers freeze. */
export function beginBackup(database: Database, tablespace: string | null): void {
  const control = mounted(database);
  const open = opened(database);
  if (control.logMode !== 'ARCHIVELOG')
    throw new OraError(1123, 'cannot start online backup; media recovery not enabled');
  const files = filesOf(control, tablespace);
  const busy = files.find(({ backup }) => backup?.active === true);
  if (busy !== undefined) {
    throw new OraError(
      1146,
      `cannot start online backup - file ${busy.file} is already in backup\nORA-01110: data file ${busy.file}: '${busy.name}'`,
    );
  }
  checkpoint(database);
  for (const known of files) {
    const { header } = open.files.get(known.file)!;
    known.backup = { active: true, scn: header.checkpointScn, at: database.now() };
    header.backupScn = header.checkpointScn;
    for (const key of open.imaged) if (key.startsWith(`${known.file}/`)) open.imaged.delete(key);
    flushFile(database, known.file, false);
  }
  saveControl(database);
}

/** Open: an end-of-backup record in the redo. Mounted after a crash (R8): the headers are simply thawed. */
export function endBackup(database: Database, tablespace: string | null): void {
  const control = mounted(database);
  const files = filesOf(control, tablespace).filter(({ backup }) => backup?.active === true);
  const [first] = filesOf(control, tablespace);
  if (files.length === 0) {
    if (tablespace === null)
      throw new OraError(1142, 'cannot end online backup - none of the files are in backup');
    throw new OraError(
      1142,
      `cannot end online backup - none of the files are in backup\nORA-01110: data file ${first!.file}: '${first!.name}'`,
    );
  }
  for (const known of files) {
    const beginScn = known.backup!.scn;
    known.backup = { ...known.backup!, active: false };
    thaw(database, known, beginScn);
  }
  saveControl(database);
}

function thaw(database: Database, known: ControlDatafile, beginScn: bigint): void {
  if (database.open === null) {
    const data = loadFile(known);
    Object.assign(data.header, {
      backupScn: null,
      checkpointScn: known.checkpointScn,
      checkpointAt: known.checkpointAt,
    });
    writeDataFile(known.name, data);
    return;
  }
  const { header } = database.open.files.get(known.file)!;
  redoOf(database.open, database.thread).push({
    kind: 'endBackup',
    scn: nextScn(database),
    file: known.file,
    beginScn,
  });
  Object.assign(header, {
    backupScn: null,
    checkpointScn: known.checkpointScn,
    checkpointAt: known.checkpointAt,
  });
  flushFile(database, known.file, false);
  writeOnlineLog(database);
}
