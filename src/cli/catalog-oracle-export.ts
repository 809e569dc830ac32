import { readFile, stat } from 'node:fs/promises';
import { describeExport } from '../databases/oracle/export-entry.ts';
import { rememberBackup, rememberOracle } from '../databases/oracle/site-catalog.ts';
import { ClonaError } from '../errors.ts';
import { textOption } from './confirm.ts';
import type { OracleSite } from './read-catalog.ts';
import type { OptionValues, VerbContext } from './verb.ts';

/** `clona catalog --add-export LOG`: an export that ended well becomes part of what is remembered; its label. */
export async function addExport(
  { signal, note }: VerbContext,
  options: OptionValues,
  { catalog, facts, readAt, places, site }: OracleSite,
  logFile: string,
): Promise<string> {
  if (site === undefined) throw new ClonaError('usage', '--add-export needs the site, not only the archive');
  const [log, { mtimeMs }] = await Promise.all([
    readFile(logFile, { encoding: 'utf8', signal }),
    stat(logFile),
  ]).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new ClonaError('fileUnreadable', `cannot read ${logFile}`, { cause });
  });
  const given = options['dump'];
  const label = textOption(options, 'label');
  const dumpFiles = Array.isArray(given) ? given.map(String) : [];
  const entry = describeExport(catalog, { log, finishedMs: Math.floor(mtimeMs), dumpFiles, label });
  const sizes = await Promise.all(
    entry.dumpFiles.map(async (path) =>
      stat(path).then(
        ({ size }) => size,
        () => null,
      ),
    ),
  );
  const isWhole = sizes.length > 0 && sizes.every((size) => size !== null);
  if (!isWhole) entry.warnings.push('not every dump file can be seen from here: grade 0 until it can');
  for (const line of entry.warnings) note(`warning: ${line}`);
  const bytes = isWhole ? sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) : null;
  const grade = isWhole && entry.logIsOk ? 2 : 0;
  // What is remembered must be of now, or a first export would have nothing to be added to.
  if (readAt !== undefined) await rememberOracle({ catalog, facts, warnings: [] }, places, readAt);
  await rememberBackup(places, { ...entry.backup, bytes, grade }, entry.dumpFiles, signal);
  return entry.backup.label;
}
