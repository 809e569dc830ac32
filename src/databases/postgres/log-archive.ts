import { readdir, unlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { errorCode, syncFolder } from '../../archive/durable-file.ts';
import { locateLogFile } from '../../archive/log-file.ts';
import { openArchive, type Archive } from '../../archive/repository.ts';
import { besideModule, openThreadPool, type ThreadPool } from '../../archive/thread-pool.ts';
import { ClonaError } from '../../errors.ts';
import { silent, type OnProgress } from '../../progress.ts';
import type { Position } from '../../recovery/position.ts';
import type { Connection } from './connect.ts';
import type { StoreJob } from './log-archive-store.ts';
import type { PlainError, WorkerAnswer } from './log-archive-worker.ts';
import { moveSlot } from './log-slot-move.ts';

export interface DrainOptions {
  /** Where the server's basic_archive puts segments. */
  spoolDir: string;
  archive: Archive;
  /** R14: a second one on another device. undefined only where the site accepts that. */
  mirror: Archive | undefined;
  /** The server's slot, moved on when a segment is in both. undefined: no slot is used. */
  slot?: { session: Connection; name: string } | undefined;
  /** zstd level. Default 3. */
  level?: number | undefined;
  now: () => Date;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

export interface DrainResult {
  /** Names now in every archive and gone from the spool. */
  archived: string[];
  rawBytes: number;
  compressedBytes: number;
  /** What must be looked at; the files it is about stay in the spool and are tried again. */
  problems: ClonaError[];
  /** The slot now stands here; undefined: no slot, or it did not move. */
  slotPosition: Position | undefined;
}

/** Threads kept between drains, and which folder has which file already. */
export interface Drainer extends AsyncDisposable {
  drain: () => Promise<DrainResult>;
}

/** Segments in memory at once at most, in bytes: raw, packed and unpacked again. */
const memoryBytes = 256 * 2 ** 20;
const filesAtOnce = 64;

/**
 * Empties the spool: each file is compressed and checked, written to archive and mirror under a new name, synced, read
 * back, linked to its name, the folders synced; then the slot is moved on; then the file leaves the spool. A crash at any
 * point repeats some of it: a file that is there already is compared, never replaced.
 */
export function openDrainer(
  options: DrainOptions,
  workers: number = Math.min(8, availableParallelism()),
): Drainer {
  const { segmentSizeBytes } = options.archive.header;
  const count = Math.max(1, Math.min(workers, Math.floor(memoryBytes / (3 * segmentSizeBytes))));
  const threads = openThreadPool<StoreJob, WorkerAnswer>({
    module: besideModule('./log-archive-worker', import.meta.url),
    count,
    workerData: undefined,
    name: 'clona-log',
  });
  const known = new Map<string, Set<string>>();
  return {
    drain: async () => drain(options, threads, known),
    [Symbol.asyncDispose]: async () => threads[Symbol.asyncDispose](),
  };
}

/** One pass over the spool. */
export async function drainSpool(options: DrainOptions): Promise<DrainResult> {
  await using drainer = openDrainer(options);
  return await drainer.drain();
}

type Threads = ThreadPool<StoreJob, WorkerAnswer>;

async function drain(
  options: DrainOptions,
  threads: Threads,
  known: Map<string, Set<string>>,
): Promise<DrainResult> {
  const result: DrainResult = {
    archived: [],
    rawBytes: 0,
    compressedBytes: 0,
    problems: [],
    slotPosition: undefined,
  };
  const folders = await findFolders(options, result);
  const names = await listSpool(options.spoolDir);
  for (let at = 0; at < names.length; at += filesAtOnce) {
    options.signal?.throwIfAborted();
    await drainBatch(names.slice(at, at + filesAtOnce), { options, threads, known, folders, result });
  }
  return result;
}

interface Folders {
  /** Those that can be written to now. */
  open: Set<string>;
  all: string[];
}

/** An archive whose disk is away is left out of this pass; the others go on, the spool keeps what is missing. */
async function findFolders({ archive, mirror }: DrainOptions, result: DrainResult): Promise<Folders> {
  const wanted = [archive, ...(mirror === undefined ? [] : [mirror])];
  const open = new Set<string>();
  for (const { folder, header } of wanted) {
    try {
      const found = await openArchive(folder);
      if (found.header.systemIdentifier !== header.systemIdentifier) {
        throw new ClonaError('archiveForeign', `${folder} has become the archive of another database`);
      }
      open.add(folder);
    } catch (error) {
      result.problems.push(error instanceof ClonaError ? error : new ClonaError('internal', String(error)));
    }
  }
  return { open, all: wanted.map(({ folder }) => folder) };
}

/** Finished files only, histories first: what follows a switch of timeline is worth nothing without them. */
async function listSpool(spoolDir: string): Promise<string[]> {
  const names = (await readdir(spoolDir)).filter((name) => locateLogFile('', name) !== undefined);
  const rank = (name: string): number => (name.endsWith('.history') ? 0 : 1);
  return names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

interface Pass {
  options: DrainOptions;
  threads: Threads;
  known: Map<string, Set<string>>;
  folders: Folders;
  result: DrainResult;
}

async function drainBatch(names: string[], pass: Pass): Promise<void> {
  const { options, known, folders, result } = pass;
  const onProgress = options.onProgress ?? silent;
  const stored = (await Promise.all(names.map(async (name) => storeEverywhere(name, pass)))).flat();
  const parents = new Set(stored.flatMap(({ path, folder }) => [dirname(path), join(folder, 'log')]));
  for (const parent of parents) await syncFolder(parent);
  // Only what is synced counts.
  for (const { name, folder } of stored) known.set(name, (known.get(name) ?? new Set()).add(folder));
  onProgress({ step: 'archiving the log', state: 'running', detail: `synced ${names.length}` });
  const whole = names.filter((name) => folders.all.every((folder) => known.get(name)?.has(folder)));
  if (options.slot !== undefined && whole.length > 0) {
    const { position, problem } = await moveSlot(options.slot, options.archive, options.mirror);
    if (problem !== undefined) result.problems.push(problem);
    result.slotPosition = position ?? result.slotPosition;
  }
  for (const name of whole) {
    await unlink(join(options.spoolDir, name)).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
    known.delete(name);
    result.archived.push(name);
    onProgress({ step: 'archiving the log', state: 'running', detail: `archived ${name}` });
  }
}

interface Stored {
  name: string;
  folder: string;
  path: string;
}

/** Returns where the file is now, for those folders that did not have it. */
async function storeEverywhere(name: string, pass: Pass): Promise<Stored[]> {
  const { options, threads, known, folders, result } = pass;
  const missing = [...folders.open].filter((folder) => known.get(name)?.has(folder) !== true);
  if (missing.length === 0) return [];
  const answer = await threads.ask({
    spoolPath: join(options.spoolDir, name),
    name,
    folders: missing,
    level: options.level ?? 3,
    systemIdentifier: options.archive.header.systemIdentifier,
    segmentSizeBytes: options.archive.header.segmentSizeBytes,
    archivedAt: options.now().toISOString(),
  });
  if (answer.problem !== undefined) result.problems.push(toError(answer.problem));
  result.rawBytes += answer.rawBytes;
  result.compressedBytes += answer.compressedBytes;
  const stored: Stored[] = [];
  for (const { folder, problem } of answer.stored) {
    if (problem === undefined) {
      stored.push({ name, folder, path: locateLogFile(folder, name) ?? folder });
      continue;
    }
    result.problems.push(toError(problem));
    // A full or broken disk fails for the rest as well; damage of one file does not.
    if (problem.kind === 'diskFull' || problem.kind === 'archiveMissing') folders.open.delete(folder);
  }
  return stored;
}

function toError({ kind, message, hint }: PlainError): ClonaError {
  return new ClonaError(kind, message, { hint });
}
