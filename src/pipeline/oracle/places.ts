import {
  readOracleCatalog,
  rememberOracle,
  type OracleCatalog,
  type OraclePlaces,
} from '../../databases/oracle/site-catalog.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import { addressOf } from './sessions.ts';

export function placesOf({ archive }: Pick<Site, 'archive'>): OraclePlaces {
  return { archiveDir: archive.location, mirrorDir: archive.mirror };
}

/** The control file of LIVE with what is remembered; what it says now is remembered, too, in the archive and its mirror. */
export async function readAndRemember(
  site: Site,
  live: Pick<MachineAccess, 'address'>,
  signal: AbortSignal,
): Promise<OracleCatalog> {
  const places = placesOf(site);
  const found = await readOracleCatalog(addressOf(live), places, signal);
  if (found.readAt !== undefined) await rememberOracle(found, places, found.readAt);
  return found;
}
