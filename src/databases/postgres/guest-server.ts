import { ClonaError } from '../../errors.ts';
import type { CommandResult, Guest } from '../../guest/guest.ts';
import { quoteSh } from '../../guest/quote.ts';
import { serverCommand } from './server.ts';
import type { PostgresBinaries } from './server-binaries.ts';
import { settingArguments, type ServerSettings } from './server-settings.ts';

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
  /**
   * `clona` (default): on its Unix socket only. `itself`: with the options it was started with the last time
   * (postmaster.opts), else with its own configuration, which says where it listens.
   */
  startedAs?: 'clona' | 'itself';
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
  const { signal, timeoutMs = 60_000 } = options;
  const serverOptions = await optionsOf(server, options);
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

/** What pg_ctl hands to a shell of its own. */
async function optionsOf(server: GuestServer, options: GuestStartOptions): Promise<string> {
  const { settings = {}, listenAddresses, signal } = options;
  if (server.startedAs !== 'itself') {
    return serverCommand({ ...server, settings, listenAddresses })
      .args.slice(2)
      .map(quoteSh)
      .join(' ');
  }
  const last = await readLastOptions(server, signal);
  const own = { unix_socket_directories: server.socketDir, port: server.port };
  return [last, ...settingArguments({ ...(last === '' ? own : {}), ...settings }).map(quoteSh)].join(' ');
}

/** Beside the server's own file, which holds what a start for a recovery was given, too. */
const keptOptions = '.clona-postmaster.opts';

/** Remembers how the server was started, before it is started in another way; said again it stays as it was. */
export async function keepLastOptions({ guest, dataDir }: GuestServer, signal: AbortSignal): Promise<void> {
  const [from, to] = [`${dataDir}/postmaster.opts`, `${dataDir}/${keptOptions}`].map(quoteSh);
  await guest.runShell(`[ -e ${to} ] || [ ! -e ${from} ] || cp ${from} ${to}`, { signal });
}

/** From now on the server's own file counts again. */
export async function forgetLastOptions({ guest, dataDir }: GuestServer, signal: AbortSignal): Promise<void> {
  await guest.run(['rm', '-f', `${dataDir}/${keptOptions}`], { signal });
}

/** The server writes them quoted as pg_ctl takes them, behind its own path (postmaster.c, CreateOptsFile). */
async function readLastOptions({ guest, dataDir }: GuestServer, signal: AbortSignal): Promise<string> {
  const [kept, own] = [keptOptions, 'postmaster.opts'].map((name) => quoteSh(`${dataDir}/${name}`));
  const { stdout } = await guest.runShell(`cat ${kept} 2>/dev/null || cat ${own} 2>/dev/null || true`, {
    signal,
  });
  const at = stdout.indexOf(' "');
  return at === -1 ? '' : stdout.slice(at + 1).trim();
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
