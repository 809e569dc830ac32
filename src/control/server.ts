import { randomUUID } from 'node:crypto';
import { chown, mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { DatabaseAddress } from '../databases/database.ts';
import { connect, type Connection } from '../databases/postgres/connect.ts';
import { resolveBinaries, type PostgresBinaries } from '../databases/postgres/server-binaries.ts';
import { initCluster } from '../databases/postgres/server-cluster.ts';
import { readServerState, startServer, stopServer } from '../databases/postgres/server.ts';
import { ClonaError } from '../errors.ts';
import { placeControl, type ControlPlace } from './place.ts';

export interface ControlServer extends AsyncDisposable {
  address: DatabaseAddress;
}

/** The advisory lock that every user of an embedded server holds shared; who gets it alone may stop the server. */
const usersLock = 'select pg_try_advisory_lock_shared(1129074497, 1) as held';
const lastUserLock = 'select pg_try_advisory_lock(1129074497, 1) as held';
const patienceMs = 60_000;

/**
 * Opens the site's embedded control server: makes it on first use, starts it when it is down, and stops it when
 * the last user leaves. Any number of processes may open and leave at once; one that is killed leaves nothing
 * that hinders the next (its session and with it its lock end, a stale postmaster.pid is seen through).
 */
export async function openControlServer(directory: string, signal: AbortSignal): Promise<ControlServer> {
  const place = placeControl(directory);
  const address: DatabaseAddress = {
    engine: 'postgres',
    host: place.socketDir,
    port: 5432,
    database: 'clona',
    user: 'postgres',
  };
  const deadline = performance.now() + patienceMs;
  let failure: unknown;
  while (performance.now() < deadline) {
    signal.throwIfAborted();
    try {
      await ensureRunning(place, signal);
      const session = await enter(address);
      if (session !== null) {
        return { address, [Symbol.asyncDispose]: async () => leave(place, session) };
      }
    } catch (error) {
      // Another process may be making, starting or stopping it at this very moment: look again.
      failure = error;
      if (error instanceof ClonaError && error.kind !== 'databaseFailed') throw error;
    }
    await wait(50, undefined, { signal });
  }
  throw new ClonaError('databaseFailed', 'the control database does not come up', {
    cause: failure,
    hint: `see ${join(place.folder, 'server.log')}`,
  });
}

async function ensureRunning(place: ControlPlace, signal: AbortSignal): Promise<void> {
  const dataDir = join(place.folder, 'data');
  const { state } = await readServerState(dataDir);
  if (state === 'ready') return;
  // Down while a session still holds the users' lock cannot be; 'stopping' and 'starting' pass by themselves.
  if (state !== 'stopped') throw new ClonaError('databaseFailed', `the control database is ${state}`);
  const binaries = await resolveBinaries({ prefer: 'embedded', runAs: place.runAs });
  if (!(await isThere(dataDir))) await makeCluster(place, binaries, signal);
  await startServer({
    binaries,
    dataDir,
    runAs: place.runAs,
    socketDir: place.socketDir,
    logFile: join(place.folder, 'server.log'),
    settings: { max_connections: 40, shared_buffers: '32MB', log_min_messages: 'warning' },
    signal,
  });
}

/** Makes the cluster under another name and renames it: what has the name `data` is whole. */
async function makeCluster(
  { folder, runAs }: ControlPlace,
  binaries: PostgresBinaries,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const fresh = join(folder, `.${randomUUID()}`);
  try {
    await initCluster({ binaries, dataDir: fresh, runAs, signal });
    if (runAs !== undefined) await chown(fresh, runAs.uid, runAs.gid);
    await rename(fresh, join(folder, 'data')).catch((error: unknown) => {
      // Somebody else made it meanwhile: theirs is as good.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** null: the last user is just closing the door. */
async function enter(address: DatabaseAddress): Promise<Connection | null> {
  await ensureDatabase(address);
  const session = await connect(address, undefined, { applicationName: 'clona user' });
  try {
    const [row] = await session.query<{ held: boolean }>(usersLock);
    if (row?.held === true) return session;
    await session[Symbol.asyncDispose]();
    return null;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

async function ensureDatabase(address: DatabaseAddress): Promise<void> {
  await using session = await connect({ ...address, database: 'postgres' });
  const found = await session.query('select 1 from pg_database where datname = $1', [address.database]);
  if (found.length > 0) return;
  try {
    await session.query('create database clona');
  } catch (error) {
    // Somebody else was quicker: duplicate_database, or unique_violation in the middle of it.
    const state = error instanceof ClonaError ? error.details?.['sqlState'] : undefined;
    if (state !== '42P04' && state !== '23505') throw error;
  }
}

async function leave(place: ControlPlace, session: Connection): Promise<void> {
  try {
    await session.query('select pg_advisory_unlock_shared(1129074497, 1)');
    const [row] = await session.query<{ held: boolean }>(lastUserLock);
    if (row?.held === true) await stopServer({ dataDir: join(place.folder, 'data'), mode: 'fast' });
  } catch {
    // The server went down under us: there is nothing left to leave.
  } finally {
    await session[Symbol.asyncDispose]();
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
