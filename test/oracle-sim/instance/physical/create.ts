import { join } from 'node:path';
import { parameter, saveControl, writeOnlineLog, type Database, enabledThreads } from './database.ts';
import { writeDataFile } from './files.ts';
import { openFiles } from './lifecycle.ts';
import type { ControlDatafile, DataFile } from './types.ts';

export interface NewDatabase {
  dbid: bigint;
  name: string;
  firstScn: bigint;
  /** Where datafiles and online logs lie. */
  dataFolder: string;
  /** Second member of every online log; undefined: there is only one. */
  mirrorFolder?: string | undefined;
  logMode: 'ARCHIVELOG' | 'NOARCHIVELOG';
  /** Beside SYSTEM, SYSAUX and UNDOTBS1. */
  tablespaces: readonly string[];
  /** More than one: a cluster. */
  threads: number;
}

const always = ['SYSTEM', 'SYSAUX', 'UNDOTBS1'] as const;

/** CREATE DATABASE: files, online logs, control files; it is open afterwards. */
export function createDatabase(database: Database, settings: NewDatabase): void {
  const { dbid, name, firstScn, dataFolder, mirrorFolder, logMode } = settings;
  const at = database.now();
  const resetlogs = { resetlogsScn: firstScn, resetlogsAt: at };
  const files = [...always, ...settings.tablespaces].map((tablespace, index): ControlDatafile => ({
    file: index + 1,
    tablespace,
    name: join(dataFolder, `${tablespace.toLowerCase()}01.dbf`),
    creationScn: firstScn,
    creationAt: at,
    checkpointScn: firstScn,
    checkpointAt: at,
    stopScn: null,
    unrecoverableScn: null,
    unrecoverableAt: null,
    backup: null,
  }));
  database.control = {
    dbid,
    name,
    createdAt: at,
    type: 'CURRENT',
    logMode,
    sequence: 0,
    scn: firstScn,
    checkpointScn: firstScn,
    checkpointAt: at,
    incarnations: [{ number: 1, ...resetlogs, parent: null, status: 'CURRENT' }],
    current: 1,
    files,
    groups: groupsOf(settings.threads).map(({ group, thread, isFirst }) => ({
      group,
      thread,
      sequence: isFirst ? 1 : 0,
      members: [dataFolder, mirrorFolder].flatMap((folder) =>
        folder === undefined ? [] : [join(folder, `redo0${group}.log`)],
      ),
      archived: !isFirst,
      status: isFirst ? ('CURRENT' as const) : ('UNUSED' as const),
      firstScn: isFirst ? firstScn : 0n,
      firstAt: at,
      nextScn: null,
      nextAt: null,
    })),
    threads: Array.from({ length: settings.threads }, (_, index) => ({
      thread: index + 1,
      enabledFrom: firstScn,
      disabledFrom: null,
    })),
    archived: [],
    sets: [],
    copies: [],
    restorePoints: [],
    flashbackOn: false,
    lastRecid: 0,
    recoveredTo: null,
  };
  for (const known of files) writeDataFile(known.name, emptyFile(known, dbid, resetlogs));
  openFiles(database, new Map());
  for (const thread of enabledThreads(database.control)) writeOnlineLog(database, thread);
  saveControl(database);
  if (parameter(database, 'db_name') === undefined) database.parameters.set('db_name', name);
}

/** Three groups for each thread. */
function groupsOf(threads: number): { group: number; thread: number; isFirst: boolean }[] {
  return Array.from({ length: threads * 3 }, (_, index) => ({
    group: index + 1,
    thread: Math.trunc(index / 3) + 1,
    isFirst: index % 3 === 0,
  }));
}

function emptyFile(
  known: ControlDatafile,
  dbid: bigint,
  resetlogs: { resetlogsScn: bigint; resetlogsAt: number },
): DataFile {
  const { file, tablespace, creationScn, checkpointScn, checkpointAt } = known;
  return {
    header: {
      file,
      dbid,
      tablespace,
      creationScn,
      ...resetlogs,
      checkpointScn,
      checkpointAt,
      fuzzy: true,
      backupScn: null,
      absoluteFuzzyScn: 0n,
    },
    pages: new Map(),
  };
}
