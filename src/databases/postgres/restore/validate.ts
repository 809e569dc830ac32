import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path/posix';
import type { BackupHeader } from '../../../archive/format.ts';
import { ClonaError } from '../../../errors.ts';
import type { PostgresBinaries } from '../server-binaries.ts';
import { isActiveLibrary, libraryName } from './configuration.ts';
import type { RestoreLayout } from './layout.ts';
import type { RestorePlace } from './place/place.ts';

/** Whose half-made restore lies at a target. */
interface Marker {
  format: 1;
  systemIdentifier: string;
  host: string;
  pid: number;
  /** Tells a process from a later one of the same number. */
  born: string;
}

/**
 * Refuses to touch anything that is not ours: a target with anything in it, and a half-made one that no restore of
 * this database left or that another process is working at. `replace`: the target is a restored copy that may
 * be made anew (its files are used where they are right).
 */
export async function claimTarget(
  place: RestorePlace,
  layout: RestoreLayout,
  systemIdentifier: string,
  replace: boolean,
): Promise<void> {
  await checkTarget(place, layout, systemIdentifier, replace);
  await place.makeFolder(layout.work);
  await place.writeText(layout.marker, JSON.stringify(await ownMarker(systemIdentifier)));
  // A server that a killed run left behind would write into what is unpacked now.
  await place.stopServer(layout.partial);
  if (!replace || (await place.isThere(layout.partial))) return;
  if (!(await place.isThere(join(layout.target, 'PG_VERSION')))) return;
  await place.stopServer(layout.target);
  await place.rename(layout.target, layout.partial);
}

/** The same without taking it: for a dry run. */
export async function checkTarget(
  place: RestorePlace,
  layout: RestoreLayout,
  systemIdentifier: string,
  replace: boolean,
): Promise<void> {
  const inside = await place.list(layout.target).catch((error: unknown) => {
    throw new ClonaError('targetOccupied', `${layout.target} is no folder`, { cause: error });
  });
  if (inside !== null && inside.length > 0 && !replace) {
    throw new ClonaError(
      'targetOccupied',
      `${layout.target} is not empty: nothing is restored over what is there`,
      {
        hint: 'name a folder that does not exist yet, or move this one away',
        details: { target: layout.target },
      },
    );
  }
  const begun = [layout.partial, layout.work, layout.tablespaces];
  const there = await Promise.all(begun.map(async (path) => ((await place.list(path)) ?? []).length > 0));
  const marker = parseMarker(await place.readText(layout.marker));
  if (marker === null) {
    const foreign = begun.find((_, index) => there[index]);
    if (foreign === undefined || (replace && foreign === layout.tablespaces)) return;
    throw new ClonaError('targetOccupied', `${foreign} is in the way and was not left by a restore`, {
      hint: 'move it away, or restore to another folder',
      details: { target: foreign },
    });
  }
  if (marker.systemIdentifier !== systemIdentifier) {
    throw new ClonaError('targetOccupied', `${layout.partial} is the half-made restore of another database`, {
      hint: 'remove it, or restore to another folder',
      details: { target: layout.partial },
    });
  }
  if (await isAlive(marker)) {
    throw new ClonaError('locked', `process ${marker.pid} is restoring to ${layout.target}`, {
      hint: 'wait for it to end',
    });
  }
}

async function ownMarker(systemIdentifier: string): Promise<Marker> {
  return {
    format: 1,
    systemIdentifier,
    host: hostname(),
    pid: process.pid,
    born: await birthOf(process.pid),
  };
}

function parseMarker(text: string | null): Marker | null {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return typeof value === 'object' && value !== null && 'format' in value && value.format === 1
      ? (value as Marker) // written by ownMarker alone
      : null;
  } catch {
    return null;
  }
}

async function isAlive({ host, pid, born }: Marker): Promise<boolean> {
  if (host !== hostname() || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return born === (await birthOf(pid));
}

/**
 * Clock ticks since boot at the start of a process (proc_pid_stat(5), field 22); empty where the system does not tell, and for
 * one that has ended and is only not waited for yet.
 */
async function birthOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? '' : (fields[19] ?? '');
}

/** Same major version, minor not older: an older one may not know what the newer one wrote. */
export function checkVersion(
  header: BackupHeader,
  binaries: Pick<PostgresBinaries, 'major' | 'versionNumber' | 'version'>,
): void {
  const major = Math.floor(header.serverVersion / 10_000);
  const minor = header.serverVersion % 10_000;
  if (binaries.major !== major) {
    throw new ClonaError(
      'databaseVersion',
      `the backup is of PostgreSQL ${major}.${minor}, the server here is ${binaries.version}`,
      {
        hint: `install PostgreSQL ${major}, or name its bin folder`,
      },
    );
  }
  if (binaries.versionNumber < header.serverVersion) {
    throw new ClonaError(
      'databaseVersion',
      `the backup is of PostgreSQL ${major}.${minor}, the server here is the older ${binaries.version}`,
      {
        hint: `update the server here to ${major}.${minor} or later`,
      },
    );
  }
}

/** What the cluster needs to find on the host: its extensions' files and the libraries it loads when it starts. */
export async function findMissingParts(
  place: RestorePlace,
  header: BackupHeader,
  binaries: Pick<PostgresBinaries, 'moduleDir' | 'shareDir'>,
): Promise<string[]> {
  const { extensions, preloadLibraries } = header.requirements;
  const wanted = new Map<string, string>();
  for (const { name } of extensions)
    wanted.set(join(binaries.shareDir, 'extension', `${name}.control`), `extension ${name}`);
  const suffix = process.platform === 'darwin' ? 'dylib' : 'so';
  for (const library of preloadLibraries) {
    if (isActiveLibrary(library)) continue;
    const path = library.startsWith('/')
      ? library
      : join(binaries.moduleDir, `${libraryName(library)}.${suffix}`);
    wanted.set(path, `library ${libraryName(library)}`);
  }
  const missing = await place.findMissing([...wanted.keys()]);
  return missing.map((path) => wanted.get(path) ?? path);
}
