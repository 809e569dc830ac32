import { constants } from 'node:fs';
import { copyFile, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveError, errorCode } from '../archive/durable-file.ts';
import { openRegular } from '../archive/regular-file.ts';
import { removeBackup } from '../archive/remove.ts';
import { draftBackup, listBackups, readGrades, writeGrades, type Archive } from '../archive/repository.ts';
import { proveChecksums } from '../databases/postgres/prove/checksums.ts';
import { ClonaError, toClonaError } from '../errors.ts';
import { withProgress, type OnProgress } from '../progress.ts';

export interface MirrorWork {
  workers: number;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/**
 * Brings every backup that the mirror lacks there, newest first, and reads each copy back: a restore then needs one of
 * the two folders only. A mirror that is away or full stops nothing: what happened is said, one sentence each, and the
 * next backup catches up. A copy is a backup only when it is whole, as in the archive itself.
 */
export async function mirrorBackups(
  archive: Archive,
  mirror: Archive | undefined,
  work: MirrorWork,
): Promise<string[]> {
  if (mirror === undefined) return [];
  try {
    const there = new Set((await listBackups(mirror)).map(({ label }) => label));
    const missing = (await listBackups(archive)).filter(
      ({ label, problem }) => problem === undefined && !there.has(label),
    );
    for (const { label } of missing.toReversed()) {
      await withProgress(work.onProgress, `copying backup ${label} to the mirror`, async () =>
        copyBackup(archive, mirror, label, work),
      );
    }
    return [];
  } catch (error) {
    work.signal.throwIfAborted();
    return [`the mirror does not have every backup: ${toClonaError(error).message}`];
  }
}

async function copyBackup(archive: Archive, mirror: Archive, label: string, work: MirrorWork): Promise<void> {
  const source = (await listBackups(archive)).find((backup) => backup.label === label);
  // Removed by a retention meanwhile.
  if (source?.header === undefined) return;
  {
    await using draft = await draftBackup(mirror, label);
    const names = [...source.header.archives.map(({ name }) => name), 'backup_manifest', 'evidence.json'];
    for (const name of names) {
      work.signal.throwIfAborted();
      await copyDurably(join(source.folder, name), join(draft.folder, name), name === 'evidence.json');
    }
    await draft.publish(source.header);
  }
  const { passed, problems } = await proveChecksums({ archiveDir: mirror.folder, label, ...work });
  if (!passed) {
    await removeBackup(mirror, label);
    const [first] = problems;
    throw new ClonaError(
      'proofFailed',
      `the copy of ${label} reads back damaged: ${first?.file} ${first?.message}`,
    );
  }
  const grades = await readGrades(archive, label);
  if (grades.length > 0) await writeGrades(mirror, label, grades);
}

async function copyDurably(from: string, to: string, isOptional: boolean): Promise<void> {
  try {
    if (isOptional && (await stat(from).catch(() => undefined)) === undefined) return;
    // A pipe under this name would let the copy wait for ever.
    await (await openRegular(from)).close();
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await using file = await open(to, 'r+');
    await file.datasync();
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    throw archiveError(error, to);
  }
}
