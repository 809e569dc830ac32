import { existsSync } from 'node:fs';
import { OraError } from '../../wire/values.ts';
import {
  archiveFolder,
  currentGroup,
  currentIncarnation,
  findFile,
  flushFile,
  mounted,
  nextScn,
  opened,
  parameter,
  priorOf,
  saveControl,
  writeOnlineLog,
  type Database,
  redoOf,
} from './database.ts';
import { readRedoLog, redoLogBytes, writeRedoLog } from './files.ts';
import { requireAreaRoom } from './recovery-area.ts';
import type { ArchivedLog, LogGroup } from './types.ts';
import { join } from 'node:path';
import { stampOf } from './stamps.ts';

/** Everything goes to disk; the headers of files in backup mode stay where they were frozen. */
export function checkpoint(database: Database, fuzzy = true): void {
  const control = mounted(database);
  const open = opened(database);
  const scn = nextScn(database);
  const at = database.now();
  for (const [file, { header }] of open.files) {
    const known = findFile(control, file);
    header.fuzzy = fuzzy;
    known.checkpointScn = scn;
    known.checkpointAt = at;
    if (known.backup?.active !== true) {
      header.checkpointScn = scn;
      header.checkpointAt = at;
    }
    flushFile(database, file, false);
  }
  open.dirty.clear();
  control.checkpointScn = scn;
  control.checkpointAt = at;
  for (const group of control.groups) if (group.status === 'ACTIVE') group.status = 'INACTIVE';
  writeOnlineLog(database);
  saveControl(database);
}

export function logFileName(sequence: number, thread: number, resetlogsId: number): string {
  return `${thread}_${sequence}_${resetlogsId}.arc`;
}

/** ALTER SYSTEM SWITCH LOGFILE; in ARCHIVELOG mode the log is archived at once, or the switch waits for it. */
export function switchLog(database: Database, thread = database.thread): void {
  const control = mounted(database);
  const open = opened(database);
  const group = currentGroup(control, thread);
  const scn = nextScn(database);
  const at = database.now();
  group.nextScn = scn;
  group.nextAt = at;
  group.status = 'ACTIVE';
  group.archived = false;
  try {
    if (control.logMode === 'ARCHIVELOG') archive(database, group);
  } catch (error) {
    Object.assign(group, { nextScn: null, nextAt: null, status: 'CURRENT' });
    throw error;
  }
  const own = control.groups.filter((one) => one.thread === thread);
  const next = own[(own.indexOf(group) + 1) % own.length]!;
  Object.assign(next, {
    sequence: group.sequence + 1,
    status: 'CURRENT',
    archived: false,
    firstScn: scn,
    firstAt: at,
    nextScn: null,
    nextAt: null,
  });
  open.redo.set(thread, []);
  writeOnlineLog(database, thread);
  checkpoint(database);
}

const archiverStuck = new OraError(257, 'archiver error. Connect AS SYSDBA only until resolved.');

/** The destination is full, or not there: ORA-00257 for whoever asks for a switch. */
function archive(database: Database, group: LogGroup): void {
  const control = mounted(database);
  const { resetlogsScn, resetlogsAt } = currentIncarnation(control);
  const { thread, sequence, firstScn, firstAt } = group;
  const name = join(archiveFolder(database), logFileName(sequence, thread, stampOf(resetlogsAt)));
  const records = redoOf(opened(database), thread);
  const log = {
    dbid: control.dbid,
    thread,
    sequence,
    resetlogsScn,
    resetlogsAt,
    prior: priorOf(control),
    firstScn,
    firstAt,
    nextScn: group.nextScn,
    nextAt: group.nextAt,
    records,
  };
  if (/^defer/i.test(parameter(database, 'log_archive_dest_state_1') ?? '')) {
    const place = `ORA-00312: online log ${group.group} thread ${thread}: '${group.members[0]}'`;
    throw new OraError(
      16014,
      `log ${group.group} sequence# ${sequence} not archived, no available destinations\n${place}`,
    );
  }
  // A name that is there already is another log's, of before a revert: the archiver does not write over it (ORA-27038).
  if (existsSync(name)) throw archiverStuck;
  let copies: ArchivedLog['copies'];
  try {
    requireAreaRoom(database, name, redoLogBytes(log));
    for (const member of group.members) writeRedoLog(member, log);
    writeRedoLog(name, log);
    copies = archiveElsewhere(database, log);
  } catch {
    throw archiverStuck;
  }
  group.archived = true;
  control.lastRecid += 1;
  control.archived.push({
    recid: control.lastRecid,
    name,
    copies,
    thread,
    sequence,
    resetlogsScn,
    resetlogsAt,
    firstScn,
    firstAt,
    nextScn: group.nextScn!,
    nextAt: group.nextAt!,
    completedAt: database.now(),
    deleted: false,
    status: 'A',
    backups: 0,
    bytes:
      Buffer.byteLength(
        JSON.stringify(records, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
      ) + 512,
  });
}

/** The other destinations: a folder is written, a service is sent to. */
function archiveElsewhere(
  database: Database,
  log: Parameters<typeof writeRedoLog>[1],
): { destination: number; name: string }[] {
  const written: { destination: number; name: string }[] = [];
  for (let id = 2; id <= 31; id += 1) {
    if (/^defer/i.test(parameter(database, `log_archive_dest_state_${id}`) ?? '')) continue;
    const value = parameter(database, `log_archive_dest_${id}`) ?? '';
    const [, kind, place] = /^\s*(LOCATION|SERVICE)\s*=\s*"?([^\s"]+)/i.exec(value) ?? [];
    if (kind === undefined || place === undefined) continue;
    if (kind.toUpperCase() === 'SERVICE') database.shipped.push(place);
    else {
      const name = join(place, logFileName(log.sequence, log.thread, stampOf(log.resetlogsAt)));
      writeRedoLog(name, log);
      written.push({ destination: id, name });
    }
  }
  return written;
}

/** The records of the online log that is not archived yet, for recovery with the current control file. */
export function readOnlineLogs(database: Database): ReturnType<typeof readRedoLog>[] {
  return mounted(database).groups.flatMap(({ members, status }) => {
    if (status === 'UNUSED') return [];
    for (const member of members) {
      try {
        return [readRedoLog(member)];
      } catch {
        // another member may be whole
      }
    }
    return [];
  });
}
