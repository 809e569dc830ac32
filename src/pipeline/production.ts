import { sameDevice, type DeviceComparison } from '../archive/devices.ts';
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
  if (platform === 'vsphere') {
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
  return dataDir === undefined ? null : judgeArchiveDisk(await sameDevice(dataDir, archiveDir), accepted);
}

/** The same for a site: where the database's folder is in a VM, the datastores of that VM say what it lies on. */
export async function requireArchiveApart(
  site: Site,
  dataDir: string | undefined,
  accepted: string | undefined,
  signal: AbortSignal,
): Promise<string | null> {
  const { location } = site.archive;
  if (dataDir !== undefined || site.machines.platform !== 'vsphere')
    return requireOwnDisk(dataDir, location, accepted);
  const { compareWithLive } = await import('./vsphere/live-storage.ts');
  // A vCenter that is away hinders no backup: what cannot be seen is doctor's to tell.
  const [found] = await compareWithLive(site, [location], signal).catch(() => {
    signal.throwIfAborted();
    return [];
  });
  return found === undefined ? null : judgeArchiveDisk(found, accepted);
}

export function judgeArchiveDisk(
  { same, reasons }: DeviceComparison,
  accepted: string | undefined,
): string | null {
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
