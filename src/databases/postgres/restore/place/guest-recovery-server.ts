import { posix } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../../../errors.ts';
import type { Guest } from '../../../../guest/guest.ts';
import { quoteSh } from '../../../../guest/quote.ts';
import { openGuestBridge } from '../../guest-bridge.ts';
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
    const socket = `${server.socketDir}/.s.PGSQL.${port}`;
    const bridge = await openGuestBridge(async () => guest, socket, whole);
    return {
      address: (database, user) => ({ engine: 'postgres', host: bridge.folder, port: 5432, database, user }),
      stop: async (mode) => {
        await bridge[Symbol.asyncDispose]();
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
