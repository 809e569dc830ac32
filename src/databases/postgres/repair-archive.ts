import { readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { encodeDocument, readDocument } from '../../archive/document.ts';
import { archiveError, errorCode, syncFolder, writeDurably } from '../../archive/durable-file.ts';
import type { ArchiveHeader, BackupHeader } from '../../archive/format.ts';
import { backupHeaderSchema } from '../../archive/headers.ts';
import { readLogTrailer } from '../../archive/log-file.ts';
import { headerName, openArchive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import { readArchive, type ArchivePlaces } from './catalog.ts';
import { formatTimeline } from './lsn.ts';
import { formatHistory } from './rebuild-histories.ts';

/** A small file of an archive that everything else in it tells. */
export interface Repair {
  path: string;
  content: string;
  /** What it is made of, for people. */
  source: string;
}

const defaultSegmentBytes = 16 * 2 ** 20;

/**
 * What of an archive can be made again without another copy: its header, of the headers of its backups and the trailers of its
 * log, and lost .history files (docs/decisions/0190). The header first: without it nothing else is read, so after
 * its repair this is asked again. Throws `archiveDamaged` where backups of several databases lie there, or none reads.
 */
export async function planRepair(places: ArchivePlaces, signal: AbortSignal): Promise<Repair[]> {
  const dirs = [places.archiveDir, ...(places.mirrorDir === undefined ? [] : [places.mirrorDir])];
  const headers: Repair[] = [];
  for (const dir of dirs) if (await lacksHeader(dir)) headers.push(await rebuildHeader(dir, signal));
  if (headers.length > 0) return headers;
  const { folders, histories } = await readArchive(places, signal);
  return folders.flatMap((folder) => {
    const whole = new Set(
      folder.histories.flatMap(({ timeline, history }) => (history === null ? [] : [timeline])),
    );
    return histories
      .filter(({ timeline }) => !whole.has(timeline))
      .map((history) => ({
        path: join(folder.dir, 'log', `${formatTimeline(history.timeline)}.history`),
        content: formatHistory(history),
        source: 'what other .history files or the log itself say',
      }));
  });
}

/** Puts each file in its place; what was there before stays beside it under a hidden name. Can be repeated. */
export async function repair(repairs: readonly Repair[], now: Date): Promise<void> {
  for (const { path, content } of repairs) {
    const aside = join(dirname(path), `.${basename(path)}.damaged-${now.getTime()}`);
    await rename(path, aside).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw archiveError(error, path);
    });
    await writeDurably(path, content);
    await syncFolder(dirname(path));
  }
}

async function lacksHeader(dir: string): Promise<boolean> {
  return openArchive(dir).then(
    () => false,
    (error: unknown) => {
      if (error instanceof ClonaError && /^archive(?:Damaged|Missing)$/.test(error.kind)) return true;
      throw error;
    },
  );
}

async function rebuildHeader(dir: string, signal: AbortSignal): Promise<Repair> {
  const backups = await readBackupHeaders(dir, signal);
  const [first] = backups;
  const systems = new Set(backups.map(({ systemIdentifier }) => systemIdentifier));
  if (first === undefined || systems.size !== 1) {
    throw new ClonaError(
      first === undefined ? 'archiveMissing' : 'archiveDamaged',
      first === undefined
        ? `${dir} holds neither ${headerName} nor a backup whose header reads`
        : `${dir} holds backups of ${systems.size} databases (system identifiers ${[...systems].join(', ')})`,
      { hint: 'is the disk of the archive mounted? else name the mirror' },
    );
  }
  const header: ArchiveHeader = {
    format: 1,
    engine: 'postgres',
    database: first.database,
    systemIdentifier: first.systemIdentifier,
    segmentSizeBytes: (await findSegmentSize(dir, first.systemIdentifier)) ?? defaultSegmentBytes,
    createdAt: backups.map(({ startedAt }) => startedAt).sort()[0] ?? first.startedAt,
  };
  const content = encodeDocument(header);
  return {
    path: join(dir, headerName),
    content,
    source: `the headers of ${backups.length} backups and the log`,
  };
}

async function readBackupHeaders(dir: string, signal: AbortSignal): Promise<BackupHeader[]> {
  const found: BackupHeader[] = [];
  for (const name of await list(join(dir, 'backups'))) {
    signal.throwIfAborted();
    if (name.startsWith('.')) continue;
    const path = join(dir, 'backups', name, 'backup.json');
    const header = await readDocument(path, backupHeaderSchema).catch(() => undefined);
    if (header !== undefined) found.push(header);
  }
  return found;
}

async function findSegmentSize(dir: string, systemIdentifier: string): Promise<number | null> {
  for (const timeline of await list(join(dir, 'log'))) {
    if (!/^[0-9A-F]{8}$/.test(timeline)) continue;
    for (const name of await list(join(dir, 'log', timeline))) {
      if (!/^[0-9A-F]{24}\.zst$/.test(name)) continue;
      const trailer = await readLogTrailer(join(dir, 'log', timeline, name)).catch(() => null);
      if (trailer?.systemIdentifier === systemIdentifier) return trailer.rawBytes;
    }
  }
  return null;
}

async function list(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((): string[] => [])).sort();
}
