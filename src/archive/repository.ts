import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import { encodeDocument, readDocument } from './document.ts';
import { archiveError, errorCode, makeFolderDurably, syncFolder, writeDurably } from './durable-file.ts';
import { makeEvidenceNote, writeEvidenceNote, type Taken } from './evidence-note.ts';
import type { ArchiveHeader, BackupHeader, GradeRecord } from './format.ts';
import { archiveHeaderSchema, backupHeaderSchema, gradesSchema } from './headers.ts';
import { describeWriter, isWriterHere, parseWriter, type Writer } from './writer.ts';

/** A folder of the form that src/archive/format.ts describes: an archive or a mirror. */
export interface Archive {
  folder: string;
  header: ArchiveHeader;
}

export const headerName = 'clona-archive.json';

/** Throws `archiveMissing` where there is none, `archiveDamaged` where its header does not read. */
export async function openArchive(folder: string): Promise<Archive> {
  const header = await readDocument(join(folder, headerName), archiveHeaderSchema);
  if (header === undefined) {
    throw new ClonaError('archiveMissing', `${folder} holds no archive: ${headerName} is not there`, {
      hint: 'is the disk of the archive mounted? the first backup makes a new archive',
    });
  }
  return { folder, header };
}

/**
 * A disk that is gone (unmounted, stale) makes every file look damaged. Asked before damage is believed of an archive that was
 * open: throws `archiveMissing`.
 */
export async function refuseVanished(folder: string): Promise<void> {
  const path = join(folder, headerName);
  await stat(path).catch((cause: unknown) => {
    throw new ClonaError('archiveMissing', `the archive ${folder} disappeared while it was being read`, {
      cause,
      hint: 'is its disk still mounted? run the same command again once it is',
      details: { archive: folder, vanished: true },
    });
  });
}

export type ArchiveIdentity = Pick<ArchiveHeader, 'database' | 'systemIdentifier' | 'segmentSizeBytes'>;

/**
 * Opens the archive of one database, or makes it in an absent or empty folder. Throws `archiveForeign` where it is
 * another database's: two servers would write other content under the same log names.
 */
export async function openOrCreateArchive(
  folder: string,
  identity: ArchiveIdentity,
  now: Date,
): Promise<Archive> {
  const found = await readDocument(join(folder, headerName), archiveHeaderSchema);
  if (found === undefined) return createArchive(folder, identity, now);
  if (
    found.systemIdentifier !== identity.systemIdentifier ||
    found.segmentSizeBytes !== identity.segmentSizeBytes
  ) {
    throw new ClonaError(
      'archiveForeign',
      `${folder} is the archive of database ${found.database} with system identifier ${found.systemIdentifier}, not of ${identity.systemIdentifier}`,
      { hint: 'choose another folder for this database; a folder holds the archive of one database only' },
    );
  }
  return { folder, header: found };
}

async function createArchive(folder: string, identity: ArchiveIdentity, now: Date): Promise<Archive> {
  const header: ArchiveHeader = { format: 1, engine: 'postgres', ...identity, createdAt: now.toISOString() };
  try {
    await makeFolderDurably(folder);
    const inside = (await readdir(folder)).filter((name) => name !== 'lost+found' && !name.endsWith('.new'));
    if (inside.length > 0) {
      throw new ClonaError('archiveForeign', `${folder} is not empty and holds no archive of clona`, {
        hint: 'choose an empty folder for the archive',
      });
    }
    await makeFolderDurably(join(folder, 'backups'));
    await makeFolderDurably(join(folder, 'log'));
    // Last: a folder with this file is an archive.
    await writeDurably(join(folder, headerName), encodeDocument(header));
  } catch (error) {
    throw archiveError(error, folder);
  }
  return { folder, header };
}

export interface BackupEntry {
  label: string;
  folder: string;
  /** undefined where `problem` says why the header does not read. */
  header: BackupHeader | undefined;
  problem: ClonaError | undefined;
}

/** Every finished backup by label, damaged ones too. What is still being written, or was put there by others, is not listed. */
export async function listBackups(archive: Archive): Promise<BackupEntry[]> {
  const labels = (await listFolder(join(archive.folder, 'backups'))).filter((name) =>
    labelPattern.test(name),
  );
  return Promise.all(
    labels.sort().map(async (label) => {
      const folder = backupFolder(archive, label);
      try {
        return { label, folder, header: await readBackupHeader(archive, label), problem: undefined };
      } catch (error) {
        return { label, folder, header: undefined, problem: archiveError(error, folder) };
      }
    }),
  );
}

export async function readBackupHeader(archive: Archive, label: string): Promise<BackupHeader> {
  const path = join(backupFolder(archive, label), 'backup.json');
  const header = await readDocument(path, backupHeaderSchema);
  if (header === undefined) throw new ClonaError('archiveDamaged', `backup ${label} has no ${path}`);
  if (header.label !== label) {
    throw new ClonaError('archiveDamaged', `${path} is the header of backup ${header.label}`);
  }
  if (header.systemIdentifier !== archive.header.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `backup ${label} was taken of another database (system identifier ${header.systemIdentifier})`,
    );
  }
  return header;
}

const labelPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export function backupFolder(archive: Archive, label: string): string {
  if (!labelPattern.test(label)) {
    throw new ClonaError('usage', `"${label.slice(0, 100)}" cannot be the label of a backup`, {
      hint: 'a label has up to 100 letters, digits, dots, dashes and underscores and begins with a letter or digit',
    });
  }
  return join(archive.folder, 'backups', label);
}

/** A backup being written in a folder of its own; disposing of it unpublished removes the folder. */
export interface BackupDraft extends AsyncDisposable {
  folder: string;
  /**
   * Writes backup.json, and with `taken` an evidence note, syncs and renames the folder: from here on the backup exists.
   */
  publish: (header: BackupHeader, taken?: Taken) => Promise<void>;
}

const writerName = 'writer.json';

/** Begins a backup; removes what an interrupted one left. Throws `locked` while another process writes one here. */
export async function draftBackup(archive: Archive, label: string): Promise<BackupDraft> {
  const target = backupFolder(archive, label);
  const folder = join(archive.folder, 'backups', `.${label}.partial`);
  await removeInterrupted(archive);
  let published = false;
  try {
    if (await stat(target).catch(() => undefined)) {
      throw new ClonaError('usage', `a backup with the label ${label} exists`, {
        hint: 'choose another label',
      });
    }
    await mkdir(folder, { mode: 0o750 });
    await writeFile(join(folder, writerName), JSON.stringify(await describeWriter()));
  } catch (error) {
    throw archiveError(error, folder);
  }
  return {
    folder,
    publish: async (header, taken) => {
      try {
        const text = encodeDocument(header);
        await writeDurably(join(folder, 'backup.json'), text);
        if (taken !== undefined) await writeEvidenceNote(folder, makeEvidenceNote(label, text, taken));
        await rm(join(folder, writerName));
        await syncFolder(folder);
        await rename(folder, target);
        published = true;
        await syncFolder(join(archive.folder, 'backups'));
      } catch (error) {
        throw archiveError(error, target);
      }
    },
    [Symbol.asyncDispose]: async () => {
      if (!published) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Removes drafts whose writer is gone. One on another host cannot be asked, so its draft counts as alive for a day. */
async function removeInterrupted(archive: Archive): Promise<void> {
  const parent = join(archive.folder, 'backups');
  for (const name of await listFolder(parent)) {
    if (!name.startsWith('.') || !name.endsWith('.partial')) continue;
    const folder = join(parent, name);
    const writer = await readFile(join(folder, writerName), 'utf8').then(parseWriter, () => undefined);
    if (writer !== undefined && (await isAlive(writer, folder))) {
      throw new ClonaError(
        'locked',
        `process ${writer.pid} on ${writer.host} is writing the backup ${name.slice(1, -8)}`,
        {
          hint: 'wait for it to end',
        },
      );
    }
    await rm(folder, { recursive: true, force: true });
  }
}

const foreignDraftLifetimeMs = 24 * 3600 * 1000;

async function isAlive(writer: Writer, folder: string): Promise<boolean> {
  if (writer.host === hostname()) return isWriterHere(writer);
  // The archive's own clock decides, not this host's.
  const probe = join(folder, '.probe');
  await writeFile(probe, '');
  const [here, there] = [await stat(probe), await stat(join(folder, writerName))];
  return here.mtimeMs - there.mtimeMs < foreignDraftLifetimeMs;
}

const gradesName = 'grades.json';

/** What was proven of a backup, oldest first; none: an empty list. A record that is damaged proves nothing. */
export async function readGrades(archive: Archive, label: string): Promise<GradeRecord[]> {
  return (await judgeGrades(archive, label)).grades;
}

/** The same, with what is wrong with the record where it does not read. */
export async function judgeGrades(
  archive: Archive,
  label: string,
): Promise<{ grades: GradeRecord[]; problem: string | null }> {
  try {
    const found = await readDocument(join(backupFolder(archive, label), gradesName), gradesSchema);
    return { grades: found?.grades ?? [], problem: null };
  } catch (error) {
    if (!(error instanceof ClonaError) || error.kind !== 'archiveDamaged') throw error;
    return { grades: [], problem: error.message };
  }
}

/** Remembers one more grade; the file changes as a whole or not at all. */
export async function addGrade(archive: Archive, label: string, record: GradeRecord): Promise<void> {
  await writeGrades(archive, label, [...(await readGrades(archive, label)), record]);
}

/** Replaces what is remembered: a failed proof takes grades back (docs/decisions/0051). */
export async function writeGrades(
  archive: Archive,
  label: string,
  grades: readonly GradeRecord[],
): Promise<void> {
  await writeDurably(join(backupFolder(archive, label), gradesName), encodeDocument({ grades }));
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw archiveError(error, folder);
  }
}
