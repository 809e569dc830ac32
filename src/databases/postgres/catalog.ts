import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import type { ArchiveHeader } from '../../archive/format.ts';
import { largestLogFileBytes, readRegular } from '../../archive/regular-file.ts';
import { ClonaError } from '../../errors.ts';
import type { ArchivedLog, Backup, Catalog } from '../../recovery/catalog.ts';
import { parsePosition, type Position } from '../../recovery/position.ts';
import { readArchiveFolder, type ArchiveFolder, type FoundBackup } from './catalog-files.ts';
import { readIncarnations } from './catalog-histories.ts';
import { segmentForms, type FoundSegment } from './catalog-log.ts';
import { withTimes } from './catalog-times.ts';
import { findLogEnd } from './log-records.ts';
import { segmentStart } from './lsn.ts';
import type { TimelineHistory } from './timeline.ts';

const decompress = promisify(zstdDecompress);

export interface ArchivePlaces {
  archiveDir: string;
  mirrorDir?: string | undefined;
}

/** The catalog of an archive and what lies behind each of its records. */
export interface ArchiveCatalog {
  header: ArchiveHeader;
  catalog: Catalog;
  /** Primary first. One folder where the other is missing or not given. */
  folders: ArchiveFolder[];
  /** Of every timeline whose origin is known, whole or made again. */
  histories: TimelineHistory[];
  /** One sentence each, for people. */
  warnings: string[];
}

/**
 * Makes the catalog from the files of an archive alone (and of its mirror: what is damaged or missing in one is
 * available when the other has it). Which incarnation is CURRENT only a live server can say (`addLiveFacts`); from
 * files it is the highest timeline, as recovery_target_timeline = latest reads them (docs/decisions/0031).
 * Throws `archiveAbsent`, `archiveDamaged`, `archiveForeign`.
 */
export async function readArchive(places: ArchivePlaces, signal: AbortSignal): Promise<ArchiveCatalog> {
  const { folders, warnings } = await readFolders(places, signal);
  const header = folders[0]!.header; // readFolders gives at least one
  for (const folder of folders)
    warnings.push(...folder.warnings.map((line) => inFolder(folder, folders, line)));
  const backups = chooseBackups(folders);
  const segments = chooseSegments(folders);
  const seen = new Set([...backups.map(timelineOf), ...segments.map(({ timeline }) => timeline)]);
  const found = await readIncarnations(
    folders,
    segments,
    [...seen].filter((timeline) => timeline !== null),
    signal,
  );
  warnings.push(...found.warnings);
  const { incarnations, histories } = found;
  const current = incarnations.at(-1)?.id;
  if (current === undefined) throw emptyArchive(places.archiveDir);
  const catalog: Catalog = {
    engine: 'postgres',
    database: header.database,
    currentIncarnation: current,
    incarnations,
    backups: backups.flatMap(toBackup),
    logs: withTimes(await Promise.all(segments.map(async (found) => toLog(found, header))), segments),
    onlineLogs: [],
  };
  return { header, catalog, folders, histories, warnings };
}

/** The catalog alone. */
export async function readArchiveCatalog(
  archiveDir: string,
  signal: AbortSignal,
  mirrorDir?: string,
): Promise<Catalog> {
  return (await readArchive({ archiveDir, mirrorDir }, signal)).catalog;
}

async function readFolders(
  { archiveDir, mirrorDir }: ArchivePlaces,
  signal: AbortSignal,
): Promise<{ folders: ArchiveFolder[]; warnings: string[] }> {
  const dirs = mirrorDir === undefined ? [archiveDir] : [archiveDir, mirrorDir];
  const read = await Promise.allSettled(dirs.map(async (dir) => readArchiveFolder(dir, signal)));
  signal.throwIfAborted();
  const folders = read.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failures = read.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  const [first, second] = folders;
  if (first === undefined) throw asAbsent(failures[0]);
  if (second !== undefined && second.header.systemIdentifier !== first.header.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `${second.dir} is of system ${second.header.systemIdentifier}, ${first.dir} of ${first.header.systemIdentifier}`,
      { hint: 'the mirror belongs to another database' },
    );
  }
  return {
    folders,
    warnings: failures.map((error) => (error instanceof Error ? error.message : String(error))),
  };
}

/** To restore from, an archive that is not there reaches nothing: that is no failure of this machine. */
export function asAbsent(error: unknown): unknown {
  if (!(error instanceof ClonaError) || error.kind !== 'archiveMissing') return error;
  const { message, hint, details } = error;
  // A disk that went away meanwhile is a failure of this machine (exit 6).
  if (details?.['vanished'] === true) return error;
  return new ClonaError('archiveAbsent', message, { cause: error.cause, hint, details });
}

function inFolder(folder: ArchiveFolder, folders: readonly ArchiveFolder[], line: string): string {
  return folders.length > 1 ? `${folder.dir}: ${line}` : line;
}

/** A pin in one place keeps the copies in both; grades whose record is damaged here are known from the other place. */
function chooseBackups(folders: readonly ArchiveFolder[]): FoundBackup[] {
  const all = folders.flatMap((folder) => folder.backups);
  const pinned = new Set(all.filter((backup) => backup.pinned).map(({ label }) => label));
  return chooseBest(
    all,
    ({ label }) => label,
    ({ state }) => state === 'available',
  ).map((backup) => ({ ...backup, pinned: pinned.has(backup.label), grade: gradeOf(backup, all) }));
}

function gradeOf({ label, grade, gradeProblem }: FoundBackup, all: readonly FoundBackup[]): number | null {
  if (gradeProblem === null) return grade;
  return all.find((other) => other.label === label && other.gradeProblem === null)?.grade ?? null;
}

/** A whole segment hides the unfinished one of the same name, and both what was streamed. */
function chooseSegments(folders: readonly ArchiveFolder[]): FoundSegment[] {
  const all = folders.flatMap((folder) => folder.segments);
  const best = chooseBest(
    segmentForms.flatMap((form) => all.filter((segment) => segment.form === form)),
    ({ timeline, number }) => `${timeline}/${number}`,
    ({ state }) => state === 'available',
  );
  return best.sort((a, b) => a.timeline - b.timeline || a.number - b.number);
}

/** The first good one under each key, else the first. */
function chooseBest<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => unknown,
  isGood: (item: Item) => boolean,
): Item[] {
  const chosen = new Map<unknown, Item>();
  for (const item of items) {
    const before = chosen.get(keyOf(item));
    if (before === undefined || (!isGood(before) && isGood(item))) chosen.set(keyOf(item), item);
  }
  return [...chosen.values()];
}

function emptyArchive(dir: string): ClonaError {
  return new ClonaError('archiveAbsent', `the archive in ${dir} holds neither a backup nor log`, {
    hint: 'was a backup ever taken, or is this the wrong folder?',
    details: { archive: dir },
  });
}

function timelineOf({ header, manifest }: FoundBackup): number | null {
  return header?.timeline ?? manifest?.logRanges.at(-1)?.timeline ?? null;
}

function toBackup(found: FoundBackup): Backup[] {
  const { header, manifest, label, state, grade, pinned } = found;
  if (header !== null) {
    const { timeline, kind, start, consistentFrom, startedAt, finishedAt, device, ownLog, compressedBytes } =
      header;
    return [
      {
        label,
        incarnation: timeline,
        kind,
        start: parsePosition(start, label),
        consistentFrom: parsePosition(consistentFrom, label),
        startedAt,
        finishedAt,
        device,
        state,
        ownLog,
        grade,
        pinned,
        bytes: compressedBytes,
      },
    ];
  }
  const range = manifest?.logRanges.at(-1);
  if (range === undefined) return [];
  const { timeline, start, end } = range;
  return [
    {
      label,
      incarnation: timeline,
      kind: 'managed',
      start,
      consistentFrom: end,
      startedAt: null,
      finishedAt: null,
      device: null,
      state,
      ownLog: false,
      grade,
      pinned,
      bytes: null,
    },
  ];
}

async function toLog(found: FoundSegment, header: ArchiveHeader): Promise<ArchivedLog> {
  const { timeline, number, state } = found;
  const first = segmentStart(number, header.segmentSizeBytes);
  const whole = (first + BigInt(header.segmentSizeBytes)) as Position;
  let next = found.bytes === null ? whole : ((first + BigInt(found.bytes)) as Position);
  if (found.form === 'partial' && state === 'available') next = (await endOfPartial(found.path)) ?? whole;
  return {
    incarnation: timeline,
    thread: 1,
    sequence: number,
    first,
    next,
    firstTime: null,
    nextTime: null,
    state,
  };
}

async function endOfPartial(path: string): Promise<Position | null> {
  try {
    return findLogEnd(
      await decompress(await readRegular(path, { maxBytes: largestLogFileBytes })),
    ) as Position | null;
  } catch {
    // Damage inside a segment is found by the proof and by the restore that reads it.
    return null;
  }
}
