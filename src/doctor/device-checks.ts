import { sameDevice, type DeviceComparison } from '../archive/devices.ts';
import { failed, ok, skipped, warning, type Finding, type Patient } from './check.ts';

interface Place {
  what: string;
  path: string;
}

/** R14, R16: database, archive and mirror lie on different disks, or the site says why not. */
export async function devicesApart(patient: Patient): Promise<Finding[]> {
  const { site } = patient;
  const database = await databaseFolder(patient);
  const places: Place[] = [
    ...(database === undefined ? [] : [{ what: 'the database', path: database }]),
    { what: 'the archive', path: site.archive.location },
    ...(site.archive.mirror === undefined ? [] : [{ what: 'the mirror', path: site.archive.mirror }]),
  ];
  const found: Finding[] = [];
  // On vSphere the datastores of LIVE's VM say it (vsphereDevices).
  if (database === undefined && site.machines.platform === 'local') {
    found.push(
      skipped('the disk of the database cannot be seen from here: it is on another host, or does not answer'),
    );
  }
  for (const [index, place] of places.entries()) {
    for (const other of places.slice(index + 1)) {
      found.push(await compare(place, other, site.archive.acceptSharedDisk));
    }
  }
  return found;
}

async function compare(place: Place, other: Place, accepted: string | undefined): Promise<Finding> {
  return judgeDevices(`${other.what} and ${place.what}`, await sameDevice(place.path, other.path), accepted);
}

/** What a comparison means for a site that has, or has not, said why one disk will do. */
export function judgeDevices(
  pair: string,
  { same, reasons }: DeviceComparison,
  accepted: string | undefined,
): Finding {
  const why = reasons.join('; ');
  if (same === 'unknown') return skipped(`the disks of ${pair} cannot be compared: ${why}`);
  if (same === 'no') return ok(`${pair} are on different devices: ${why}`);
  if (accepted !== undefined) {
    return warning(
      `${pair} are on ONE DISK, accepted: ${accepted} (${why})`,
      'when that disk breaks, both are gone: get a second one',
    );
  }
  return failed(
    `${pair} are on one disk: when it breaks, both are gone (${why})`,
    'put one of them on another disk, or say why not: archive.acceptSharedDisk: <reason>',
  );
}

/** The data folder of a database that runs on this host. */
async function databaseFolder({ production, signal }: Patient): Promise<string | undefined> {
  try {
    const { findLocalDataDir } = await import('../databases/postgres/cluster-source.ts');
    return await findLocalDataDir((await production()).address, signal);
  } catch {
    return undefined; // said by databaseReachable already
  }
}
