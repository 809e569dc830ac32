import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ClonaError } from '../errors.ts';

/** Makes a folder's entries (new names, renames) survive a loss of power. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and every missing parent, each with its entry on disk. */
export async function makeFolderDurably(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o750 });
  if (first === undefined) return;
  for (let made = folder; made !== dirname(first); made = dirname(made)) await syncFolder(dirname(made));
}

/** A hidden name beside `path`: what is found under such a name was never finished. */
export function unfinishedName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}.new`);
}

/** Writes to a new name, syncs, renames over `path`, syncs the folder. After a crash: the old content or the new. */
export async function writeDurably(path: string, content: string | Buffer): Promise<void> {
  const fresh = unfinishedName(path);
  try {
    const handle = await open(fresh, 'wx', 0o640);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(fresh, { force: true });
    throw archiveError(error, path);
  }
}

/** A full disk as `diskFull` (exit 6) with its path, what is no folder as `archiveDamaged`, another failure of the file system as `archiveMissing`. */
export function archiveError(thrown: unknown, path: string): ClonaError {
  if (thrown instanceof ClonaError) return thrown;
  const code = errorCode(thrown);
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ClonaError('diskFull', `no space left for ${path}`, {
      cause: thrown,
      hint: 'free space on that disk and run the same command again; what was half written is removed',
    });
  }
  if (code === 'ENOTDIR' || code === 'ELOOP') {
    return new ClonaError('archiveDamaged', `${path} is not what an archive has there: ${said}`, {
      cause: thrown,
      hint: 'something else lies in its place: put it away, and look for the archive in its mirror',
      details: { file: path },
    });
  }
  if (code === undefined) return new ClonaError('internal', said, { cause: thrown });
  return new ClonaError('archiveMissing', `${path} cannot be read or written: ${said}`, {
    cause: thrown,
    hint: 'is the disk of the archive mounted, and may this user write there?',
  });
}

export function errorCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined;
}
