import { stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../archive/durable-file.ts';
import { listMirrored, mirrorFolder } from '../archive/log-mirror.ts';
import type { Archive } from '../archive/repository.ts';
import { listFolder } from '../databases/postgres/catalog-folder.ts';

/**
 * Segments of the stream that lie whole and compressed in the same folder's log, too. The newest of a timeline is left:
 * a receiver that begins again looks for it.
 */
export async function listArchivedStreams(archive: Archive): Promise<{ path: string; sizeBytes: number }[]> {
  const found: { path: string; sizeBytes: number }[] = [];
  for (const { name: timeline } of await listFolder(join(archive.folder, mirrorFolder))) {
    if (!/^[0-9A-F]{8}$/.test(timeline)) continue;
    for (const { name, path, sizeBytes } of (await listMirrored(archive, timeline)).slice(0, -1)) {
      const isArchived = await stat(join(archive.folder, 'log', timeline, `${name}.zst`)).then(
        ({ size }) => size > 0,
        () => false,
      );
      if (isArchived) found.push({ path, sizeBytes });
    }
  }
  return found;
}

/** Removes them; says how many. Without this the stream would keep the whole log a second time, raw. */
export async function dropArchivedStreams(archive: Archive): Promise<number> {
  const found = await listArchivedStreams(archive);
  for (const { path } of found) {
    await unlink(path).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
  }
  return found.length;
}
