import { access, constants, lstat, readFile, realpath, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseMounts } from '../../../../archive/mounts.ts';
import { ClonaError } from '../../../../errors.ts';
import type { RunAs } from '../../server-binaries.ts';
import type { ExaminedTarget } from './place.ts';
import { isThere } from '../unpack/unpack.ts';

/** Where a target on this host really lies: a link is followed, so that what is made beside it is on the same disk. */
export async function resolveTarget(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink() !== true) return path;
  try {
    return await realpath(path);
  } catch (error) {
    throw new ClonaError('targetOccupied', `${path} is a link that leads nowhere`, {
      cause: error,
      hint: 'make the folder it leads to, or name that folder itself',
    });
  }
}

/** Walks up to the first folder that exists: its file system takes the files, and each parent must let the user through. */
export async function examineTarget(path: string, owner: RunAs | null): Promise<ExaminedTarget> {
  const folder = await firstThere(dirname(path));
  const { bavail, bsize } = await statfs(folder);
  return {
    freeBytes: bavail * bsize,
    unreachable: await findUnreachable(folder, owner),
    isMountPoint: await isMountPoint(path),
  };
}

/** What lies in an archive may be removed by its rules of keeping, and a restore leaves the archive as it is. */
export async function refuseInside(archiveDirs: readonly string[], target: string): Promise<void> {
  const real = await realpath(await firstThere(target));
  for (const dir of archiveDirs) {
    const archive = await realpath(dir).catch(() => dir);
    if (real !== archive && !real.startsWith(`${archive}/`)) continue;
    throw new ClonaError('targetOccupied', `${target} lies in the archive ${dir}`, {
      hint: 'restore to a folder outside of the archive and its mirror',
    });
  }
}

async function firstThere(path: string): Promise<string> {
  let folder = path;
  while (!(await isThere(folder)) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

async function findUnreachable(folder: string, owner: RunAs | null): Promise<string | null> {
  if (owner === null) {
    return access(folder, constants.W_OK | constants.X_OK).then(
      () => null,
      () => folder,
    );
  }
  for (let parent = folder; ; parent = dirname(parent)) {
    if (!maySearch(await stat(parent), owner)) return parent;
    if (parent === dirname(parent)) return null;
  }
}

function maySearch(folder: { uid: number; gid: number; mode: number }, { uid, gid }: RunAs): boolean {
  const bit = folder.uid === uid ? 0o100 : folder.gid === gid ? 0o010 : 0o001;
  return (folder.mode & bit) !== 0;
}

/** A bind mount has its parent's device: only the list of mounts knows it. */
async function isMountPoint(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return false;
  if (found.dev !== (await stat(dirname(path))).dev) return true;
  const real = await realpath(path);
  const mounts = parseMounts(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''));
  return mounts.some(({ mountPoint }) => mountPoint === real);
}
