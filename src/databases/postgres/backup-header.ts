import type { BackupHeader } from '../../archive/format.ts';
import { listBackups, type Archive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import type { CopiedFacts } from './backup-context.ts';
import type { ServerFacts } from './backup-facts.ts';

/** What is known of a backup beside what its copying found out. */
type OtherFacts = Pick<
  BackupHeader,
  | 'label'
  | 'kind'
  | 'systemIdentifier'
  | 'database'
  | 'serverVersion'
  | 'device'
  | 'startedAt'
  | 'finishedAt'
  | 'requirements'
  | 'extraRedo'
>;

export function makeHeader(copied: CopiedFacts, others: OtherFacts): BackupHeader {
  return {
    format: 1,
    ...others,
    ...copied,
    rawBytes: sum(copied.archives, 'rawBytes'),
    compressedBytes: sum(copied.archives, 'compressedBytes'),
    encryption: null,
  };
}

/** Throws `archiveForeign` and `databaseVersion`. */
export function checkSource(
  facts: Pick<ServerFacts, 'systemIdentifier' | 'serverVersion'>,
  archive: Archive,
): void {
  if (facts.systemIdentifier !== archive.header.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `the archive in ${archive.folder} belongs to the database with system identifier ${archive.header.systemIdentifier}, this one has ${facts.systemIdentifier}`,
      { hint: 'a backup goes only into the archive of its own database' },
    );
  }
  if (facts.serverVersion < 150_000) {
    throw new ClonaError(
      'databaseVersion',
      `PostgreSQL ${Math.floor(facts.serverVersion / 10_000)} is not supported`,
      {
        hint: '15 to 18 are',
      },
    );
  }
}

/** Sorts by time: 20260721T101500Z-managed. */
export function makeLabel(at: Date, kind: string): string {
  return `${at.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '')}-${kind}`;
}

export function sum(archives: BackupHeader['archives'], field: 'rawBytes' | 'compressedBytes'): number {
  return archives.reduce((total, archive) => total + archive[field], 0);
}

export function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

/** The second one of the same second is `…-2`; only a label that somebody chose may be refused. */
export async function findFreeLabel(archive: Archive, label: string): Promise<string> {
  const taken = new Set((await listBackups(archive)).map((backup) => backup.label));
  let free = label;
  for (let n = 2; taken.has(free); n += 1) free = `${label}-${n}`;
  return free;
}
