import type { ArchiveFolder } from './catalog-files.ts';

/** Which backups lie in both places; `missing`: one sentence for each that has no second copy. */
export function describePlaces(folders: readonly ArchiveFolder[]): { said: string[]; missing: string[] } {
  const [first, second] = folders;
  if (first === undefined || second === undefined) return { said: [], missing: [] };
  const labels = (folder: ArchiveFolder): Set<string> =>
    new Set(folder.backups.filter(({ state }) => state === 'available').map(({ label }) => label));
  const [here, there] = [labels(first), labels(second)];
  const both = [...here].filter((label) => there.has(label));
  const lacks = (folder: ArchiveFolder, other: Set<string>, own: Set<string>): string[] =>
    [...own]
      .filter((label) => !other.has(label))
      .map((label) => `backup ${label} lies in ${folder.dir} only`);
  const missing = [...lacks(first, there, here), ...lacks(second, here, there)];
  const said = both.length === 0 ? [] : [`in archive and mirror: ${both.join(', ')}`];
  return { said, missing };
}
