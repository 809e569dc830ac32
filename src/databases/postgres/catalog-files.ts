import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../archive/durable-file.ts';
import type { ArchiveHeader, BackupHeader } from '../../archive/format.ts';
import {
  judgeGrades,
  listBackups,
  openArchive,
  refuseVanished,
  type Archive,
  type BackupEntry,
} from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import type { RecordState } from '../../recovery/catalog.ts';
import { judgePin } from '../../archive/pins.ts';
import { largestDocumentBytes, readRegular } from '../../archive/regular-file.ts';
import { readLogFolder, type FoundHistory, type FoundSegment } from './catalog-log.ts';
import { parseBackupManifest, type BackupManifest } from './manifest.ts';

/** One folder of an archive (primary or mirror) as found by cheap looks: names, sizes, small files. */
export interface ArchiveFolder {
  dir: string;
  header: ArchiveHeader;
  backups: FoundBackup[];
  segments: FoundSegment[];
  histories: FoundHistory[];
  warnings: string[];
}

export interface FoundBackup {
  label: string;
  dir: string;
  /** null: unreadable; the state is then `damaged`. */
  header: BackupHeader | null;
  /** null: unreadable; the state is then `damaged`. */
  manifest: BackupManifest | null;
  grade: number | null;
  /** Why its record of grades does not read. */
  gradeProblem: string | null;
  pinned: boolean;
  /** Why its pin does not read. */
  pinProblem: string | null;
  state: RecordState;
  /** Why it is not available. */
  problem: string | null;
  isForeign: boolean;
}

/** Reads what lies in an archive's folder. Throws `archiveMissing` or, for its own header, `archiveDamaged`. */
export async function readArchiveFolder(dir: string, signal: AbortSignal): Promise<ArchiveFolder> {
  const archive = await openArchive(dir);
  const backups: FoundBackup[] = [];
  for (const entry of await listBackups(archive)) {
    signal.throwIfAborted();
    const backup = await examine(archive, entry);
    // A folder with neither header nor manifest was never a backup.
    if (backup.header !== null || backup.manifest !== null) backups.push(backup);
  }
  const warnings = backups.flatMap(({ label, state, problem, gradeProblem, pinProblem }) => [
    ...(problem === null ? [] : [`backup ${label} is ${state}: ${problem}`]),
    ...(gradeProblem === null ? [] : [`what was proven of backup ${label} does not read: ${gradeProblem}`]),
    ...(pinProblem === null ? [] : [`the pin of backup ${label} does not read, and counts: ${pinProblem}`]),
  ]);
  const { segments, histories } = await readLogFolder(dir, archive.header, warnings, signal);
  // Folders that went away meanwhile read as empty ones.
  await refuseVanished(dir);
  return { dir, header: archive.header, backups, segments, histories, warnings };
}

async function examine(archive: Archive, entry: BackupEntry): Promise<FoundBackup> {
  const pin = await judgePin(entry.folder);
  const backup: FoundBackup = {
    label: entry.label,
    dir: entry.folder,
    header: entry.header ?? null,
    manifest: null,
    grade: null,
    gradeProblem: null,
    pinned: pin.pinned,
    pinProblem: pin.problem,
    state: 'available',
    problem: null,
    isForeign: false,
  };
  try {
    const content = await readManifest(entry.folder);
    backup.manifest = parseBackupManifest(content, 'backup_manifest');
    if (entry.header === undefined)
      throw entry.problem ?? new ClonaError('archiveDamaged', 'its header does not read');
    checkIdentity(entry.header, backup.manifest, content);
    await checkSizes(entry.folder, entry.header);
    Object.assign(backup, await readGrade(archive, entry.label));
  } catch (error) {
    if (!(error instanceof ClonaError)) throw error;
    const problem = entry.problem?.kind === 'archiveForeign' ? entry.problem : error;
    backup.state = problem.details?.['state'] === 'missing' ? 'missing' : 'damaged';
    backup.problem = problem.message;
    backup.isForeign = problem.kind === 'archiveForeign';
  }
  return backup;
}

/** Throws `archiveDamaged`: absent, no file, or one that this host cannot read. */
export async function readManifest(folder: string): Promise<Buffer> {
  try {
    return await readRegular(join(folder, 'backup_manifest'), { maxBytes: largestDocumentBytes });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw missing('backup_manifest is not there');
    if (error instanceof ClonaError) throw error;
    throw new ClonaError('archiveDamaged', 'backup_manifest cannot be read', { cause: error });
  }
}

/** What a header says is compared with what the manifest says; each has a checksum of its own. */
function checkIdentity(header: BackupHeader, manifest: BackupManifest, content: Buffer): void {
  const wrong = (what: string): ClonaError => new ClonaError('archiveDamaged', what);
  if (createHash('sha256').update(content).digest('hex') !== header.manifestSha256) {
    throw wrong('backup_manifest is not the one its header names');
  }
  if (manifest.systemIdentifier !== null && manifest.systemIdentifier !== header.systemIdentifier) {
    throw new ClonaError('archiveForeign', `its manifest is of system ${manifest.systemIdentifier}`);
  }
  const [first] = manifest.logRanges;
  const last = manifest.logRanges.at(-1);
  if (first === undefined || last === undefined) return;
  // A quiesced backup is consistent only at its restore point, behind the stop position; a cold one where the record of its
  // checkpoint begins, which its manifest names whole.
  const isBehind = header.kind !== 'cold' && last.end > BigInt(header.consistentFrom);
  if (first.start > BigInt(header.start) || isBehind) {
    throw wrong('its header and its manifest name different log');
  }
}

async function checkSizes(folder: string, header: BackupHeader): Promise<void> {
  for (const { name, compressedBytes } of header.archives) {
    const found = await stat(join(folder, name)).catch(() => null);
    if (found === null) throw missing(`${name} is not there`);
    if (found.size !== compressedBytes) {
      throw new ClonaError(
        'archiveDamaged',
        `${name} has ${found.size} bytes and should have ${compressedBytes}`,
      );
    }
  }
}

function missing(what: string): ClonaError {
  return new ClonaError('archiveDamaged', what, { details: { state: 'missing' } });
}

/** The highest grade that stands; a broken record of grades only loses the grades. */
async function readGrade(
  archive: Archive,
  label: string,
): Promise<Pick<FoundBackup, 'grade' | 'gradeProblem'>> {
  const { grades, problem } = await judgeGrades(archive, label);
  return {
    grade: grades.reduce<number | null>(
      (best, { grade }) => (best === null || grade > best ? grade : best),
      null,
    ),
    gradeProblem: problem,
  };
}
