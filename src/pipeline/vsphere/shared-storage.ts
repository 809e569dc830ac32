import type { DeviceComparison, DeviceFacts, Disk } from '../../archive/devices.ts';
import type { DatastoreDevices, MachineStorage } from '../../machines/vsphere/storage.ts';

/** R16 on vSphere: what a folder of this host lies on against what LIVE's disks lie on. Pure. */
export interface StorageFacts {
  live: MachineStorage;
  /** The archive, or its mirror. */
  place: DeviceFacts;
  /** This host, where it is a machine of the same vCenter. */
  own: MachineStorage | undefined;
  /** Addresses of servers by name; a name that nobody knows has none. */
  addresses: ReadonlyMap<string, readonly string[]>;
}

export function compareStorage(facts: StorageFacts): DeviceComparison {
  const { place, live } = facts;
  const lies = `${place.path}: ${place.chain.join(' → ') || 'nothing is known'}`;
  const stands = `${live.name}: ${describeStorage(live)}`;
  const answers =
    place.kind === 'unknown' || (place.disks.length === 0 && place.kind !== 'memory')
      ? [{ same: 'unknown' as const, reason: `what lies below ${place.path} cannot be seen from here` }]
      : place.disks.map((disk) => compareDisk(facts, disk));
  for (const same of ['yes', 'unknown'] as const) {
    const reasons = answers.filter((answer) => answer.same === same).map(({ reason }) => reason);
    if (reasons.length > 0) return { same, reasons: [...reasons, lies, stands] };
  }
  return { same: 'no', reasons: [lies, stands] };
}

interface Answer {
  same: DeviceComparison['same'];
  reason: string;
}

const no: Answer = { same: 'no', reason: '' };

function compareDisk(facts: StorageFacts, disk: Disk): Answer {
  if (facts.place.kind === 'remote') return compareServer(facts, serverOf(disk));
  // Its world wide name says it also of a disk that is handed through to a virtual machine.
  const lun = lunsOf(facts.live).find((one) => sameLun(one, disk.identity));
  if (lun !== undefined) return { same: 'yes', reason: `both lie on the LUN ${lun}` };
  if (disk.isVirtual) return compareVirtual(facts, disk);
  // LUNs of the storage network alone are seen from elsewhere; what ESXi calls mpx.… is in the host itself.
  const outside = lunsOf(facts.live).some((one) => !one.startsWith('mpx.'));
  if (outside && !/^(?:naa|eui|t10)\./.test(disk.identity))
    return { same: 'unknown', reason: `the disk ${disk.name} tells no world wide name` };
  return no;
}

/** The server of a share that is mounted here: "nfs4:filer", "cifs:filer", "fuse.sshfs:user@filer". */
export function serverOf({ identity }: Pick<Disk, 'identity'>): string {
  return identity
    .replace(/^[^:]*:/, '')
    .replace(/^.*@/, '')
    .replaceAll(/^\[|\]$/g, '')
    .toLowerCase();
}

function compareServer({ live, addresses }: StorageFacts, server: string): Answer {
  const known = (name: string): readonly string[] => addresses.get(name) ?? [];
  const shares = live.datastores.filter(({ kind }) => kind === 'nfs');
  for (const { name, servers } of shares) {
    const found = servers.find(
      (one) => one.toLowerCase() === server || known(one).some((address) => known(server).includes(address)),
    );
    if (found !== undefined)
      return { same: 'yes', reason: `both lie on the server ${server} (datastore ${name})` };
  }
  const nameless = [server, ...shares.flatMap(({ servers }) => servers)].find(
    (one) => known(one).length === 0,
  );
  return shares.length === 0 || nameless === undefined
    ? no
    : { same: 'unknown', reason: `nobody here knows an address of the server ${nameless}` };
}

function compareVirtual({ live, own }: StorageFacts, disk: Disk): Answer {
  if (own === undefined)
    return {
      same: 'unknown',
      reason: `${disk.name} is a disk of a virtual machine that this vCenter does not know`,
    };
  const exact = own.disks.find(({ uuid }) => uuid !== '' && sameLun(`naa.${uuid}`, disk.identity));
  const candidates = exact === undefined ? own.disks : [exact];
  const shared = own.datastores.filter(
    (store) =>
      candidates.some(({ datastore }) => datastore === store.reference.moref || datastore === null) &&
      live.datastores.some((other) => sharesDevice(store, other)),
  );
  if (shared.length === 0) return no;
  const names = shared.map(({ name }) => name).join(', ');
  const elsewhere = candidates.some(
    ({ datastore }) => !shared.some(({ reference }) => reference.moref === datastore),
  );
  return exact === undefined && elsewhere
    ? {
        same: 'unknown',
        reason: `${own.name}, this host, has disks on LIVE's datastore ${names} and elsewhere, and ${disk.name} does not say which it is (set disk.EnableUUID = TRUE)`,
      }
    : { same: 'yes', reason: `both lie on the datastore ${names}` };
}

function sharesDevice(store: DatastoreDevices, other: DatastoreDevices): boolean {
  if (store.reference.moref === other.reference.moref) return true;
  if (store.kind === 'nfs' && other.kind === 'nfs')
    return store.servers.some((server) => other.servers.includes(server));
  return store.kind === 'vmfs' && store.devices.some((device) => other.devices.includes(device));
}

function lunsOf({ datastores, disks }: MachineStorage): string[] {
  const below = datastores.filter(({ kind }) => kind === 'vmfs').flatMap(({ devices }) => devices);
  return [...below, ...disks.flatMap(({ lun }) => lun ?? [])];
}

/** "t10." names have their blanks as underscores on ESXi. */
function sameLun(canonical: string, identity: string): boolean {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[\s_]+/g, '');
  return plain(canonical) === plain(identity);
}

function describeStorage({ datastores, disks }: MachineStorage): string {
  const stores = datastores.map(({ name, kind, devices }) =>
    kind === 'other' ? `datastore ${name}` : `datastore ${name} on ${devices.join(', ')}`,
  );
  return [...stores, ...disks.flatMap(({ label, lun }) => (lun === null ? [] : `${label} on ${lun}`))].join(
    '; ',
  );
}
