import type { ArchivedLog, Backup, Catalog } from '../../../../recovery/catalog.ts';
import { toInstant } from '../../../../recovery/instant.ts';
import type { ArchiveCatalog } from '../../catalog.ts';
import type { FoundSegment } from '../../catalog-log.ts';

/** The server does not refuse a time before the backup's end when no commit fell into the backup: we do (DOMAIN.md). */
export function withoutYoungerBackups(catalog: Catalog, instantMs: number): Catalog {
  const isOldEnough = ({ finishedAt }: Backup): boolean => {
    const finishedMs = finishedAt === null ? null : toInstant(finishedAt);
    return finishedMs !== null && finishedMs <= instantMs;
  };
  return { ...catalog, backups: catalog.backups.filter(isOldEnough) };
}

/** Marks what turned out to be damaged while it was read, for a new selection. */
export function withoutBackup(archive: ArchiveCatalog, label: string): ArchiveCatalog {
  const backups = archive.catalog.backups.map((backup) =>
    backup.label === label ? { ...backup, state: 'damaged' as const } : backup,
  );
  return { ...archive, catalog: { ...archive.catalog, backups } };
}

export function withoutSegment(
  archive: ArchiveCatalog,
  segment: Pick<FoundSegment, 'timeline' | 'number'>,
): ArchiveCatalog {
  const logs = archive.catalog.logs.map((log): ArchivedLog =>
    log.incarnation === segment.timeline && log.sequence === segment.number
      ? { ...log, state: 'damaged' }
      : log,
  );
  return { ...archive, catalog: { ...archive.catalog, logs } };
}
