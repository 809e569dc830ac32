import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';

/** Entries in the order of their names; a folder that is not there is empty. */
export async function listFolder(path: string): Promise<Dirent[]> {
  try {
    return (await readdir(path, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
