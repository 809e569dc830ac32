import { ClonaError } from '../../errors.ts';
import type { CommandResult, Guest } from '../../guest/guest.ts';
import { quoteSh } from '../../guest/quote.ts';
import { serverCommand } from './server.ts';
import type { PostgresBinaries } from './server-binaries.ts';
import type { ServerSettings } from './server-settings.ts';

/** A PostgreSQL server on a machine, as its guest operating system sees it. Everything is done over SSH. */
export interface GuestServer {
  guest: Guest;
  /** As the guest sees them. */
  binaries: PostgresBinaries;
  dataDir: string;
  socketDir: string;
  port: number;
  /** Default: server.log beside the data directory. */
  logFile?: string;
}

export interface GuestStartOptions {
  signal: AbortSignal;
  settings?: ServerSettings | undefined;
  /** Default none: the Unix socket only. */
  listenAddresses?: string | undefined;
  /** Until it answers, in milliseconds; recovery can take longer. Default 60 000. */
  timeoutMs?: number | undefined;
}

/** Starts the server and waits until it answers; one that runs already is left as it is. */
export async function startGuestServer(server: GuestServer, options: GuestStartOptions): Promise<void> {
  if ((await guestServerState(server, options.signal)) === 'running') return;
  const { settings, listenAddresses, signal, timeoutMs = 60_000 } = options;
  const { args } = serverCommand({ ...server, settings, listenAddresses });
  // pg_ctl hands this text to a shell of its own.
  const serverOptions = args.slice(2).map(quoteSh).join(' ');
  const seconds = String(Math.ceil(timeoutMs / 1000));
  const log = logFileOf(server);
  const result = await pgCtl(server, ['-w', '-t', seconds, '-l', log, '-o', serverOptions, 'start'], signal);
  if (result.exitCode === 0) return;
  const tail = await server.guest.run(['tail', '-n', '15', log], { signal });
  throw new ClonaError('databaseFailed', `the server in ${server.dataDir} did not start`, {
    cause: new Error(tail.stdout.trim() === '' ? result.stderr.trim() : tail.stdout.trim()),
    hint: `read its log: ${log}`,
  });
}

/** Stops the server; one that does not run is fine. */
export async function stopGuestServer(
  server: GuestServer,
  mode: 'smart' | 'fast' | 'immediate',
  signal: AbortSignal,
): Promise<void> {
  if ((await guestServerState(server, signal)) === 'stopped') return;
  const result = await pgCtl(server, ['-w', '-m', mode, 'stop'], signal);
  if (result.exitCode === 0 || (await guestServerState(server, signal)) === 'stopped') return;
  throw new ClonaError('databaseFailed', `the server in ${server.dataDir} did not stop`, {
    cause: new Error(result.stderr.trim()),
  });
}

/** By pg_ctl status: 0 runs, 3 does not, 4 there is no data directory. */
export async function guestServerState(
  server: GuestServer,
  signal: AbortSignal,
): Promise<'running' | 'stopped'> {
  const { exitCode, stderr } = await pgCtl(server, ['status'], signal);
  if (exitCode === 0) return 'running';
  if (exitCode === 3 || exitCode === 4) return 'stopped';
  throw new ClonaError('databaseFailed', `cannot ask for the server in ${server.dataDir}`, {
    cause: new Error(stderr.trim()),
  });
}

async function pgCtl(
  server: GuestServer,
  args: readonly string[],
  signal: AbortSignal,
): Promise<CommandResult> {
  const { binDir, env } = server.binaries;
  return server.guest.run([`${binDir}/pg_ctl`, '-D', server.dataDir, ...args], { signal, env });
}

function logFileOf({ logFile, dataDir }: GuestServer): string {
  return logFile ?? `${dataDir.replace(/\/[^/]*$/, '')}/server.log`;
}
