import { execFile } from 'node:child_process';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ClonaError } from '../../errors.ts';
import { silent, withProgress, type OnProgress } from '../../progress.ts';
import { buildEngine } from './toolchain-build.ts';
import { downloadEngine, type DownloadPlace } from './toolchain-download.ts';
import { isExecutable, unpackToolchain } from './toolchain-unpack.ts';

const execute = promisify(execFile);

/** The version that is tested, fetched and built; another one on PATH is taken when it is not too old. */
export const pulumiVersion = '3.259.0';
const oldestVersion = [3, 200] as const;

export interface Toolchain {
  /** The Pulumi command, absolute. */
  pulumi: string;
  /** pulumi-language-nodejs; only `pulumi up` in a folder needs it, programs of the Automation API do not. */
  languageHost: string | null;
  version: string;
  source: 'path' | 'tools' | 'toolchain' | 'download' | 'build';
  /** PATH for the engine: its own folder first, where it also finds plugins ("ambient" ones). */
  path: string;
}

export interface ToolchainOptions {
  /** `.tools` is in this folder. */
  folder: string;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
  /** Default: process.env. PATH and CLONA_TOOLCHAIN are read. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** False: only look, neither unpack, fetch nor build. Default true. */
  mayInstall?: boolean | undefined;
  /** Where releases are fetched from; for tests. */
  download?: DownloadPlace | undefined;
}

/**
 * Finds the Pulumi engine: on PATH, in `.tools`, in the folder of CLONA_TOOLCHAIN (its `unpack DIR` script), by the
 * official download, by a build from source with Go. What the last three bring lands in `.tools`. Throws
 * `toolchainMissing` with what was tried and the ways out.
 */
export async function findToolchain(options: ToolchainOptions): Promise<Toolchain> {
  const { env = process.env, signal, onProgress = silent, mayInstall = true } = options;
  const tools = resolve(options.folder, '.tools');
  const tried: string[] = [];
  for (const [source, folders] of [
    ['path', (env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder))],
    ['tools', [tools, join(tools, 'bin')]],
  ] as const) {
    const found = await lookIn(folders, source, env, tried, signal);
    if (found !== undefined) return found;
  }
  if (mayInstall) {
    for (const way of installWays(options, env, tools)) {
      const found = await tryWay(way, tools, env, tried, signal, onProgress);
      if (found !== undefined) return found;
    }
  }
  throw missingError(tried);
}

interface InstallWay {
  source: 'toolchain' | 'download' | 'build';
  step: string;
  /** Returns why it cannot be gone, or undefined when `.tools` is filled. */
  go: (onProgress: OnProgress) => Promise<string | undefined>;
}

function installWays(
  { signal, download }: ToolchainOptions,
  env: Readonly<Record<string, string | undefined>>,
  tools: string,
): InstallWay[] {
  const given = env['CLONA_TOOLCHAIN'];
  return [
    {
      source: 'toolchain',
      step: 'unpack the toolchain',
      go: async () =>
        given === undefined ? 'CLONA_TOOLCHAIN is not set' : unpackToolchain(resolve(given), tools, signal),
    },
    {
      source: 'download',
      step: `fetch Pulumi ${pulumiVersion}`,
      go: async (onProgress) => downloadEngine(pulumiVersion, tools, signal, onProgress, download),
    },
    {
      source: 'build',
      step: `build Pulumi ${pulumiVersion} with Go`,
      go: async (onProgress) => buildEngine(pulumiVersion, tools, env, signal, onProgress),
    },
  ];
}

async function tryWay(
  { source, step, go }: InstallWay,
  tools: string,
  env: Readonly<Record<string, string | undefined>>,
  tried: string[],
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<Toolchain | undefined> {
  let reason: string | undefined;
  try {
    await withProgress(onProgress, step, async () => {
      reason = await go((event) => onProgress({ ...event, step }));
      if (reason !== undefined) throw new Error(reason);
    });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ClonaError && error.kind === 'diskFull') throw error;
    tried.push(`${step}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  return lookIn([tools], source, env, tried, signal);
}

async function lookIn(
  folders: readonly string[],
  source: Toolchain['source'],
  env: Readonly<Record<string, string | undefined>>,
  tried: string[],
  signal: AbortSignal,
): Promise<Toolchain | undefined> {
  for (const folder of folders) {
    const pulumi = join(folder, 'pulumi');
    if (!(await isExecutable(pulumi))) continue;
    const version = await readVersion(pulumi, signal);
    if (version === undefined) tried.push(`${pulumi}: it does not run`);
    else if (isTooOld(version))
      tried.push(`${pulumi}: version ${version} is older than ${oldestVersion.join('.')}`);
    else {
      const path = [...new Set([dirname(pulumi), ...(env['PATH'] ?? '').split(delimiter)])].join(delimiter);
      return { pulumi, version, source, path, languageHost: await findOn(path, 'pulumi-language-nodejs') };
    }
  }
  if (source === 'path') tried.push('PATH: no pulumi on it that would do');
  if (source === 'tools') tried.push('.tools: no pulumi in it');
  return undefined;
}

async function readVersion(pulumi: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: 'true' };
    const { stdout } = await execute(pulumi, ['version'], { env, signal, timeout: 30_000 });
    return /^v?(\d+\.\d+\.\d+\S*)/.exec(stdout.trim())?.[1];
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1]);
}

async function findOn(path: string, name: string): Promise<string | null> {
  for (const folder of path.split(delimiter)) {
    if (isAbsolute(folder) && (await isExecutable(join(folder, name)))) return join(folder, name);
  }
  return null;
}

function missingError(tried: readonly string[]): ClonaError {
  return new ClonaError('toolchainMissing', 'the Pulumi engine is not here, and could not be brought here', {
    hint: [
      'install Pulumi from pulumi.com/docs/install so that it is on PATH',
      'or put the pulumi program into .tools',
      'or set CLONA_TOOLCHAIN to a folder with an unpack script',
      'or allow the download from get.pulumi.com',
      'or install Go 1.25 or newer for a build from source',
    ].join('; '),
    details: { tried },
  });
}
