import { readdir, stat } from 'node:fs/promises';
import { locateLogFile } from '../../archive/log-file.ts';
import { openArchive } from '../../archive/repository.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { readArchiveIdentity } from '../../databases/postgres/backup-facts.ts';
import { archiveEverything } from '../../databases/postgres/log-archiver.ts';
import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import { openPlace } from '../known-places.ts';
import { streamsLog } from '../log-streams.ts';
import type { Step } from '../operations.ts';
import { archiveByStream } from './stream-log.ts';
import { archiveLog, openForLog, readSpool, withArchiver } from './live-archive.ts';

type Work = Pick<Step, 'signal' | 'onProgress'>;

export interface LogArchived {
  archivedTo: string;
  /** Why the mirror does not have it; the spool, or the mirror's slot on LIVE, keeps it until it does. */
  missingInMirror?: string;
}

/**
 * R14 wants the log in two places. Work that only reads the archive (a refresh) goes on with one; LIVE is changed with both, or
 * where the site accepts the risk in words (docs/decisions/0193). Throws `archiveMissing` before anybody is disturbed.
 */
export async function requireMirror(
  site: Site,
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<void> {
  const { mirror, acceptMirrorAway } = site.archive;
  if (mirror === undefined || acceptMirrorAway !== undefined) return;
  await openPlace(site, mirror, await readArchiveIdentity(address, signal)).catch((cause: unknown) => {
    if (cause instanceof ClonaError && cause.kind !== 'archiveMissing') throw cause;
    throw new ClonaError(
      'archiveMissing',
      `the mirror ${mirror} is away: LIVE's log would lie in one place only`,
      {
        cause,
        hint: 'mount its disk, or say why LIVE may be changed without it: archive.acceptMirrorAway: <reason>',
      },
    );
  });
}

/** As `archiveLog`; where the mirror is away or takes nothing, the archive alone is enough, and that is said. */
export async function archiveLogWithoutMirror(
  site: Site,
  address: DatabaseAddress,
  work: Work,
): Promise<LogArchived> {
  const { location, mirror } = site.archive;
  if (mirror === undefined) return { archivedTo: await archiveLog(site, address, work) };
  if (streamsLog(site)) {
    const away = await openArchive(mirror).then(
      () => null,
      (error: unknown) => sayError(error),
    );
    if (away === null) return { archivedTo: await archiveLog(site, address, work) };
    const open = await openForLog(site, address, work.signal);
    const archivedTo = await archiveByStream(site, address, { ...open, mirror: undefined }, work);
    return { archivedTo, missingInMirror: away };
  }
  await openArchive(location);
  const spool = await readSpool(address, work.signal);
  return withArchiver(site, address, work, async (archiver) => {
    let missingInMirror: string | undefined;
    const isEnough = async (name: string, problems: readonly ClonaError[]): Promise<boolean> => {
      // What waits for the mirror stays in the spool: all of it must be in the archive.
      const names = (await readdir(spool)).filter((one) => locateLogFile(location, one) !== undefined);
      const found = await Promise.all([name, ...names].map(async (one) => isIn(location, one)));
      if (!found.every(Boolean)) return false;
      missingInMirror = problems.map(({ message }) => message)[0] ?? 'the mirror takes nothing';
      return true;
    };
    const { signal } = work;
    const archivedTo = await archiveEverything(address, archiver, { signal, isEnough });
    return { archivedTo, ...(missingInMirror === undefined ? {} : { missingInMirror }) };
  });
}

async function isIn(folder: string, name: string): Promise<boolean> {
  return stat(locateLogFile(folder, name) ?? '').then(
    ({ size }) => size > 0,
    () => false,
  );
}

function sayError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
