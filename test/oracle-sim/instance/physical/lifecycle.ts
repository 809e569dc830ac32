import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { OraError } from '../../wire/values.ts';
import {
  controlFilePaths,
  currentGroup,
  currentIncarnation,
  findFile,
  loadFile,
  mounted,
  nextScn,
  opened,
  parameter,
  saveControl,
  writeOnlineLog,
  type Database,
  enabledThreads,
} from './database.ts';
import { checkpoint, readOnlineLogs } from './checkpoint.ts';
import { endTransaction } from './change.ts';
import { readControlFile, writeDataFile } from './files.ts';
import { checkConsistent, checkHeaders, withName } from './consistency.ts';
import { applyRedo, committedTransactions, transactionTable, undoFile } from './pages.ts';
import type { ControlFile, DataFile, Incarnation, Redo } from './types.ts';

/** ALTER DATABASE MOUNT: every control file named is read; the database's name must be the instance's. */
export function mount(database: Database): void {
  if (database.control !== null) throw new OraError(1100, 'database already mounted');
  const found = controlFilePaths(database).map((path) => {
    try {
      return readControlFile(path);
    } catch {
      throw new OraError(205, 'error in identifying control file, check alert log for more info');
    }
  });
  const [control] = found;
  const name = parameter(database, 'db_name')?.replaceAll("'", '');
  if (control!.name !== name?.toUpperCase()) {
    throw new OraError(1103, `database name '${control!.name}' in control file is not '${name ?? ''}'`);
  }
  if (found.some(({ sequence }) => sequence !== control!.sequence)) {
    throw new OraError(214, 'control file version inconsistent with another control file');
  }
  database.control = control!;
}

/** ALTER DATABASE OPEN: what the online log still holds is applied; transactions that did not end are rolled back. */
export function openNormally(database: Database): void {
  const control = mounted(database);
  if (database.open !== null) throw new OraError(1531, 'a database already open by the instance');
  if (control.type === 'BACKUP' || control.recoveredTo !== null) {
    throw new OraError(1589, 'must use RESETLOGS or NORESETLOGS option for database open');
  }
  const files = loadAll(control);
  checkHeaders(control, files);
  const logs = readOnlineLogs(database);
  const crashed = [...files.values()].some(({ header }) => header.fuzzy);
  const online = new Map<number, Redo[]>();
  for (const thread of enabledThreads(control)) {
    const current = currentGroup(control, thread);
    const found = logs.find((log) => log.thread === thread && log.sequence === current.sequence);
    if (found !== undefined) {
      online.set(thread, found.records);
      continue;
    }
    throw new OraError(
      313,
      `open failed for members of log group ${current.group} of thread ${thread}\nORA-00312: online log ${current.group} thread ${thread}: '${current.members[0]}'`,
    );
  }
  const records = crashed ? logs.flatMap((log) => log.records).sort((a, b) => (a.scn < b.scn ? -1 : 1)) : [];
  for (const data of files.values()) mendTorn(data);
  for (const redo of records) {
    if (redo.scn >= files.get(redo.file)!.header.checkpointScn)
      applyRedo(files.get(redo.file)!, redo, findFile(control, redo.file));
  }
  const last = records.at(-1)?.scn;
  if (last !== undefined && last > control.scn) control.scn = last;
  openFiles(database, online, files);
  rollBackOpen(database);
  for (const known of control.files) known.stopScn = null;
  checkpoint(database);
}

/** What a crash leaves is whole: only copies made while the database writes are torn. */
function mendTorn({ pages }: DataFile): void {
  for (const page of pages.values()) page.tail = page.head;
}

export function loadAll({ files }: ControlFile): Map<number, DataFile> {
  return new Map(files.map((known) => [known.file, loadFile(known)]));
}

export function openFiles(
  database: Database,
  redo: Map<number, Redo[]>,
  files = loadAll(mounted(database)),
): void {
  const numbers = [...files.values()].flatMap(({ pages }) =>
    Array.from(pages.values(), ({ transaction }) => transaction),
  );
  const committed = committedTransactions(files.get(undoFile)?.pages.get(transactionTable));
  database.open = {
    files,
    redo,
    dirty: new Map(),
    imaged: new Set(),
    transactions: new Set(),
    lastTransaction: Math.max(0, ...numbers, ...committed),
  };
  database.afterOpen();
}

/** Blocks whose writer never committed go back to what they were. */
function rollBackOpen(database: Database): void {
  const open = opened(database);
  const committed = committedTransactions(open.files.get(undoFile)?.pages.get(transactionTable));
  for (const { pages } of open.files.values()) {
    for (const { transaction } of pages.values()) {
      if (transaction !== 0 && !committed.has(transaction)) open.transactions.add(transaction);
    }
  }
  for (const transaction of open.transactions) endTransaction(database, transaction, false);
}

/** ALTER DATABASE OPEN RESETLOGS, after incomplete recovery or with a backup control file. */
export function openResetlogs(database: Database): void {
  const control = mounted(database);
  if (database.open !== null) throw new OraError(1531, 'a database already open by the instance');
  if (control.type !== 'BACKUP' && control.recoveredTo === null) {
    throw new OraError(1139, 'RESETLOGS option only valid after an incomplete database recovery');
  }
  const files = loadAll(control);
  checkConsistent(control, files);
  for (const member of control.groups.flatMap(({ members }) => members)) {
    if (!existsSync(dirname(member))) {
      throw new OraError(
        344,
        `unable to re-create online log '${member}'\nORA-27040: file create error, unable to create file`,
      );
    }
  }
  const parent = currentIncarnation(control);
  const scn = [...files.values()].reduce(
    (most, { header }) => (header.checkpointScn > most ? header.checkpointScn : most),
    0n,
  );
  const number = Math.max(...control.incarnations.map((one) => one.number)) + 1;
  const resetlogsAt = Math.max(database.now(), parent.resetlogsAt + 1000);
  control.incarnations.push({
    number,
    resetlogsScn: scn,
    resetlogsAt,
    parent: parent.number,
    status: 'CURRENT',
  });
  resetIncarnation(control, number);
  Object.assign(control, { type: 'CURRENT', recoveredTo: null, scn });
  const enabled = enabledThreads(control);
  for (const group of control.groups) {
    const isFirst =
      enabled.includes(group.thread) &&
      control.groups.find(({ thread }) => thread === group.thread) === group;
    const status = isFirst ? 'CURRENT' : 'UNUSED';
    Object.assign(group, {
      sequence: isFirst ? 1 : 0,
      status,
      archived: !isFirst,
      firstScn: isFirst ? scn : 0n,
      firstAt: resetlogsAt,
      nextScn: null,
      nextAt: null,
    });
  }
  for (const known of control.files) {
    const data = files.get(known.file)!;
    Object.assign(data.header, {
      resetlogsScn: scn,
      resetlogsAt,
      backupScn: null,
      absoluteFuzzyScn: 0n,
      fuzzy: true,
    });
    Object.assign(known, { backup: null, stopScn: null, checkpointScn: scn });
    writeDataFile(known.name, data);
  }
  openFiles(database, new Map(), files);
  for (const thread of enabled) writeOnlineLog(database, thread);
  rollBackOpen(database);
  nextScn(database);
  checkpoint(database);
}

/** RESET DATABASE TO INCARNATION, and what RESETLOGS does: statuses by the new path. */
export function resetIncarnation(control: ControlFile, number: number): void {
  control.current = number;
  const path = new Set<number>();
  let one = control.incarnations.find((incarnation) => incarnation.number === number);
  while (one !== undefined) {
    path.add(one.number);
    const { parent }: Incarnation = one;
    one = control.incarnations.find((incarnation) => incarnation.number === parent);
  }
  for (const incarnation of control.incarnations) {
    incarnation.status =
      incarnation.number === number ? 'CURRENT' : path.has(incarnation.number) ? 'PARENT' : 'ORPHAN';
  }
}

/** SHUTDOWN NORMAL, TRANSACTIONAL or IMMEDIATE: running transactions are rolled back, files are clean. */
export function shutDown(database: Database): void {
  if (database.open !== null) {
    const busy = mounted(database).files.find(({ backup }) => backup?.active === true);
    if (busy !== undefined)
      throw withName(1149, `cannot shutdown - file ${busy.file} has online backup set`, busy);
    for (const transaction of opened(database).transactions) endTransaction(database, transaction, false);
    checkpoint(database, false);
    for (const known of mounted(database).files) known.stopScn = known.checkpointScn;
    saveControl(database);
  }
  database.open = null;
  database.control = null;
}

/** SHUTDOWN ABORT, a crash, the death of the node: memory is gone, files are as they were last written. */
export function crash(database: Database): void {
  database.recoveryWaits = false;
  database.open = null;
  database.control = null;
}
