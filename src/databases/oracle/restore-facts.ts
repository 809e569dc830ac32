import type { PlanAnswer } from '../../recovery/answer.ts';
import type { Catalog, Incarnation } from '../../recovery/catalog.ts';
import type { ControlFileCatalog } from './catalog.ts';
import type { ZoneFacts } from './clock.ts';
import type { KeptLog } from './kept-logs.ts';
import { carriedParameters, type ControlFileRows } from './control-file.ts';

/** What a restore needs beside the catalog. It lies in the archive, for the day when the database is gone. */
export interface RestoreFacts {
  dbid: string;
  name: string;
  uniqueName: string;
  version: string;
  platform: string;
  cdb: boolean;
  compatible: string;
  /** Of the server's host: for UNTIL TIME. */
  zone: ZoneFacts;
  datafiles: {
    file: number;
    name: string;
    tablespace: string | null;
    bytes: number;
    /** CREATION_CHANGE#. */
    creation?: string | undefined;
  }[];
  /** Backups of the control file, rising by checkpoint; `branch`: the RESETLOGS SCN of their incarnation. */
  controlFiles: { handle: string; finishedAt: string | null; checkpoint: string; branch: string }[];
  /** Pieces and copies that each backup is read from, by label, what it stands on included. */
  pieces: Record<string, string[]>;
  /** Copies that RMAN did not make, by label: they are restored by copying them, and recovered by SQL*Plus. */
  copies?: Record<string, CopiedDatabase> | undefined;
  /** Archived logs in archive folders, by path. */
  keptLogs?: Record<string, KeptLog> | undefined;
  /** As V$VERSION says it: Enterprise Edition, Standard Edition 2 …; absent: not known. */
  edition?: string | undefined;
  /** NLS_CHARACTERSET; absent: not known. */
  characterSet?: string | undefined;
  /** Pluggable databases of a container database, its seed left out. */
  pdbs?: string[] | undefined;
  /** Of V$PARAMETER: what a clone may take over; absent: remembered before they were read. */
  parameters?: Record<string, string>;
  /** Groups of the online log: how many bytes a clone's own groups need. */
  onlineLogs: { group: number; thread: number; bytes: number }[];
}

/** Paths as the machine of the database sees them. */
export interface CopiedDatabase {
  files: { file: number; path: string; sha256?: string | undefined }[];
  controlFile: string | null;
  /** Folders of its archived logs. */
  logDirs: string[];
}

/** The edition in a line of V$VERSION. */
export function editionOf(banner: string): string | null {
  return (
    /\b(?:Enterprise|Standard|Express|Personal) Edition(?: (?:One|2|High Performance|Extreme Performance))?/.exec(
      banner,
    )?.[0] ?? null
  );
}

export function readRestoreFacts(
  rows: ControlFileRows,
  { entries, sets, clock }: ControlFileCatalog,
): RestoreFacts {
  const [database] = rows.database;
  const parameter = (name: string): string => rows.parameters.find((row) => row.name === name)?.value ?? '';
  const tablespaces = new Map(rows.datafileHeaders.map(({ file, tablespace }) => [file, tablespace]));
  const controlFiles = rows.backupDatafiles
    .filter(({ file }) => file === '0')
    .flatMap(({ setStamp, setCount, checkpoint, resetlogs }) => {
      const set = sets.get(`${setStamp ?? ''}.${setCount ?? ''}`);
      const [handle] = set?.handles ?? [];
      if (set?.state !== 'available' || handle === undefined) return [];
      const { finishedAt } = set;
      return [{ handle, finishedAt, checkpoint: checkpoint ?? '0', branch: resetlogs ?? '0' }];
    })
    .sort((a, b) => (BigInt(a.checkpoint) < BigInt(b.checkpoint) ? -1 : 1));
  return {
    dbid: database?.dbid ?? '',
    name: database?.name ?? '',
    uniqueName: database?.uniqueName ?? '',
    version: rows.instance[0]?.version ?? '',
    platform: database?.platform ?? '',
    cdb: database?.cdb === 'YES',
    compatible: parameter('compatible'),
    zone: clock.zone,
    edition: rows.versions.flatMap(({ banner }) => editionOf(banner ?? '') ?? [])[0],
    characterSet: rows.languages.find(({ name }) => name === 'NLS_CHARACTERSET')?.value ?? undefined,
    ...(database?.cdb === 'YES'
      ? { pdbs: rows.pluggables.flatMap(({ id, name }) => (name === null || Number(id) <= 2 ? [] : [name])) }
      : {}),
    parameters: Object.fromEntries(
      rows.parameters.flatMap(({ name, value }) =>
        name !== null && value !== null && carriedParameters.has(name) ? [[name, value]] : [],
      ),
    ),
    datafiles: rows.datafiles.map(({ file, name, bytes, creation }) => ({
      file: Number(file),
      name: name ?? '',
      tablespace: tablespaces.get(file) ?? null,
      bytes: Number(bytes ?? 0),
      creation: creation ?? undefined,
    })),
    controlFiles,
    pieces: Object.fromEntries(
      [...entries].map(([label, { parts }]) => [
        label,
        [...new Set(parts.flatMap(({ set, handles }) => [...(set?.handles ?? []), ...handles]))],
      ]),
    ),
    onlineLogs: rows.onlineLogs.map(({ group, thread, bytes }) => ({
      group: Number(group),
      thread: Number(thread),
      bytes: Number(bytes ?? 0),
    })),
  };
}

/**
 * The control file to restore with: of the way to the target, made after the backup was (so that it knows its pieces) and not
 * after the target (so that it knows no file of the future); else the nearest to that. Null: there is none, an export of its
 * definition (CREATE CONTROLFILE) is all that helps.
 */
export function chooseControlFile(
  { controlFiles }: RestoreFacts,
  { redoTo, backup }: Pick<PlanAnswer, 'redoTo' | 'backup'>,
  catalog: Catalog,
  path: readonly Incarnation[],
): string | null {
  const branches = new Set(path.map(({ branchPosition }) => branchPosition.toString()));
  const usable = controlFiles.filter(({ branch }) => branches.has(branch));
  const from = catalog.backups.find(({ label }) => label === backup)?.consistentFrom ?? 0n;
  const below = usable.filter(({ checkpoint }) => redoTo === null || BigInt(checkpoint) <= redoTo);
  const fitting = below.find(({ checkpoint }) => BigInt(checkpoint) >= from);
  return (fitting ?? below.at(-1) ?? usable[0])?.handle ?? null;
}
