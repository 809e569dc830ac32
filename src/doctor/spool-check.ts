import { formatSize } from '../site/units.ts';
import { failed, ok, skipped, warning, type Finding, type Patient } from './check.ts';

/** What the server has handed over and archive and mirror do not have yet: nothing but its disk bounds it. */
export async function logSpool({ production, signal, now }: Patient): Promise<Finding[]> {
  const found = await production().catch(() => undefined);
  if (found === undefined) return [];
  const { judgeSpool, measureSpool, readSpoolFolder } = await import('../databases/postgres/log-spool.ts');
  const { findLocalDataDir } = await import('../databases/postgres/cluster-source.ts');
  const folder = await readSpoolFolder(found.connection);
  if (folder === null) return [];
  // A folder of that name on this host would be another one.
  const isHere = (await findLocalDataDir(found.address, signal).catch(() => undefined)) !== undefined;
  const facts = isHere ? await measureSpool(folder) : undefined;
  if (facts === undefined) return [skipped(`the log's spool ${folder} is not on this host`)];
  const { files, bytes, oldestAt, freeBytes } = facts;
  if (files === 0) return [ok(`the log's spool ${folder} is empty`)];
  const said = `${files} files of log wait in ${folder}, ${formatSize(bytes)}, the oldest since ${oldestAt}`;
  const mend = 'is the archiver running (clona serve), and are archive and mirror mounted and not full?';
  switch (judgeSpool(facts, now)) {
    case 'filling':
      return [failed(`${said}; only ${formatSize(freeBytes)} are free there`, mend, 6)];
    case 'late':
      return [warning(said, mend)];
    case 'flows':
      return [ok(said)];
  }
}
