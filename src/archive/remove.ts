import { readdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveError, errorCode, syncFolder } from './durable-file.ts';
import { backupFolder, type Archive } from './repository.ts';

const removedSuffix = '.removed';

/**
 * Removes a backup: first it stops being one (renamed to a hidden name, synced), then its files go. After a crash it
 * is either whole or no backup at all. A backup that is gone already is fine.
 */
export async function removeBackup(archive: Archive, label: string): Promise<void> {
  const folder = backupFolder(archive, label);
  const hidden = join(archive.folder, 'backups', `.${label}${removedSuffix}`);
  try {
    await rm(hidden, { recursive: true, force: true });
    await rename(folder, hidden);
    await syncFolder(join(archive.folder, 'backups'));
    await rm(hidden, { recursive: true, force: true });
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw archiveError(error, folder);
  }
}

/** Deletes what a removal that was interrupted left behind. */
export async function finishRemovals(archive: Archive): Promise<void> {
  const folder = join(archive.folder, 'backups');
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw archiveError(error, folder);
  });
  const left = names.filter((name) => name.startsWith('.') && name.endsWith(removedSuffix));
  for (const name of left) await rm(join(folder, name), { recursive: true, force: true });
}

/** Removes one segment of the log, as archived and as mirrored. One that is gone already is fine. */
export async function removeLogSegment(
  archive: Archive,
  timelineName: string,
  segmentName: string,
): Promise<void> {
  const paths = [
    join(archive.folder, 'log', timelineName, `${segmentName}.zst`),
    join(archive.folder, 'stream', timelineName, segmentName),
  ];
  for (const path of paths) {
    await unlink(path).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw archiveError(error, path);
    });
  }
}
