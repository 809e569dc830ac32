import { sameDevice } from '../archive/devices.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { ClonaError } from '../errors.ts';
import { openLocalMachines } from '../machines/local/local-machines.ts';
import { resolveDatabaseAddress } from '../site/address.ts';
import type { Site } from '../site/site.ts';

/** Where production's database is: by the site file, else as its machine says. */
export async function findProduction(site: Site, signal: AbortSignal): Promise<DatabaseAddress> {
  const { database, machines } = site;
  const given = await resolveDatabaseAddress(database);
  if (given !== undefined) return given;
  const { platform, root, live } = machines;
  if (platform === 'vsphere' && database.engine === 'postgres') {
    const { openProductionDoor } = await import('./vsphere/production-door.ts');
    return openProductionDoor(site);
  }
  if (platform !== 'local') {
    throw new ClonaError('siteInvalid', `nothing says where the database of ${live.name} is`, {
      hint: 'give database.url, or database.host and its companions',
    });
  }
  const own = (await openLocalMachines({ root }).describe(live.name, signal)).database;
  return { ...own, database: database.name ?? own.database, user: database.user ?? own.user };
}

/**
 * R16: refuses an archive on the device of the database (`sharedDisk`) unless the site says why; returns the words in
 * which that has to be shown wherever the archive is.
 */
export async function requireOwnDisk(
  dataDir: string | undefined,
  archiveDir: string,
  accepted: string | undefined,
): Promise<string | null> {
  if (dataDir === undefined) return null;
  const { same, reasons } = await sameDevice(dataDir, archiveDir);
  if (same !== 'yes') return null;
  if (accepted !== undefined)
    return `archive and database are on ONE DISK (${reasons[0]}), accepted: ${accepted}`;
  throw new ClonaError(
    'sharedDisk',
    'the archive is on the disk of the database: when it breaks, both are gone',
    {
      hint: 'put archive.location on another disk, or say why not: archive.acceptSharedDisk: <reason>',
      details: { reasons },
    },
  );
}
