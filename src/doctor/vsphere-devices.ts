import type { HostSight } from '../pipeline/vsphere/live-storage.ts';
import { skipped, type Finding, type Patient } from './check.ts';
import { judgeDevices } from './device-checks.ts';
import { canAsk } from './vsphere-checks.ts';

/**
 * R16 on vSphere: archive and mirror lie on no datastore, LUN or file server that LIVE's VM lies on. `sight` is what this
 * host sees of its own disks.
 */
export async function vsphereDevices(patient: Patient, sight?: HostSight): Promise<Finding[]> {
  const { site, signal } = patient;
  if (!(await canAsk(patient))) return [];
  const { compareWithLive } = await import('../pipeline/vsphere/live-storage.ts');
  const { location, mirror, acceptSharedDisk } = site.archive;
  const places = [
    { what: 'the archive', path: location },
    ...(mirror === undefined ? [] : [{ what: 'the mirror', path: mirror }]),
  ];
  const { isFault } = await import('../machines/vsphere/client.ts');
  const found = await compareWithLive(
    site,
    places.map(({ path }) => path),
    signal,
    sight,
  ).catch((error: unknown) => {
    // No run needs that right, so its lack is no failure.
    if (isFault(error, 'NoPermission')) return undefined;
    throw error;
  });
  const { name } = site.machines.live;
  if (found === undefined) {
    return [
      skipped(
        `what the VM ${name} lies on may not be read: give the user who clones System.Read on its datastores`,
      ),
    ];
  }
  return found.map((one, index) =>
    judgeDevices(`${places[index]?.what ?? ''} and the VM ${name}`, one, acceptSharedDisk),
  );
}
