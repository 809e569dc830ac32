import { failed, ok, type Finding, type Patient } from './check.ts';

/** A cold backup that was killed leaves production stopped: the next run starts it, and until then somebody should know. */
export async function leftStopped({ site }: Patient): Promise<Finding[]> {
  if (site.database.engine !== 'postgres') return [];
  const { readStoppedNote } = await import('../databases/postgres/cold/stopped-note.ts');
  const found = await readStoppedNote(site.archive.location).catch(() => undefined);
  if (found === undefined) return [];
  const { note, isWorking } = found;
  const who = `the cold backup ${note.label} of process ${note.by.pid} on ${note.by.host}`;
  if (isWorking) return [ok(`${who} has stopped the database since ${note.at}, to copy it`)];
  return [
    failed(
      `${who} was killed and may have left the database in ${note.dataDir} stopped`,
      'clona backup starts it again, and so does clona serve',
      6,
    ),
  ];
}
