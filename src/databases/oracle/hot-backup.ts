import { ClonaError } from '../../errors.ts';
import { withProgress, type OnProgress } from '../../progress.ts';
import type { Backup } from '../../recovery/catalog.ts';
import { lower, type Position } from '../../recovery/position.ts';
import { readActive, type BackupModeMark } from './backup-mode.ts';
import type { OracleSession } from './connect.ts';
import { quoteName, quoteSqlText } from './rman-text.ts';
import { after, readScn } from './values.ts';

export interface DatafileToCopy {
  file: string;
  name: string;
  tablespace: string;
  bytes: number;
}

export interface MadeCopy {
  path: string;
  bytes: number;
  /** SHA-256 of the copy; undefined: nobody took it. */
  sha256?: string | undefined;
}

/** What a hot backup needs of the world around it. */
export interface HotBackupPorts {
  /** A session that no interruption of the run ends: BEGIN and END BACKUP go through it. Asked again when one breaks. */
  open: () => Promise<OracleSession>;
  /** Copies one file on the server's host to its place in the archive; gives the place. */
  copy: (file: DatafileToCopy, signal: AbortSignal) => Promise<MadeCopy>;
  /** Where `copy` puts a whole copy; until it is whole there is nothing there. */
  placeOf?: (file: DatafileToCopy) => string;
  /** Device and inode of a file on the server's host; null: it cannot be seen. */
  identify: (name: string) => Promise<string | null>;
  /** Keeps the mark durably; null removes it. */
  mark: (mark: BackupModeMark | null) => Promise<void>;
}

export interface HotBackupOptions {
  label: string;
  /** As the catalog numbers it. */
  incarnation: number;
  /** On the server: where BACKUP CONTROLFILE writes. */
  controlFileCopy?: string | undefined;
  device: string | null;
  signal: AbortSignal;
  onProgress: OnProgress;
  now: () => Date;
}

export interface HotBackup {
  backup: Backup;
  files: (DatafileToCopy & MadeCopy)[];
  /** Redo that the whole instance wrote meanwhile; null: V$SYSSTAT may not be read. */
  redoBytes: number | null;
}

/**
 * Copies the datafiles of an open database, tablespace by tablespace, each in backup mode only while it is copied. END BACKUP
 * is guaranteed: after a failed copy, an interruption or a broken session it is done, on a new session if need be; when
 * the server itself is gone, the mark lets `cureBackupMode` do it at the next start. The entry's consistentFrom lies past the
 * last END BACKUP record, and the log up to there is archived before it is given.
 */
export async function takeHotBackup(ports: HotBackupPorts, options: HotBackupOptions): Promise<HotBackup> {
  const { signal, onProgress, now } = options;
  await using keeper = createKeeper(ports.open);
  const startedAt = now().toISOString();
  const { dbid, tablespaces } = await readTablespaces(await keeper.session());
  const redoBefore = await readRedoSize(await keeper.session());
  const mark: BackupModeMark = { dbid, startedAt, files: [] };
  const copied: HotBackup['files'] = [];
  let start: Position | null = null;
  for (const tablespace of tablespaces) {
    signal.throwIfAborted();
    const began = await withProgress(onProgress, `hot backup: ${tablespace.name}`, async () =>
      copyTablespace(tablespace, { ports, keeper, mark, signal, copied }),
    );
    if (began !== null) start = start === null ? began : lower(start, began);
  }
  const session = await keeper.session();
  const consistentFrom = after(await readCurrentScn(session));
  await session.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  if (options.controlFileCopy !== undefined) {
    const path = quoteSqlText(options.controlFileCopy, 'the copy of the control file');
    await session.execute(`ALTER DATABASE BACKUP CONTROLFILE TO ${path} REUSE`);
  }
  await ports.mark(null);
  const redoAfter = await readRedoSize(session);
  const backup: Backup = {
    label: options.label,
    incarnation: options.incarnation,
    kind: 'hot',
    start: start ?? consistentFrom,
    consistentFrom,
    startedAt,
    finishedAt: now().toISOString(),
    device: options.device,
    state: 'available',
    ownLog: false,
    grade: null,
    pinned: false,
    bytes: copied.reduce((sum, { bytes }) => sum + bytes, 0),
  };
  return {
    backup,
    files: copied,
    redoBytes: redoBefore === null || redoAfter === null ? null : redoAfter - redoBefore,
  };
}

interface Tablespace {
  name: string;
  /** Nothing writes to it: it is copied as it is (BEGIN BACKUP would be refused, ORA-01642). */
  rests: boolean;
  files: DatafileToCopy[];
}

interface Copying {
  ports: HotBackupPorts;
  keeper: Keeper;
  mark: BackupModeMark;
  signal: AbortSignal;
  copied: HotBackup['files'];
}

/** The frozen checkpoint of its files; null for one that rests and needs no redo. */
async function copyTablespace(
  { name, rests, files }: Tablespace,
  copying: Copying,
): Promise<Position | null> {
  if (rests) {
    await copyFiles(files, copying);
    return null;
  }
  const { ports, keeper, mark } = copying;
  for (const one of files) {
    const identity = await ports.identify(one.name);
    const copyPath = ports.placeOf?.(one);
    mark.files.push({ file: one.file, name: one.name, identity, copied: false, copyPath });
  }
  // Before BEGIN BACKUP: what a crash leaves behind must be known as ours.
  await ports.mark(mark);
  const quoted = quoteName(name, 'a tablespace');
  try {
    const session = await keeper.session();
    await session.execute(`ALTER TABLESPACE ${quoted} BEGIN BACKUP`);
    const active = await readActive(session);
    const begun = files.map(({ file }) => active.find((one) => one.file === file)?.change ?? null);
    await copyFiles(files, copying);
    return begun.map((change) => readScn(change, 'V$BACKUP.CHANGE#')).reduce(lower);
  } finally {
    await endBackup(name, files, keeper);
  }
}

async function copyFiles(
  files: readonly DatafileToCopy[],
  { ports, mark, signal, copied }: Copying,
): Promise<void> {
  for (const one of files) {
    signal.throwIfAborted();
    copied.push({ ...one, ...(await ports.copy(one, signal)) });
    const marked = mark.files.find(({ file }) => file === one.file);
    if (marked === undefined) continue;
    marked.copied = true;
    await ports.mark(mark);
  }
}

/** ORA-01142: none of its files is in backup mode; ORA-01146 and others are errors. A broken session is replaced once. */
async function endBackup(name: string, files: readonly DatafileToCopy[], keeper: Keeper): Promise<void> {
  const statement = `ALTER TABLESPACE ${quoteName(name, 'a tablespace')} END BACKUP`;
  let failure: unknown;
  for (const renew of [false, true]) {
    try {
      const session = renew ? await keeper.renew() : await keeper.session();
      const active = await readActive(session);
      if (!files.some(({ file }) => active.some((one) => one.file === file))) return;
      await session.execute(statement);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw new ClonaError(
    'databaseFailed',
    `tablespace ${name} is left in backup mode: the server cannot be told to end it`,
    {
      cause: failure,
      hint: 'clona ends it at its next start (END BACKUP, never a restore); by hand: ALTER DATABASE END BACKUP',
      details: { tablespace: name },
    },
  );
}

interface Keeper extends AsyncDisposable {
  session: () => Promise<OracleSession>;
  renew: () => Promise<OracleSession>;
}

function createKeeper(open: HotBackupPorts['open']): Keeper {
  let current: OracleSession | undefined;
  const close = async (): Promise<void> => {
    await current?.[Symbol.asyncDispose]();
    current = undefined;
  };
  const session = async (): Promise<OracleSession> => (current ??= await open());
  return {
    session,
    renew: async () => {
      await close();
      return session();
    },
    [Symbol.asyncDispose]: close,
  };
}

async function readTablespaces(session: OracleSession): Promise<{ dbid: string; tablespaces: Tablespace[] }> {
  const [[dbid = null, logMode = null, cdb = null] = []] = await session.query(
    'SELECT DBID, LOG_MODE, CDB FROM V$DATABASE',
  );
  if (logMode !== 'ARCHIVELOG') {
    throw new ClonaError(
      'serverUnfit',
      'the database is in NOARCHIVELOG mode: it cannot be backed up while it is open',
      {
        hint: 'ALTER DATABASE ARCHIVELOG in mount state, or back it up after a clean shutdown',
      },
    );
  }
  if (cdb === 'YES') {
    throw new ClonaError('serverUnfit', 'a container database is not backed up tablespace by tablespace', {
      hint: 'use RMAN: BACKUP DATABASE PLUS ARCHIVELOG in the root',
    });
  }
  const active = await readActive(session);
  if (active.length > 0) {
    throw new ClonaError('recoveryFailed', `${active.length} datafiles are in backup mode already`, {
      hint: 'another backup runs, or one was broken off: clona doctor says since when',
    });
  }
  const rows = await session.query(
    `SELECT d.FILE#, d.NAME, h.TABLESPACE_NAME, d.BYTES, d.ENABLED, d.STATUS FROM V$DATAFILE d
     JOIN V$DATAFILE_HEADER h ON h.FILE# = d.FILE# ORDER BY d.FILE#`,
  );
  const found = new Map<string, Tablespace>();
  for (const [file, name, tablespace, bytes, enabled, status] of rows) {
    const key = tablespace ?? '';
    const one = found.get(key) ?? {
      name: key,
      rests: enabled === 'READ ONLY' || status === 'OFFLINE',
      files: [],
    };
    one.files.push({ file: file ?? '', name: name ?? '', tablespace: key, bytes: Number(bytes ?? 0) });
    found.set(key, one);
  }
  return { dbid: dbid ?? '', tablespaces: [...found.values()] };
}

async function readCurrentScn(session: OracleSession): Promise<Position> {
  const [[scn = null] = []] = await session.query('SELECT CURRENT_SCN FROM V$DATABASE');
  return readScn(scn, 'V$DATABASE.CURRENT_SCN');
}

async function readRedoSize(session: OracleSession): Promise<number | null> {
  const rows = await session.query("SELECT VALUE FROM V$SYSSTAT WHERE NAME = 'redo size'").catch(() => []);
  return rows[0]?.[0] === undefined ? null : Number(rows[0][0]);
}
