import { ok, warning, type Finding, type Patient } from './check.ts';

/** R14: each backup lies in archive and mirror; one broken disk then ends nothing. */
export async function backupPlaces({ site, signal }: Patient): Promise<Finding[]> {
  const { location, mirror } = site.archive;
  if (mirror === undefined) return [];
  const { readArchive } = await import('../databases/postgres/catalog.ts');
  const { describePlaces } = await import('../databases/postgres/catalog-places.ts');
  const found = await readArchive({ archiveDir: location, mirrorDir: mirror }, signal).catch(() => undefined);
  if (found === undefined || found.folders.length < 2) return [];
  const { missing } = describePlaces(found.folders);
  if (missing.length === 0) return [ok('every backup lies in archive and mirror')];
  return missing.map((said) => warning(said, 'the next clona backup copies what is missing in the mirror'));
}
