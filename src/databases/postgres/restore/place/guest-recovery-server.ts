import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../../../errors.ts';
import type { Guest } from '../../../../guest/guest.ts';
import { quoteSh } from '../../../../guest/quote.ts';
import { startGuestServer, stopGuestServer, type GuestServer } from '../../guest-server.ts';
import type { GuestShell } from './guest-shell.ts';
import { longestFolderBytes } from './local-place.ts';
import type { PlaceServer, PlaceServerOptions } from './place.ts';

export type ServerAt = (dataDir: string, socketDir: string, port: number, logFile: string) => GuestServer;

/** Starts a server in a guest; sessions reach it through the connection. */
export async function startInGuest(
  guest: Guest,
  serverAt: ServerAt,
  { must, signal: whole }: GuestShell,
  options: PlaceServerOptions,
): Promise<PlaceServer> {
  const { dataDir, logFile, listen, settings, timeoutMs, signal } = options;
  const ownSocketDir = listen === undefined ? await makeSocketDir(logFile, must) : undefined;
  const port = listen?.port ?? 5432;
  const server = serverAt(dataDir, ownSocketDir ?? listen?.socketDir ?? '', port, logFile);
  const forget = async (): Promise<void> => {
    if (ownSocketDir !== undefined) await must(`rm -rf ${quoteSh(ownSocketDir)}`);
  };
  try {
    await startGuestServer(server, { signal, settings, timeoutMs, listenAddresses: listen?.addresses ?? '' });
    await waitUntilReady(server, timeoutMs, signal);
    const bridge = await openBridge(guest, `${server.socketDir}/.s.PGSQL.${port}`, whole);
    return {
      address: (database, user) => ({ engine: 'postgres', host: bridge.folder, port: 5432, database, user }),
      stop: async (mode) => {
        await bridge.close();
        await stopGuestServer(server, mode, whole);
        await forget();
      },
    };
  } catch (error) {
    const last = AbortSignal.timeout(30_000);
    await stopGuestServer(server, 'immediate', last).catch(() => {});
    await forget().catch(() => {});
    throw error;
  }
}

/** Beside the log, where it goes away with the rest of an interrupted run, unless its path is too long for a socket. */
async function makeSocketDir(logFile: string, must: GuestShell['must']): Promise<string> {
  const beside = posix.join(posix.dirname(logFile), 's');
  if (Buffer.byteLength(beside) > longestFolderBytes)
    return (await must('mktemp -d /tmp/clona-s-XXXXXX')).trim();
  await must(`umask 077 && mkdir -p ${quoteSh(beside)} && chmod 700 ${quoteSh(beside)}`);
  return beside;
}

/** pg_ctl counts a server in recovery as started; postmaster.pid says in its eighth line when it has opened. */
async function waitUntilReady(
  { guest, dataDir }: GuestServer,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const pidFile = quoteSh(`${dataDir}/postmaster.pid`);
  const until = performance.now() + timeoutMs;
  for (;;) {
    const { stdout } = await guest.runShell(
      `sed -n 8p ${pidFile} 2>/dev/null; p=$(head -n 1 ${pidFile} 2>/dev/null) && kill -0 "$p" 2>/dev/null && echo alive`,
      { signal },
    );
    const lines = stdout.split('\n').map((line) => line.trim());
    if (lines.includes('ready') && lines.includes('alive')) return;
    if (!lines.includes('alive'))
      throw new ClonaError('databaseFailed', `the server in ${dataDir} gave up recovery`);
    if (performance.now() > until)
      throw new ClonaError('databaseFailed', `the server in ${dataDir} did not end recovery in time`);
    await wait(100, undefined, { signal });
  }
}

async function carry(guest: Guest, socket: string, near: Socket, signal: AbortSignal): Promise<void> {
  try {
    const far = await guest.forward({ socket }, signal);
    far.on('error', () => near.destroy());
    far.on('close', () => near.destroy());
    near.on('close', () => far.destroy());
    near.pipe(far).pipe(near);
  } catch {
    // The driver hears of it as a connection that was closed.
    near.destroy();
  }
}

interface Bridge {
  /** Folder with a socket named as PostgreSQL's own. */
  folder: string;
  close: () => Promise<void>;
}

/** A Unix socket here whose connections lead to one in the guest, whatever network the guest has. */
async function openBridge(guest: Guest, socket: string, signal: AbortSignal): Promise<Bridge> {
  const folder = await mkdtemp(join(tmpdir().length > 60 ? '/tmp' : tmpdir(), 'clona-b-'));
  const open = new Set<Socket>();
  const server = createServer((near) => {
    open.add(near);
    near.on('error', () => {});
    near.on('close', () => open.delete(near));
    void carry(guest, socket, near, signal);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(join(folder, '.s.PGSQL.5432'), resolve);
  });
  return {
    folder,
    close: async () => {
      for (const near of open) near.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
