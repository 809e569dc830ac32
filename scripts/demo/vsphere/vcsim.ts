import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** A vCenter simulator (govmomi's vcsim) of one's own, with govc to arrange its inventory. */
export interface Vcsim extends AsyncDisposable {
  /** host:port */
  server: string;
  user: string;
  password: string;
  /** Folder with vcsim, govc, pulumi and the vSphere provider. */
  tools: string;
  govc: (...args: string[]) => string;
  /** False: it ended by itself. */
  isRunning: () => boolean;
}

/** The folder of PATH that holds a program. */
export function findOnPath(program: string): string | undefined {
  return (process.env['PATH'] ?? '').split(delimiter).find((folder) => existsSync(join(folder, program)));
}

/** The folder that holds the simulator: PATH, else CLONA_TOOLCHAIN unpacked; undefined where there is none. */
export function findVcsim(): string | undefined {
  return findOnPath('vcsim') ?? (process.env['CLONA_TOOLCHAIN'] === undefined ? undefined : 'toolchain');
}

/** Starts a simulator on a free port of loopback; `flags` as of vcsim. */
export async function startVcsim(flags: readonly string[] = []): Promise<Vcsim> {
  const folder = mkdtempSync(join(tmpdir(), 'clona-vcsim-'));
  const tools = findVcsim() === 'toolchain' ? unpack(folder) : findVcsim()!;
  const envFile = join(folder, 'env');
  writeFileSync(envFile, '');
  const child = spawn(join(tools, 'vcsim'), ['-l', '127.0.0.1:0', '-stdinexit', '-E', envFile, ...flags], {
    // Its end with ours, also by a kill: then its standard input ends.
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.stdin?.on('error', () => {});
  const stop = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  const url = await started(child, envFile).catch((error: unknown) => {
    stop();
    throw error;
  });
  return {
    server: url.host,
    user: 'user',
    password: 'pass',
    tools,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    govc: (...args) => {
      const env = {
        ...process.env,
        GOVC_URL: url.href,
        GOVC_INSECURE: '1',
        GOVMOMI_HOME: join(folder, 'govmomi'),
      };
      const { status, stdout, stderr } = spawnSync(join(tools, 'govc'), args, { encoding: 'utf8', env });
      if (status !== 0) throw new Error(`govc ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
    async [Symbol.asyncDispose]() {
      const gone = new Promise((done) => child.once('exit', done));
      stop();
      if (child.exitCode === null && child.signalCode === null) await gone;
    },
  };
}

function unpack(folder: string): string {
  const tools = join(folder, 'tools');
  const { status, stderr } = spawnSync(join(resolve(process.env['CLONA_TOOLCHAIN']!), 'unpack'), [tools], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the toolchain does not unpack: ${stderr}`);
  return tools;
}

async function started(child: ChildProcess, envFile: string): Promise<URL> {
  for (let tries = 0; tries < 600; tries += 1) {
    const url = /GOVC_URL=(\S+)/.exec(readFileSync(envFile, 'utf8'))?.[1];
    if (url !== undefined) return new URL(url);
    if (child.exitCode !== null) throw new Error(`vcsim ended with ${child.exitCode}`);
    await wait(50);
  }
  throw new Error('vcsim does not start');
}
