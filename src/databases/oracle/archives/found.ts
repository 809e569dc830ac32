import type { Backup, Catalog } from '../../../recovery/catalog.ts';
import { asPosition, type Position } from '../../../recovery/position.ts';
import { instantOf, showInstant } from '../../../recovery/instant.ts';
import { readWallClock } from '../clock.ts';
import { describeExport, readClosingTime } from '../export-entry.ts';
import { toClonaError } from '../../../errors.ts';
import { findIncarnation, type KeptLog } from '../kept-logs.ts';
import type { CopiedDatabase, RestoreFacts } from '../restore-facts.ts';
import type { ArchiveSet, FoundLog } from './kinds.ts';

/** What lies in archive folders and the control file does not list: hot and cold copies, exports, and logs beside them. */
export interface FoundArchives {
  backups: { backup: Backup; pieces: string[]; copies?: CopiedDatabase }[];
  logs: KeptLog[];
  /** What is no archive, and why: a newer file whose log failed is not the newest archive. */
  passedOver: { name: string; reasons: string[] }[];
}

/** Judged by headers and logs alone, never by dates of files. Pure. */
export function describeFound(
  sets: readonly ArchiveSet[],
  catalog: Catalog,
  facts: RestoreFacts,
): FoundArchives {
  const found: FoundArchives = { backups: [], logs: [], passedOver: [] };
  const known = knownPaths(catalog, facts);
  const live = new Set(facts.datafiles.map(({ name }) => name));
  for (const set of sets) {
    if (set.kind === 'rman' || set.files.some((path) => live.has(path))) continue;
    const passOver = (reasons: readonly string[]): void =>
      void found.passedOver.push({ name: set.name, reasons: [...reasons] });
    if (set.files.length > 0 && set.files.every((path) => known.has(path))) continue;
    if (!set.usable) {
      passOver(set.reasons);
      continue;
    }
    const entry = set.copies === undefined ? exportOf(set, catalog, facts) : copyOf(set, catalog, facts);
    if (!Array.isArray(entry) && isKnownExport(entry, catalog, facts)) continue;
    if (Array.isArray(entry)) passOver(entry);
    else found.backups.push(withOwnLabel(entry, set, found.backups));
    if (set.copies === undefined || Array.isArray(entry)) continue;
    const own = catalog.incarnations.find(({ id }) => id === entry.backup.incarnation);
    if (own !== undefined) found.logs.push(...logsOf(set.copies.logs, own.branchPosition, facts));
  }
  return found;
}

/** Files of a backup that stands in the catalog with a known position: it is the same one. */
function knownPaths(catalog: Catalog, { pieces }: RestoreFacts): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const { label, consistentFrom } of catalog.backups) {
    if (consistentFrom !== null) for (const path of pieces[label] ?? []) paths.add(path);
  }
  return paths;
}

type Entry = FoundArchives['backups'][number];

/** One that was made or added under its server's paths: the same files by name, as of the same position. */
function isKnownExport({ backup, pieces }: Entry, { backups }: Catalog, facts: RestoreFacts): boolean {
  if (backup.kind !== 'export') return false;
  return backups.some(({ kind, label, consistentFrom }) => {
    if (kind !== 'export' || label === backup.label || consistentFrom !== backup.consistentFrom) return false;
    const names = new Set((facts.pieces[label] ?? []).map(bareName));
    return pieces.every((path) => names.has(bareName(path)));
  });
}

/** Jobs are named alike night after night, and two may end in the same second. */
function withOwnLabel(entry: Entry, { name }: ArchiveSet, others: readonly Entry[]): Entry {
  const { label } = entry.backup;
  if (others.every(({ backup }) => backup.label !== label)) return entry;
  return { ...entry, backup: { ...entry.backup, label: `${label}#${bareName(name)}` } };
}

function exportOf(
  { log, files, name, bytes = 0 }: ArchiveSet,
  catalog: Catalog,
  facts: RestoreFacts,
): Entry | string[] {
  if (log?.text === undefined) return ['its log was not read'];
  const closed = readClosingTime(log.text);
  const finishedMs = instantOf(readWallClock(facts.zone)(closed)) ?? log.modifiedMs ?? 0;
  try {
    const { backup, logIsOk } = describeExport(catalog, {
      log: log.text,
      finishedMs,
      dumpFiles: files,
      label: undefined,
    });
    return { backup: { ...backup, bytes, grade: logIsOk ? 2 : 0, device: folderOf(name) }, pieces: files };
  } catch (error) {
    return [toClonaError(error).message];
  }
}

function copyOf(set: ArchiveSet, catalog: Catalog, facts: RestoreFacts): Entry | string[] {
  const { files, logs, controlFile } = set.copies ?? { files: [], logs: [], controlFile: null };
  const headers = files.map(({ content }) => content);
  const [first] = headers;
  if (first === undefined) return ['it holds no datafile'];
  if (first.dbid !== facts.dbid) return [`it is of the database with DBID ${first.dbid}`];
  const checkpoints = headers.map(({ checkpoint }) => asPosition(BigInt(checkpoint)));
  const lowest = checkpoints.reduce((a, b) => (a < b ? a : b));
  const highest = checkpoints.reduce((a, b) => (a > b ? a : b));
  const absent = facts.datafiles.filter(
    ({ file, creation }) => !headers.some((header) => header.file === file) && BigInt(creation ?? 0) < lowest,
  );
  if (absent.length > 0) return [`it holds no copy of ${absent.map(({ name }) => name).join(', ')}`];
  const incarnation = findIncarnation(first.resetlogs, catalog);
  if (incarnation === null) return [`no incarnation is known that began at ${first.resetlogs}`];
  const own = logs.filter(({ content }) => content.resetlogs === first.resetlogs);
  const end = set.kind === 'cold' ? null : reachOf(own, lowest, catalog, incarnation);
  if (typeof end === 'string') return [end];
  // The copy itself does not say when its backup mode ended: whoever made it archived the log of that moment with it.
  const consistentFrom = end === null ? highest : end.next > highest ? end.next : highest;
  const wall = end === null ? newest(headers.map((header) => header.checkpointTime)) : end.nextTime;
  const backup: Backup = {
    label: `${set.kind}_${bareName(set.name)}@${(wall ?? String(consistentFrom)).replaceAll(/[-:]/g, '')}`,
    incarnation,
    kind: set.kind === 'cold' ? 'cold' : 'hot',
    start: lowest,
    consistentFrom,
    startedAt: null,
    finishedAt: readWallClock(facts.zone)(wall) ?? showInstant(0),
    device: set.name,
    state: 'available',
    ownLog: end !== null,
    grade: 0,
    pinned: false,
    bytes: set.bytes ?? null,
  };
  const logDirs = [...new Set(own.map(({ path }) => folderOf(path)))];
  const copies = {
    files: files.map(({ path, content }) => ({ file: content.file, path })),
    controlFile,
    logDirs,
  };
  const pieces = [...set.files, ...(controlFile === null ? [] : [controlFile])];
  return { backup, pieces, copies };
}

interface Reach {
  next: Position;
  nextTime: string | null;
}

/** How far the logs beside a hot backup lead from its start without a gap, in every thread that wrote then; else why not. */
function reachOf(
  logs: readonly FoundLog[],
  start: Position,
  catalog: Catalog,
  incarnation: number,
): Reach | string {
  const threads = new Set(
    catalog.logs
      .filter((log) => log.incarnation === incarnation && log.first <= start && log.next > start)
      .map(({ thread }) => thread),
  );
  for (const { content } of logs) threads.add(content.thread);
  let reach: Reach | null = null;
  for (const thread of threads) {
    const own = followLogs(
      logs.filter(({ content }) => content.thread === thread),
      start,
    );
    if (own === null) return `the logs beside it do not hold thread ${thread} from ${start} on`;
    if (reach === null || own.next < reach.next) reach = own;
  }
  return reach ?? 'there are no archived logs beside it that hold its redo';
}

function followLogs(logs: readonly FoundLog[], start: Position): Reach | null {
  let at = start;
  let reach: Reach | null = null;
  const rising = logs
    .map(({ content: { first, next, nextTime } }) => ({ first: BigInt(first), next, nextTime }))
    .sort((a, b) => (a.first < b.first ? -1 : 1));
  for (const { first, next, nextTime } of rising) {
    if (next === null || BigInt(next) <= at) continue;
    if (first > at) break;
    at = asPosition(BigInt(next));
    reach = { next: at, nextTime };
  }
  return reach;
}

/** Logs beside a copy: the catalog may not have them any more. */
function logsOf(logs: readonly FoundLog[], branch: Position, { zone }: RestoreFacts): KeptLog[] {
  const toInstant = readWallClock(zone);
  return logs.flatMap(({ path, content }) => {
    const { thread, sequence, first, next, resetlogs } = content;
    if (resetlogs !== String(branch) || next === null) return [];
    const [firstTime, nextTime] = [toInstant(content.firstTime), toInstant(content.nextTime)];
    return [
      { path, branch: resetlogs, thread, sequence, first, next, firstTime, nextTime, state: 'available' },
    ];
  });
}

function newest(times: readonly (string | null)[]): string | null {
  return times.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
}

function bareName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1).replaceAll(/[^\w.-]/g, '_');
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'))));
}
