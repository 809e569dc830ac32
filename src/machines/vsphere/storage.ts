import type { Vim } from './client.ts';
import { child, children, moRef, text, xsiType, type MoRef, type XmlNode } from './soap.ts';

/** What lies behind a datastore (R16): the canonical names of its LUNs, or the server and folder of a share. */
export interface DatastoreDevices {
  reference: MoRef;
  name: string;
  kind: 'vmfs' | 'nfs' | 'other';
  devices: string[];
  /** Of a share: its servers, several where NFS 4.1 reaches it over several of them. */
  servers: string[];
  capacityBytes: number;
  freeBytes: number;
}

/** What a machine's disks lie on. */
export interface MachineStorage {
  name: string;
  disks: StoredDisk[];
  /** Those of its disks, each once. */
  datastores: DatastoreDevices[];
}

export interface StoredDisk {
  label: string;
  /** Small letters and digits alone: a guest with disk.EnableUUID sees it behind "naa.". */
  uuid: string;
  /** The datastore's reference; null where the server does not say it. */
  datastore: string | null;
  /** The LUN that a raw device mapping leads to, as `naa.…`; null: it is a file on its datastore. */
  lun: string | null;
}

/** Datastore → extents → disks (vSphere Web Services API, VmfsDatastoreInfo and NasDatastoreInfo). */
export async function readDatastore(
  vim: Vim,
  datastore: MoRef,
  signal: AbortSignal,
): Promise<DatastoreDevices> {
  const properties = await vim.read(datastore, ['info', 'summary'], signal);
  const info = properties.get('info');
  const summary = properties.get('summary');
  const extents = children(child(info, 'vmfs'), 'extent').map((extent) => text(child(extent, 'diskName')));
  const share = child(info, 'nas');
  const url = text(child(summary, 'url'));
  const kind = extents.length > 0 ? 'vmfs' : share === undefined ? 'other' : 'nfs';
  const host = text(child(share, 'remoteHost'));
  const names = children(share, 'remoteHostNames').map((name) => text(name));
  return {
    reference: datastore,
    name: text(child(summary, 'name')),
    kind,
    devices:
      kind === 'vmfs'
        ? extents
        : kind === 'nfs'
          ? [`${host}:${text(child(share, 'remotePath'))}`]
          : [url === '' ? (xsiType(info) ?? 'unknown') : url],
    servers: [...new Set([host, ...names])].filter((name) => name !== ''),
    capacityBytes: Number(text(child(summary, 'capacity'))),
    freeBytes: Number(text(child(summary, 'freeSpace'))),
  };
}

/** Disks of a machine, and what lies behind their datastores; a datastore with nothing but its ISO images does not count. */
export async function readStorage(vim: Vim, machine: MoRef, signal: AbortSignal): Promise<MachineStorage> {
  const properties = await vim.read(machine, ['name', 'datastore', 'config.hardware.device'], signal);
  const disks = children(properties.get('config.hardware.device'), 'VirtualDevice')
    .filter((device) => xsiType(device) === 'VirtualDisk')
    .map(readStoredDisk);
  const all = children(properties.get('datastore'), 'ManagedObjectReference').flatMap(
    (node) => moRef(node) ?? [],
  );
  const used = new Set(disks.map(({ datastore }) => datastore));
  const own = all.filter(({ moref }) => used.has(moref));
  return {
    name: text(properties.get('name')),
    disks,
    datastores: await Promise.all(
      // A server that does not say on which datastore a disk lies says at least which ones the machine has.
      (used.has(null) || own.length === 0 ? all : own).map(async (one) => readDatastore(vim, one, signal)),
    ),
  };
}

function readStoredDisk(device: XmlNode): StoredDisk {
  const backing = child(device, 'backing');
  const datastore = child(backing, 'datastore');
  return {
    label: text(child(device, 'deviceInfo.label')),
    uuid: text(child(backing, 'uuid')).toLowerCase().replaceAll('-', ''),
    datastore: moRef(datastore)?.moref ?? null,
    lun: (xsiType(backing) ?? '').includes('RawDiskMapping') ? lunOf(text(child(backing, 'lunUuid'))) : null,
  };
}

/** ScsiLun.uuid: ten hexadecimal digits of its own, the 32 of the world wide name, then the model. */
export function lunOf(uuid: string): string | null {
  const [, name] = /^[0-9a-f]{10}([0-9a-f]{32})/i.exec(uuid) ?? [];
  return name === undefined ? null : `naa.${name.toLowerCase()}`;
}

/** How a host may be known to a vCenter when it is one of its machines. */
export interface HostIdentity {
  /** BIOS UUIDs it may have; firmware and kernel do not agree on the order of bytes. */
  uuids: readonly string[];
  cards: readonly { mac: string; addresses: readonly string[] }[];
}

/** The machine of this vCenter that a host is; undefined: none that could be found (SearchIndex). */
export async function findOwnMachine(
  vim: Vim,
  { uuids, cards }: HostIdentity,
  signal: AbortSignal,
): Promise<MoRef | undefined> {
  const find = async (method: string, args: Record<string, string | boolean>): Promise<MoRef | undefined> =>
    moRef((await vim.call(method, vim.content.searchIndex, { ...args, vmSearch: true }, signal))[0]);
  for (const uuid of uuids) {
    const found = await find('FindByUuid', { uuid });
    if (found !== undefined) return found;
  }
  const macs = new Set(cards.map(({ mac }) => mac.toLowerCase()));
  for (const ip of cards.flatMap(({ addresses }) => addresses)) {
    const found = await find('FindByIp', { ip });
    // Machines in different networks may have one address.
    if (found !== undefined && (await readMacs(vim, found, signal)).some((mac) => macs.has(mac)))
      return found;
  }
  return undefined;
}

async function readMacs(vim: Vim, machine: MoRef, signal: AbortSignal): Promise<string[]> {
  const properties = await vim.read(machine, ['config.hardware.device'], signal);
  return children(properties.get('config.hardware.device'), 'VirtualDevice').map((device) =>
    text(child(device, 'macAddress')).toLowerCase(),
  );
}
