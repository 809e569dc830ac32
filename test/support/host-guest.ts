import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { finished } from 'node:stream/promises';
import { ClonaError } from '../../src/errors.ts';
import type { CommandOptions, CommandResult, Guest } from '../../src/guest/guest.ts';

/** A guest without SSH: commands run on this host, in a folder. For tests of what stands on the contract. */
export function createHostGuest(home: string): Guest {
  return {
    platform: 'linux',
    run: (argv, options) => runHere(argv, home, options),
    runShell: (script, options) => runHere(['sh', '-c', script], home, options),
    readFile: (path, signal) => readFile(path, { signal }),
    writeFile: async (path, content, mode, signal) => {
      await writeFile(`${path}.new`, content, { mode, signal });
      await rename(`${path}.new`, path);
    },
    upload: (localPath, path) => copyFile(localPath, path),
    download: (path, localPath) => copyFile(path, localPath),
    list: (path) => readdir(path),
    forward: async (to) => {
      const socket = 'socket' in to ? connect(to.socket) : connect(to.port, to.host);
      await once(socket, 'connect');
      return socket;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function runHere(
  argv: readonly string[],
  home: string,
  options: CommandOptions,
): Promise<CommandResult> {
  const [program = '', ...rest] = argv;
  const { signal, timeoutMs, cwd = home, env, stdin, onOutput, stdoutTo } = options;
  signal.throwIfAborted();
  await mkdir(home, { recursive: true });
  const child = spawn(program, rest, { cwd, env: { ...process.env, ...env }, detached: true, stdio: 'pipe' });
  const kill = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  let late = false;
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          late = true;
          kill();
        }, timeoutMs);
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  const output = { stdout: '', stderr: '' };
  const take = (key: 'stdout' | 'stderr') => (chunk: string) => {
    output[key] += chunk;
    onOutput?.(chunk);
  };
  child.stderr.setEncoding('utf8').on('data', take('stderr'));
  if (stdoutTo === undefined) child.stdout.setEncoding('utf8').on('data', take('stdout'));
  else child.stdout.pipe(stdoutTo);
  child.stdin.on('error', () => {});
  if (stdin === undefined || typeof stdin === 'string') child.stdin.end(stdin ?? '');
  else stdin.pipe(child.stdin);
  try {
    const [exitCode, name] = (await once(child, 'close')) as [number | null, string | null];
    if (stdoutTo !== undefined) await finished(stdoutTo);
    signal.throwIfAborted();
    if (late) throw new ClonaError('guestFailed', 'too late', { details: { timeoutMs } });
    return { exitCode, signal: name, ...output };
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing) return { exitCode: 127, signal: null, ...output };
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
}
