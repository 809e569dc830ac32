import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../archive/durable-file.ts';
import { openOrCreateArchive, type Archive, type ArchiveIdentity } from '../archive/repository.ts';
import { replaceFile } from '../control/files.ts';
import { ClonaError } from '../errors.ts';
import type { Site } from '../site/site.ts';

/**
 * The archive or mirror in a folder of the site, made on first use. Where this host has seen one before, none is made
 * anew: the mount point of a disk that is away looks just like a new folder. Throws `archiveMissing` then.
 */
export async function openPlace(
  { control }: Pick<Site, 'control'>,
  folder: string,
  identity: ArchiveIdentity,
): Promise<Archive> {
  const memory = join(control.directory, 'archives.json');
  const known = await readKnown(memory);
  if (known.includes(folder) && (await isAbsent(join(folder, 'clona-archive.json')))) {
    throw new ClonaError('archiveMissing', `the archive is gone from ${folder}, where it was before`, {
      hint: `mount its disk; if it is lost for good, take its line out of ${memory}: then a new one begins there`,
    });
  }
  const archive = await openOrCreateArchive(folder, identity, new Date());
  if (!known.includes(folder)) {
    await mkdir(control.directory, { recursive: true });
    await replaceFile(memory, `${JSON.stringify([...known, folder].sort(), null, 2)}\n`, 0o600);
  }
  return archive;
}

async function readKnown(path: string): Promise<string[]> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(value) ? value.map(String) : [];
  } catch {
    return [];
  }
}

async function isAbsent(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    (error: unknown) => errorCode(error) === 'ENOENT',
  );
}
