import type { HostSight } from '../pipeline/vsphere/live-storage.ts';
import type { Finding, Patient } from './check.ts';
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
  const found = await compareWithLive(
    site,
    places.map(({ path }) => path),
    signal,
    sight,
  );
  return found.map((one, index) =>
    judgeDevices(`${places[index]?.what ?? ''} and the VM ${site.machines.live.name}`, one, acceptSharedDisk),
  );
}
