import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../../../errors.ts';
import { errorCode, syncFolder } from '../../../../archive/durable-file.ts';
import type { PostgresBinaries, RunAs } from '../../server-binaries.ts';
import { readServerState, serverCommand, startServer, stopServer } from '../../server.ts';
import type { ServerSettings } from '../../server-settings.ts';
import { openUnpackPool, type UnpackPool } from '../unpack/unpack-pool.ts';
import { examineTarget, resolveTarget } from './examine-target.ts';
import { startLine } from './start-line.ts';
import { isThere, makeOwnFolder, unpackBackup } from '../unpack/unpack.ts';
import type { PlaceSegment, PlaceServer, PlaceServerOptions, RestorePlace } from './place.ts';
import { targetError } from './target-error.ts';

export interface LocalPlaceOptions {
  binaries: PostgresBinaries;
  /** Required when clona is root: the server's user, who will own the files. */
  runAs: RunAs | undefined;
  workers: number;
  signal: AbortSignal;
}

/** This host: frames go from the archive straight into files, by several threads. */
export function openLocalPlace(options: LocalPlaceOptions): RestorePlace {
  const { runAs, signal } = options;
  const owner = runAs !== undefined && process.getuid?.() === 0 ? runAs : null;
  let pool: UnpackPool | undefined;
  const unpackers = (): UnpackPool => (pool ??= openUnpackPool(options.workers, signal));
  const own = async (path: string): Promise<void> => {
    if (owner !== null) await chown(path, owner.uid, owner.gid);
  };
  return {
    where: '',
    isElsewhere: false,
    isForAnother: owner !== null,
    readText: async (path) => readOrNull(path),
    writeText: async (path, text) =>
      guarded(path, async () => {
        await writeFile(path, text, { mode: 0o600 });
        await own(path);
      }),
    list: async (path) => listOrNull(path),
    isThere,
    makeFolder: async (path) => guarded(path, async () => makeOwnFolder(path, owner)),
    remove: async (path) => rm(path, { recursive: true, force: true, maxRetries: 3 }),
    rename: async (from, to) =>
      guarded(to, async () => {
        await rename(from, to);
        await syncFolder(dirname(to));
      }),
    resolve: resolveTarget,
    examine: async (path) => examineTarget(path, owner),
    findMissing: async (paths) => {
      const there = await Promise.all(paths.map(isThere));
      return paths.filter((_, index) => !there[index]);
    },
    unpack: async (unpack) => unpackBackup({ ...unpack, owner, pool: unpackers() }),
    putSegment: async (segment) => putSegment(segment, unpackers(), owner),
    startServer: async (server) => startHere(options, server),
    askAlone: async (dataDir, settings, query) =>
      askHere(options, aloneCommand(options.binaries, dataDir, settings), query),
    startLine: (dataDir, logFile, start) =>
      startLine(options.binaries, owner, { dataDir, logFile, ...start }),
    stopServer: async (dataDir) => stopServer({ dataDir, mode: 'immediate' }),
    [Symbol.asyncDispose]: async () => pool?.[Symbol.asyncDispose](),
  };
}

async function putSegment(segment: PlaceSegment, pool: UnpackPool, owner: RunAs | null): Promise<void> {
  // A name that nobody asks for until the content is whole.
  const fresh = join(dirname(segment.target), `.${segment.target.split('/').at(-1)}.new`);
  await pool.run({ kind: 'segment', ...segment, target: fresh, owner });
  await rename(fresh, segment.target);
}

async function startHere(
  { binaries, runAs }: LocalPlaceOptions,
  options: PlaceServerOptions,
): Promise<PlaceServer> {
  const { listen, dataDir, logFile, settings, timeoutMs, signal } = options;
  const ownSocketDir = listen === undefined ? await makeSocketDir(logFile, runAs) : undefined;
  const forget = async (): Promise<void> => {
    if (ownSocketDir !== undefined) await rm(ownSocketDir, { recursive: true, force: true });
  };
  try {
    const server = await startServer({
      binaries,
      dataDir,
      runAs,
      socketDir: ownSocketDir ?? listen?.socketDir,
      listenAddresses: listen?.addresses ?? '',
      port: listen?.port ?? 5432,
      settings,
      logFile,
      timeoutMs,
      signal,
    });
    if (server.state === 'standby') await waitUntilReady(dataDir, timeoutMs, signal);
    return {
      address: (database, user) => server.address(database, user),
      stop: async (mode) => {
        // A clean end writes a checkpoint: it may take as long as there are dirty pages.
        await stopServer({ dataDir, mode, timeoutMs: 600_000 });
        await forget();
      },
    };
  } catch (error) {
    // Whoever is told of the end may rely on it: an aborted start leaves a server that is still ending.
    await stopServer({ dataDir, mode: 'immediate' }).catch(() => {});
    await forget();
    throw error;
  }
}

/** The command line of a single-user server. */
export function aloneCommand(
  binaries: PostgresBinaries,
  dataDir: string,
  settings: ServerSettings,
): string[] {
  const { file, args } = serverCommand({ binaries, dataDir, settings });
  return [file, '--single', ...args, 'template1'];
}

async function askHere(
  { binaries, runAs, signal }: LocalPlaceOptions,
  [file = '', ...args]: readonly string[],
  query: string,
): Promise<string> {
  const child = spawn(file, args, {
    ...runAs,
    env: binaries.env,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'ignore'],
    signal,
  });
  child.stdin.end(`${query}\n`);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  await once(child, 'close');
  return said;
}

/** A server in recovery without hot standby counts as started, although nobody can enter yet. */
async function waitUntilReady(dataDir: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const { state } = await readServerState(dataDir);
    if (state === 'ready') return;
    if (state === 'stopped')
      throw new ClonaError('databaseFailed', `the server in ${dataDir} gave up recovery`);
    if (signal.aborted || performance.now() > until) {
      await stopServer({ dataDir, mode: 'immediate' });
      signal.throwIfAborted();
      throw new ClonaError('databaseFailed', `the server in ${dataDir} did not end recovery in time`);
    }
    await wait(20);
  }
}

/** A socket's whole path stays under 104 bytes on every system. */
export const longestFolderBytes = 103 - '/.s.PGSQL.65535'.length;

/**
 * Only the server's user may connect: the folder is the guard, no password is known. Beside the log, where it goes away with
 * the rest of an interrupted run, unless its path is too long for a socket.
 */
async function makeSocketDir(beside: string, runAs: RunAs | undefined): Promise<string> {
  let folder = join(dirname(beside), 's');
  if (Buffer.byteLength(folder) > longestFolderBytes) {
    folder = await mkdtemp(join(tmpdir().length > 60 ? '/tmp' : tmpdir(), 'clona-s-'));
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (runAs !== undefined && process.getuid?.() === 0) await chown(folder, runAs.uid, runAs.gid);
  return folder;
}

async function guarded<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw targetError(error, path);
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw targetError(error, path);
  }
}

async function listOrNull(path: string): Promise<string[] | null> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw targetError(error, path);
  }
}
