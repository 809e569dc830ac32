import { lookup } from 'node:dns/promises';
import { resolveDevice, type DeviceComparison } from '../../archive/devices.ts';
import { linuxDevices, type DeviceReader } from '../../archive/device-reader.ts';
import { openVim } from '../../machines/vsphere/client.ts';
import { readHostIdentity } from '../../machines/vsphere/host-identity.ts';
import { sourcePath } from '../../machines/vsphere/prepare-clone.ts';
import { findOwnMachine, readStorage, type HostIdentity } from '../../machines/vsphere/storage.ts';
import { findVirtualMachine } from '../../machines/vsphere/virtual-machine.ts';
import type { Site } from '../../site/site.ts';
import { compareStorage, serverOf } from './shared-storage.ts';
import { inventoryPlaces, resolveVimAddress, vsphereSettings } from './site-settings.ts';

/** What this host sees of itself; tests play recorded ones. */
export interface HostSight {
  devices: DeviceReader;
  identity: () => Promise<HostIdentity>;
  addressesOf: (server: string) => Promise<readonly string[]>;
}

const hostSight: HostSight = {
  devices: linuxDevices,
  identity: readHostIdentity,
  addressesOf: async (server) =>
    lookup(server, { all: true }).then(
      (found) => found.map(({ address }) => address),
      () => [],
    ),
};

/** R16: whether folders of this host share a device with the datastores of LIVE's VM, in the order of `folders`. */
export async function compareWithLive(
  site: Site,
  folders: readonly string[],
  signal: AbortSignal,
  sight: HostSight = hostSight,
): Promise<DeviceComparison[]> {
  await using vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
  const path = sourcePath({
    source: site.machines.live.name,
    places: inventoryPlaces(vsphereSettings(site)),
  });
  const live = await readStorage(vim, await findVirtualMachine(vim, path, signal), signal);
  const places = await Promise.all(folders.map(async (folder) => resolveDevice(folder, sight.devices)));
  const found = places.some(({ disks }) => disks.some(({ isVirtual }) => isVirtual))
    ? await findOwnMachine(vim, await sight.identity(), signal)
    : undefined;
  const own = found === undefined ? undefined : await readStorage(vim, found, signal);
  const mounted = places.flatMap(({ kind, disks }) => (kind === 'remote' ? disks.map(serverOf) : []));
  // Nobody is asked for names that nothing is compared with.
  const shares = mounted.length === 0 ? [] : live.datastores.flatMap((store) => store.servers);
  const servers = new Set([...mounted, ...shares]);
  const addresses = new Map(
    await Promise.all([...servers].map(async (server) => [server, await sight.addressesOf(server)] as const)),
  );
  return places.map((place) => compareStorage({ live, place, own, addresses }));
}
