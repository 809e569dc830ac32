import {
  controlFileViews,
  type ControlFileRows,
  type RowOf,
  type ViewName,
} from '../../src/databases/oracle/control-file.ts';

/** Rows of the control file for pure tests: what a test does not say is null. Nothing of it came from a real server. */
export function emptyRows(): ControlFileRows {
  const rows = Object.fromEntries(Object.keys(controlFileViews).map((name) => [name, []]));
  return rows as unknown as ControlFileRows; // one list for each view
}

export function addRow<Name extends ViewName>(
  rows: ControlFileRows,
  name: Name,
  values: Partial<RowOf<Name>>,
): void {
  const nulls = Object.fromEntries(
    Object.keys(controlFileViews[name].columns).map((column) => [column, null]),
  );
  (rows[name] as RowOf<Name>[]).push({ ...(nulls as RowOf<Name>), ...values });
}

/** Positions of the worked example of docs/recovery-theory.md are SCNs; its times are on one day. */
export const at = (time: string): string => `2017-03-08T${time}:00`;

/** One database, open, on incarnation 1 from position 1, thread 1, two datafiles; current SCN 1000. */
export function openDatabase(): ControlFileRows {
  const rows = emptyRows();
  addRow(rows, 'clock', { local: at('20:00'), utc: at('20:00'), zone: '+00:00' });
  addRow(rows, 'database', {
    dbid: '1234567890',
    name: 'ERP',
    uniqueName: 'ERP',
    resetlogs: '1',
    resetlogsTime: at('01:00'),
    logMode: 'ARCHIVELOG',
    openMode: 'READ WRITE',
    role: 'PRIMARY',
    checkpoint: '990',
    currentScn: '1000',
    cdb: 'NO',
  });
  addRow(rows, 'incarnations', {
    id: '1',
    resetlogs: '1',
    resetlogsTime: at('01:00'),
    priorResetlogs: '0',
    status: 'CURRENT',
    prior: '0',
  });
  addRow(rows, 'threads', { thread: '1', status: 'OPEN', enabled: 'PUBLIC', checkpoint: '990' });
  addFile(rows, '1', '5');
  addFile(rows, '2', '6');
  return rows;
}

export function addFile(
  rows: ControlFileRows,
  file: string,
  creation: string,
  values: Partial<RowOf<'datafiles'>> = {},
): void {
  addRow(rows, 'datafiles', {
    file,
    creation,
    name: `/u01/erp/file${file}.dbf`,
    status: file === '1' ? 'SYSTEM' : 'ONLINE',
    enabled: 'READ WRITE',
    checkpoint: '990',
    offlineFrom: '0',
    onlineFrom: '0',
    unrecoverable: '0',
    bytes: '1048576',
    container: '0',
    ...values,
  });
}

let stamp = 1000;

export interface SetOptions {
  tag: string;
  files: {
    file: string;
    creation?: string;
    checkpoint: string;
    fuzzy?: string;
    level?: string;
    from?: string;
    corrupt?: string;
  }[];
  started?: string;
  finished?: string;
  resetlogs?: [string, string];
  /** Statuses of its pieces; default one that is available. */
  pieces?: string[];
  job?: string;
  keep?: string;
  logs?: { thread?: string; sequence: string; first: string; next: string }[];
  folder?: string;
}

/** A backup set as V$BACKUP_SET, V$BACKUP_PIECE, V$BACKUP_DATAFILE and V$BACKUP_REDOLOG show it. */
export function addSet(rows: ControlFileRows, options: SetOptions): void {
  stamp += 1;
  const set = { setStamp: String(stamp), setCount: String(stamp) };
  const { tag, files, started = at('10:00'), finished = at('10:10'), folder = '/backup' } = options;
  const [resetlogs, resetlogsTime] = options.resetlogs ?? ['1', at('01:00')];
  const pieces = options.pieces ?? ['A'];
  addRow(rows, 'backupSets', {
    ...set,
    type: options.logs === undefined ? 'D' : 'L',
    pieces: String(pieces.length),
    started,
    finished,
    keep: options.keep ?? 'NO',
  });
  for (const [index, status] of pieces.entries()) {
    addRow(rows, 'backupPieces', {
      ...set,
      piece: String(index + 1),
      copy: '1',
      device: 'DISK',
      handle: `${folder}/${stamp}_${index + 1}.bkp`,
      tag,
      status,
      deleted: status === 'D' ? 'YES' : 'NO',
      bytes: '4096',
      jobRecid: options.job ?? null,
      jobStamp: options.job ?? null,
    });
  }
  for (const one of files) {
    addRow(rows, 'backupDatafiles', {
      ...set,
      file: one.file,
      creation: one.creation ?? (one.file === '1' ? '5' : '6'),
      resetlogs,
      resetlogsTime,
      level: one.level ?? null,
      incrementalFrom: one.from ?? '0',
      checkpoint: one.checkpoint,
      fuzzy: one.fuzzy ?? '0',
      markedCorrupt: one.corrupt ?? '0',
      mediaCorrupt: '0',
      logicallyCorrupt: '0',
      finished,
    });
  }
  for (const { thread = '1', sequence, first, next } of options.logs ?? []) {
    addRow(rows, 'backupLogs', { ...set, thread, sequence, resetlogs, resetlogsTime, first, next });
  }
}

export function addLog(
  rows: ControlFileRows,
  [thread, sequence, first, next]: [string, string, string, string],
  values: Partial<RowOf<'archivedLogs'>> = {},
): void {
  addRow(rows, 'archivedLogs', {
    thread,
    sequence,
    destination: '1',
    name: `/arch/1_${sequence}.arc`,
    resetlogs: '1',
    resetlogsTime: at('01:00'),
    first,
    firstTime: at('09:00'),
    next,
    nextTime: at('10:00'),
    standby: 'NO',
    archived: 'YES',
    deleted: 'NO',
    status: 'A',
    ...values,
  });
}

/** The same rows for the simulated server, by column; dates as wall clock text. DUAL shows the simulator's own clock. */
export function asViews(rows: ControlFileRows): Record<string, Record<string, string | null>[]> {
  const views: Record<string, Record<string, string | null>[]> = {};
  for (const name of Object.keys(controlFileViews) as ViewName[]) {
    const { from, columns } = controlFileViews[name];
    if (from === 'DUAL') continue;
    views[from] = rows[name].map((row) =>
      Object.fromEntries(
        Object.entries(columns).map(([key, column]) => {
          const date = /^TO_CHAR\(([^,]+),/.exec(column)?.[1];
          const value = (row as Record<string, string | null>)[key] ?? null;
          return [date ?? column, date === undefined ? value : (value?.replace('T', ' ') ?? null)];
        }),
      ),
    );
  }
  return views;
}
