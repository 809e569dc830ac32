import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { chown, mkdir, open, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import type { PostgresBinaries, RunAs } from './server-binaries.ts';
import { settingArguments, type ServerSettings } from './server-settings.ts';

export interface StartOptions {
  binaries: PostgresBinaries;
  dataDir: string;
  /** Required when clona is root. */
  runAs?: RunAs | undefined;
  /** Folder of the Unix socket; made (0700) when absent. The socket's whole path must stay under 104 bytes. */
  socketDir?: string | undefined;
  /** Loopback or other addresses to listen on; default none (Unix socket only). */
  listenAddresses?: string | undefined;
  /** Also the socket's name. Default 5432. */
  port?: number | undefined;
  /** Given on the command line: stronger than every configuration file. */
  settings?: ServerSettings | undefined;
  /** Default: server.log beside the data directory. Appended to. */
  logFile?: string | undefined;
  /** Until the server answers, in milliseconds. Default 60 000; recovery can take longer. */
  timeoutMs?: number | undefined;
  /** Default: made of the above (serverCommand). */
  command?: ServerCommand | undefined;
  signal?: AbortSignal | undefined;
}

export interface ServerCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
}

/** A running server. It outlives this process; disposing stops it. */
export interface RunningServer extends AsyncDisposable {
  pid: number;
  dataDir: string;
  /** 'standby': answers while in recovery. */
  state: 'ready' | 'standby';
  address: (database?: string, user?: string) => DatabaseAddress;
}

/** The command line of a server, for those who start it elsewhere (a guest, a network namespace). */
export function serverCommand(
  options: Pick<StartOptions, 'binaries' | 'dataDir' | 'socketDir' | 'listenAddresses' | 'port' | 'settings'>,
): ServerCommand {
  const { binaries, dataDir, socketDir, listenAddresses, port, settings } = options;
  const own: ServerSettings = {
    ...(socketDir === undefined ? {} : { unix_socket_directories: socketDir }),
    listen_addresses: listenAddresses ?? '',
    ...(port === undefined ? {} : { port }),
  };
  return {
    file: join(binaries.binDir, 'postgres'),
    args: ['-D', dataDir, ...settingArguments({ ...own, ...settings })],
    env: binaries.env,
  };
}

/** Starts a server in a session of its own and waits until it answers. Errors carry the tail of its log. */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { dataDir, runAs, socketDir, port = 5432, listenAddresses } = options;
  const logFile = options.logFile ?? join(dirname(dataDir), 'server.log');
  if (socketDir !== undefined) await prepareSocketDir(socketDir, port, runAs);
  const log = await open(logFile, constants.O_CREAT | constants.O_APPEND | constants.O_RDWR, 0o600);
  try {
    const from = (await log.stat()).size;
    const { file, args, env } = options.command ?? serverCommand(options);
    const child = spawn(file, args, {
      ...runAs,
      env,
      cwd: '/',
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    let ended: string | undefined;
    child.once('error', (error) => (ended = error.message));
    child.once('exit', (code, signal) => (ended = signal ?? `exit ${code}`));
    child.unref();
    const { timeoutMs = 60_000, signal } = options;
    const until = performance.now() + timeoutMs;
    for (;;) {
      const found = await readServerState(dataDir);
      if (
        found.pid !== undefined &&
        found.pid === child.pid &&
        (found.state === 'ready' || found.state === 'standby')
      ) {
        const host = socketDir ?? listenAddresses?.split(',')[0]?.trim() ?? '/tmp';
        return runningServer(found.pid, dataDir, found.state, host, port);
      }
      const stopped = ended !== undefined || signal?.aborted === true || performance.now() > until;
      if (stopped) {
        if (ended === undefined) child.kill('SIGQUIT');
        signal?.throwIfAborted();
        const tail = await readTail(logFile, from);
        throw new ClonaError(
          'databaseFailed',
          `the server in ${dataDir} did not start: ${ended ?? 'no answer in time'}`,
          {
            hint: `see ${logFile}`,
            cause: new Error(tail),
          },
        );
      }
      await wait(20);
    }
  } finally {
    await log.close();
  }
}

function runningServer(
  pid: number,
  dataDir: string,
  state: 'ready' | 'standby',
  host: string,
  port: number,
): RunningServer {
  return {
    pid,
    dataDir,
    state,
    address: (database = 'postgres', user = 'postgres') => ({
      engine: 'postgres',
      host,
      port,
      database,
      user,
    }),
    [Symbol.asyncDispose]: async () => stopServer({ dataDir }),
  };
}

export interface StopOptions {
  dataDir: string;
  /** fast: end sessions and write a checkpoint; immediate: as after a crash. Default fast. */
  mode?: 'smart' | 'fast' | 'immediate' | undefined;
  /** Default 60 000 ms; then `databaseFailed`. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

const stopSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** Stops the server of a data directory, whoever started it, and waits until it is gone. None running: nothing to do. */
export async function stopServer(options: StopOptions): Promise<void> {
  const { dataDir, mode = 'fast', timeoutMs = 60_000 } = options;
  const { pid } = await readServerState(dataDir);
  if (pid === undefined) return;
  sendSignal(pid, stopSignals[mode]);
  const until = performance.now() + timeoutMs;
  while ((await readServerState(dataDir)).pid === pid) {
    options.signal?.throwIfAborted();
    if (performance.now() > until) {
      throw new ClonaError(
        'databaseFailed',
        `the server in ${dataDir} (process ${pid}) did not stop in ${timeoutMs} ms`,
        {
          hint: 'a session or the archiver may hold it; mode immediate stops it as a crash would',
        },
      );
    }
    await wait(20);
  }
}

export interface ServerState {
  state: 'stopped' | 'starting' | 'stopping' | 'ready' | 'standby';
  /** undefined when stopped. */
  pid: number | undefined;
}

const statusLine = 7;

/** Reads postmaster.pid (its eighth line tells the state) and checks that the process is really this server. */
export async function readServerState(dataDir: string): Promise<ServerState> {
  const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  // A negative number stands for a single-user server.
  const pid = Math.abs(Number(lines[0]));
  if (!Number.isSafeInteger(pid) || pid === 0 || !(await isServerOf(pid, dataDir))) {
    return { state: 'stopped', pid: undefined };
  }
  const state = (lines[statusLine] ?? '').trim();
  return {
    pid,
    state: state === 'ready' || state === 'standby' || state === 'stopping' ? state : 'starting',
  };
}

/** A process number may have been given to someone else since: on Linux a server's working folder is its data directory. */
async function isServerOf(pid: number, dataDir: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    // A process that has ended but is not yet waited for has no working folder.
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(dataDir));
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES';
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** sockaddr_un holds 104 bytes on macOS and 108 on Linux, with the closing zero. */
const longestSocketPathBytes = 103;

async function prepareSocketDir(folder: string, port: number, runAs: RunAs | undefined): Promise<void> {
  if (Buffer.byteLength(join(folder, `.s.PGSQL.${port}`)) > longestSocketPathBytes) {
    throw new ClonaError(
      'databaseFailed',
      `the socket folder ${folder} has too long a name for a Unix socket`,
      {
        hint: 'choose a folder with a shorter path: the whole socket path must stay under 104 bytes',
      },
    );
  }
  if (await stat(folder).catch(() => undefined)) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (runAs !== undefined && process.getuid?.() === 0) await chown(folder, runAs.uid, runAs.gid);
}

async function readTail(logFile: string, from: number): Promise<string> {
  const text = await readFile(logFile).catch(() => Buffer.alloc(0));
  return text.subarray(from).subarray(-2000).toString('utf8').trim() || 'its log says nothing';
}
