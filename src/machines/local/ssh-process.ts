import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rm } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { ClonaError } from '../../errors.ts';
import type { MachinePaths, MachineRecord } from './layout.ts';
import { isolatedCommand } from './network.ts';
import { machineMarker, processStamp } from './processes.ts';
import type { ServerOrder, ServerRecord } from './ssh-server-main.ts';

const startTimeoutMs = 30_000;
const guestPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The running SSH server of a machine, or undefined: a number that another process has by now does not count. */
export async function findServer(paths: MachinePaths): Promise<ServerRecord | undefined> {
  const text = await readFile(paths.server, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const record = JSON.parse(text) as ServerRecord; // renamed into place whole
  return (await processStamp(record.pid)) === record.stamp ? record : undefined;
}

/** Starts the server detached from us and returns when it listens. */
export async function startServer(
  paths: MachinePaths,
  record: MachineRecord,
  signal: AbortSignal,
): Promise<ServerRecord> {
  await rm(paths.server, { force: true });
  const log = await open(paths.serverLog, 'w', 0o600);
  try {
    const [program = process.execPath, ...rest] = serverCommand(record);
    const child = spawnDetached(program, rest, paths.folder, log.fd);
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(await orderOf(paths, record)));
    const stop = AbortSignal.any([signal, AbortSignal.timeout(startTimeoutMs)]);
    const started = once(child.stdout, 'data', { signal: stop });
    const failed = Promise.race([once(child, 'error'), once(child, 'exit')]);
    try {
      const [first] = await Promise.race([
        started,
        failed.then(() => Promise.reject(new Error('the SSH server ended'))),
      ]);
      return JSON.parse(String(first)) as ServerRecord; // its one line
    } catch (cause) {
      child.kill('SIGKILL');
      signal.throwIfAborted();
      throw await startError(paths, cause);
    } finally {
      child.stdout.destroy();
      child.unref();
    }
  } finally {
    await log.close();
  }
}

function spawnDetached(
  program: string,
  argv: readonly string[],
  folder: string,
  log: number,
): ChildProcess & { stdin: Writable; stdout: Readable } {
  // What Node.js compiled once it need not compile for each machine again.
  const cache = process.env['NODE_COMPILE_CACHE'];
  const env = {
    PATH: guestPath,
    [machineMarker]: folder,
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
  };
  const child = spawn(program, argv, { cwd: '/', env, detached: true, stdio: ['pipe', 'pipe', log] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the server has no pipes');
  return Object.assign(child, { stdin, stdout });
}

async function startError(paths: MachinePaths, cause: unknown): Promise<ClonaError> {
  const said = await readFile(paths.serverLog, 'utf8').catch(() => '');
  const lines = said.split('\n').filter((text) => text.trim() !== '');
  // Of an exception Node.js prints source, error, stack and its own version.
  const line = lines.find((text) => /^\w*Error\b/.test(text)) ?? lines.at(-1);
  return new ClonaError('machineFailed', `the machine does not start: ${line ?? 'its SSH server ended'}`, {
    cause,
    details: { log: paths.serverLog },
  });
}

function serverCommand(record: MachineRecord): string[] {
  // From a checkout this is a .ts file, from a packed clona a .js file.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const main = fileURLToPath(new URL(`./ssh-server-main.${extension}`, import.meta.url));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', main];
  return record.isolation === 'network' ? isolatedCommand(node) : node;
}

async function orderOf(paths: MachinePaths, record: MachineRecord): Promise<ServerOrder> {
  return {
    hostKey: await readFile(paths.hostKey, 'utf8'),
    authorizedKeys: [await readFile(`${paths.clientKey}.pub`, 'utf8')],
    user: record.user,
    home: paths.system,
    env: {
      PATH: guestPath,
      HOME: paths.system,
      USER: record.user,
      LOGNAME: record.user,
      SHELL: '/bin/sh',
      LANG: 'C.UTF-8',
      [machineMarker]: paths.folder,
    },
    listen:
      record.sshPort === null
        ? { kind: 'socket', path: `${record.run}/ssh.sock` }
        : { kind: 'tcp', port: record.sshPort },
    uid: record.uid,
    recordFile: paths.server,
  };
}
