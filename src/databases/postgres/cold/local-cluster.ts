import { execFile } from 'node:child_process';
import { readFile, readlink, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errorCode } from '../../../archive/durable-file.ts';
import { ClonaError } from '../../../errors.ts';
import { resolveBinaries, type PostgresBinaries, type RunAs } from '../server-binaries.ts';
import { readServerState, startServer, stopServer } from '../server.ts';
import type { ColdCluster } from './cluster.ts';

const run = promisify(execFile);

/** Commands of the host that stop and start the server where its init system keeps it (systemctl …). */
export interface ServiceCommands {
  stop: string;
  start: string;
}

/**
 * A cluster by its data directory. Its server is started again with the very command line of its last start, which it
 * keeps in postmaster.opts, unless the site names commands. Throws `databaseFailed` where the folder cannot be read,
 * is no cluster's, or is run by an init system that nobody told us how to ask.
 */
export async function openLocalCluster(
  dataDir: string,
  service: ServiceCommands | undefined,
): Promise<ColdCluster> {
  const { uid, gid } = await stat(dataDir).catch((error: unknown) => {
    throw unreadable(error, dataDir);
  });
  const owner = process.getuid?.() === 0 ? { uid, gid } : undefined;
  const command = await readCommand(dataDir);
  const binaries = await findBinaries(dataDir, command, owner);
  const { pid } = await readServerState(dataDir);
  if (service === undefined && pid !== undefined) await refuseUnit(pid);
  // Where it writes what it says is only known while it runs.
  const logFile = pid === undefined ? undefined : await readLogFile(pid);
  return {
    dataDir,
    owner,
    binaries,
    stop: async (signal) => {
      if (service !== undefined) await runCommand(service.stop, 'stop', signal);
      await stopServer({ dataDir, timeoutMs: longestStopMs, signal });
    },
    start: async (signal) => {
      await untilStopped(dataDir, signal);
      if ((await readServerState(dataDir)).state === 'ready') return;
      if (service !== undefined) return startByService(service, dataDir, signal);
      const [file = join(binaries.binDir, 'postgres'), ...args] = command ?? [];
      await startServer({
        binaries,
        dataDir,
        runAs: owner,
        command: { file, args: args.length === 0 ? ['-D', dataDir] : args, env: binaries.env },
        logFile,
        timeoutMs: longestStartMs,
        signal,
      });
    },
  };
}

const longestStopMs = 600_000;
const longestStartMs = 600_000;

/** postmaster.opts: the program, and each argument in double quotes that nothing escapes (CreateOptsFile). */
async function readCommand(dataDir: string): Promise<string[] | undefined> {
  const text = await readFile(join(dataDir, 'postmaster.opts'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseCommand(text);
}

export function parseCommand(text: string): string[] | undefined {
  const line = text.replace(/\n$/, '');
  const at = line.indexOf(' "');
  const program = at < 0 ? line : line.slice(0, at);
  if (!program.startsWith('/')) return undefined;
  const args =
    at < 0
      ? []
      : line
          .slice(at + 2)
          .replace(/"$/, '')
          .split('" "');
  return [program, ...args];
}

async function findBinaries(
  dataDir: string,
  command: readonly string[] | undefined,
  runAs: RunAs | undefined,
): Promise<PostgresBinaries> {
  const text = await readFile(join(dataDir, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    throw unreadable(error, dataDir);
  });
  const major = Number(text.trim());
  if (!Number.isInteger(major) || major < 15 || major > 18) {
    throw new ClonaError('databaseVersion', `${dataDir} is a cluster of PostgreSQL ${text.trim()}`, {
      hint: '15 to 18 are supported',
    });
  }
  const [program] = command ?? [];
  const own =
    program === undefined
      ? undefined
      : await resolveBinaries({ binDir: dirname(program), runAs }).catch(() => undefined);
  if (own?.major === major) return own;
  return resolveBinaries({ major, runAs });
}

/** A server that its init system started would be taken for dead by it, and ours for a stranger. */
async function refuseUnit(pid: number): Promise<void> {
  const unit = readUnit(await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''));
  if (unit === undefined) return;
  throw new ClonaError('usage', `the server belongs to the unit ${unit} of the init system`, {
    hint: `say how it is stopped and started: database.service: { stop: "systemctl stop ${unit}", start: "systemctl start ${unit}" }`,
  });
}

/** The unit of a server by its control group (systemd.unit(5)); others' groups may hold servers too, and are no unit of theirs. */
export function readUnit(cgroup: string): string | undefined {
  return /\/([^/\n]*postgres[^/\n]*\.service)(?:\/|$)/m.exec(cgroup)?.[1];
}

async function readLogFile(pid: number): Promise<string | undefined> {
  const path = await readlink(`/proc/${pid}/fd/2`).catch(() => undefined);
  if (path === undefined || !path.startsWith('/') || path.startsWith('/dev/')) return undefined;
  return (await stat(path).catch(() => undefined))?.isFile() === true ? path : undefined;
}

async function startByService(service: ServiceCommands, dataDir: string, signal: AbortSignal): Promise<void> {
  await runCommand(service.start, 'start', signal);
  const until = performance.now() + longestStartMs;
  while ((await readServerState(dataDir)).state !== 'ready') {
    if (performance.now() > until) {
      throw new ClonaError('databaseFailed', `${service.start} did not bring the server in ${dataDir} up`);
    }
    await wait(50, undefined, { signal });
  }
}

async function runCommand(command: string, what: keyof ServiceCommands, signal: AbortSignal): Promise<void> {
  await run('/bin/sh', ['-c', command], { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new ClonaError('databaseFailed', `database.service.${what} failed`, {
      cause: said === '' ? error : new Error(said.slice(-500), { cause: error }),
    });
  });
}

/** A server that still shuts down would refuse the next one. */
async function untilStopped(dataDir: string, signal: AbortSignal): Promise<void> {
  while ((await readServerState(dataDir)).state === 'stopping') await wait(50, undefined, { signal });
}

export function unreadable(error: unknown, path: string): ClonaError {
  if (errorCode(error) === 'EACCES' || errorCode(error) === 'EPERM') {
    return new ClonaError('databaseFailed', `${path} cannot be read by this user`, {
      cause: error,
      hint: "run clona as root or as the server's user",
    });
  }
  return new ClonaError('databaseFailed', `${path} is no data directory of a cluster`, { cause: error });
}
