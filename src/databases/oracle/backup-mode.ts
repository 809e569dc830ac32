import { ClonaError } from '../../errors.ts';
import type { OracleSql } from './connect.ts';
import { quoteName } from './rman-text.ts';

/** What clona writes down, durably, before it sets the first tablespace in backup mode, and removes after the last. */
export interface BackupModeMark {
  dbid: string;
  startedAt: string;
  files: MarkedFile[];
}

export interface MarkedFile {
  file: string;
  name: string;
  /** Device and inode (or file index) of the original. */
  identity: string | null;
  /** A whole copy of it was made: from now on another file could be in its place. */
  copied: boolean;
  /** Where that copy will be, once it is whole: a kill in between must not leave it unknown. */
  copyPath?: string | undefined;
}

/** A datafile in backup mode, as the server shows it. */
export interface ActiveFile {
  file: string;
  name: string;
  tablespace: string;
  /** Its checkpoint SCN is frozen there. */
  change: string;
}

export type Cure =
  | { kind: 'nothing' }
  | { kind: 'end'; statements: string[]; files: ActiveFile[] }
  | { kind: 'refuse'; reasons: string[] };

/** On a database that is not open. */
export const endOfAll = 'ALTER DATABASE END BACKUP';

/**
 * R8. What to do about files that are in backup mode when nobody backs up. The cure is END BACKUP, never a restore; but on
 * files that were restored END BACKUP would leave fractured blocks behind, so that they must be proven to be the originals: an
 * instance that has them open for writing has its own; after a crash they must be the files that the mark names, by device
 * and inode, and no whole copy of them may have been made that could now be in their place.
 */
export function decideCure(
  active: readonly ActiveFile[],
  openMode: string | null,
  dbid: string,
  mark: BackupModeMark | null,
  identityNow: (name: string) => string | null,
): Cure {
  if (active.length === 0) return { kind: 'nothing' };
  const marked = new Map(mark?.dbid === dbid ? mark.files.map((one) => [one.file, one]) : []);
  const files = active.filter(({ file }) => marked.has(file));
  if (openMode === 'READ WRITE') {
    // What somebody else set in backup mode is his: his backup may be running.
    const tablespaces = [...new Set(files.map(({ tablespace }) => tablespace))];
    const end = (name: string): string => `ALTER TABLESPACE ${quoteName(name, 'a tablespace')} END BACKUP`;
    return files.length === 0
      ? { kind: 'nothing' }
      : { kind: 'end', statements: tablespaces.map(end), files };
  }
  const reasons = active.flatMap(({ file, name }) => {
    const known = marked.get(file);
    return known === undefined
      ? [`clona did not set ${name} in backup mode: somebody else did`]
      : doubt(known, name, identityNow(name));
  });
  if (reasons.length > 0) return { kind: 'refuse', reasons };
  return { kind: 'end', statements: [endOfAll], files };
}

function doubt({ identity, copied }: MarkedFile, name: string, now: string | null): string[] {
  if (identity === null || now === null) return [`what ${name} is now cannot be seen`];
  if (identity !== now) return [`${name} is another file than the one that was set in backup mode`];
  return copied ? [`${name} had been copied: whether the copy is in its place now cannot be told`] : [];
}

/**
 * At every start, before a backup and before a database is declared lost. `identify` looks at the file on the server's host.
 * Throws `recoveryFailed` when the files are not proven to be the originals: then a DBA has to look.
 */
export async function cureBackupMode(
  session: OracleSql,
  mark: BackupModeMark | null,
  identify: (name: string) => Promise<string | null>,
): Promise<Cure> {
  const lookForCopy = async (file: MarkedFile): Promise<MarkedFile> =>
    file.copied || file.copyPath === undefined
      ? file
      : { ...file, copied: (await identify(file.copyPath)) !== null };
  const active = await readActive(session);
  const [[openMode = null, dbid = null] = []] = await session.query('SELECT OPEN_MODE, DBID FROM V$DATABASE');
  const identities = new Map<string, string | null>();
  for (const { name } of active) identities.set(name, await identify(name));
  const seen = mark === null ? null : { ...mark, files: await Promise.all(mark.files.map(lookForCopy)) };
  const cure = decideCure(active, openMode, dbid ?? '', seen, (name) => identities.get(name) ?? null);
  if (cure.kind === 'refuse') {
    throw new ClonaError(
      'recoveryFailed',
      `datafiles are in backup mode, and clona may not end it: ${cure.reasons.join('; ')}`,
      {
        hint: 'if they are the original files: ALTER DATABASE END BACKUP, then open; if they were restored: recover them, never END BACKUP',
        details: { files: active.map(({ name }) => name) },
      },
    );
  }
  if (cure.kind === 'end') for (const statement of cure.statements) await session.execute(statement);
  return cure;
}

export async function readActive(session: OracleSql): Promise<ActiveFile[]> {
  const rows = await session.query(
    `SELECT b.FILE#, d.NAME, h.TABLESPACE_NAME, b.CHANGE# FROM V$BACKUP b
     JOIN V$DATAFILE d ON d.FILE# = b.FILE# JOIN V$DATAFILE_HEADER h ON h.FILE# = b.FILE#
     WHERE b.STATUS = 'ACTIVE' ORDER BY b.FILE#`,
  );
  return rows.map(([file, name, tablespace, change]) => ({
    file: file ?? '',
    name: name ?? '',
    tablespace: tablespace ?? '',
    change: change ?? '0',
  }));
}
