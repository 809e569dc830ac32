import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Writes a new file beside it, syncs and renames: readers see the old content or the new one, never a part. */
export async function replaceFile(path: string, content: string, mode: number): Promise<void> {
  const partial = join(dirname(path), `.${randomUUID()}.partial`);
  try {
    await using file = await open(partial, 'wx', mode);
    await file.writeFile(content);
    await file.sync();
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
