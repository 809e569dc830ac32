import type { ControlFileCatalog } from './catalog.ts';
import type { ControlFileRows } from './control-file.ts';

/** What a restore needs beside the catalog. It lies in the archive, for the day when the database is gone. */
export interface RestoreFacts {
  dbid: string;
  name: string;
  uniqueName: string;
  version: string;
  platform: string;
  cdb: boolean;
  compatible: string;
  datafiles: { file: number; name: string; tablespace: string | null; bytes: number }[];
  /** Backups of the control file, newest last. */
  controlFiles: { handle: string; finishedAt: string | null; checkpoint: string }[];
  /** Pieces and copies that each backup is read from, by label, what it stands on included. */
  pieces: Record<string, string[]>;
  /** Groups of the online log: how many bytes a clone's own groups need. */
  onlineLogs: { group: number; thread: number; bytes: number }[];
}

export function readRestoreFacts(rows: ControlFileRows, { entries, sets }: ControlFileCatalog): RestoreFacts {
  const [database] = rows.database;
  const parameter = (name: string): string => rows.parameters.find((row) => row.name === name)?.value ?? '';
  const tablespaces = new Map(rows.datafileHeaders.map(({ file, tablespace }) => [file, tablespace]));
  const controlFiles = rows.backupDatafiles
    .filter(({ file }) => file === '0')
    .flatMap(({ setStamp, setCount, checkpoint }) => {
      const set = sets.get(`${setStamp ?? ''}.${setCount ?? ''}`);
      const [handle] = set?.handles ?? [];
      if (set?.state !== 'available' || handle === undefined) return [];
      return [{ handle, finishedAt: set.finishedAt, checkpoint: checkpoint ?? '0' }];
    })
    .sort((a, b) => Number(BigInt(a.checkpoint) - BigInt(b.checkpoint)));
  return {
    dbid: database?.dbid ?? '',
    name: database?.name ?? '',
    uniqueName: database?.uniqueName ?? '',
    version: rows.instance[0]?.version ?? '',
    platform: database?.platform ?? '',
    cdb: database?.cdb === 'YES',
    compatible: parameter('compatible'),
    datafiles: rows.datafiles.map(({ file, name, bytes }) => ({
      file: Number(file),
      name: name ?? '',
      tablespace: tablespaces.get(file) ?? null,
      bytes: Number(bytes ?? 0),
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
