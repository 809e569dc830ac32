import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { archiveError, errorCode } from '../../archive/durable-file.ts';

/** Entries in the order of their names; a folder that is not there is empty. Throws `archiveDamaged` for what is no folder. */
export async function listFolder(path: string): Promise<Dirent[]> {
  try {
    return (await readdir(path, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw archiveError(error, path);
  }
}
