import { ClonaError } from '../../errors.ts';
import type { Vim } from './client.ts';
import { chooseAddress, readGuestInterfaces } from './guest-address.ts';
import { child, children, moRef, text, xsiType, type MoRef, type VimObject, type XmlNode } from './soap.ts';

/** What clona reads of a virtual machine (vSphere Web Services API, VirtualMachine). */
export interface VirtualMachineFacts {
  reference: MoRef;
  name: string;
  uuid: string;
  power: 'on' | 'off' | 'suspended';
  toolsRunning: boolean;
  /** Of its own cards, as VMware Tools report it; null until they do. */
  address: string | null;
  networkCards: NetworkCard[];
  disks: VirtualDisk[];
  snapshots: Snapshot[];
  host: MoRef | null;
  datastores: MoRef[];
  /** When vCenter made it; null where it does not say. */
  createdAt: string | null;
  /** clona's own marks, by the names of the custom attributes. */
  attributes: ReadonlyMap<string, string>;
  /** What the guest says of itself through VMware Tools (guestinfo.…) and other settings. */
  extraConfig: ReadonlyMap<string, string>;
}

export interface NetworkCard {
  key: number;
  label: string;
  connected: boolean;
  /** In small letters. */
  mac: string;
  /** Name of a standard port group, or the key of a distributed one. */
  network: string;
  /** The managed object behind a standard port group. */
  reference: string | undefined;
  /** What a change of the card must repeat: the API takes an edited device as a whole. */
  definition: VimObject;
}

export interface VirtualDisk {
  label: string;
  /** Which mode, mapping or sharing keeps this disk out of a snapshot; null: a snapshot holds it. */
  escapes: string | null;
  file: string;
}

export interface Snapshot {
  reference: MoRef;
  name: string;
  description: string;
  createdAt: string;
}

const paths = [
  'name',
  'config.uuid',
  'runtime.powerState',
  'runtime.host',
  'guest.toolsRunningStatus',
  'guest.ipAddress',
  'guest.net',
  'config.hardware.device',
  'snapshot',
  'datastore',
  'config.createDate',
  'config.extraConfig',
  'customValue',
] as const;

/** Finds a machine by inventory path ("/dc/vm/folder/name") or by name below `folder`; a wrong name is named. */
export async function findVirtualMachine(
  vim: Vim,
  inventoryPath: string,
  signal: AbortSignal,
): Promise<MoRef> {
  const [found] = await vim.call('FindByInventoryPath', vim.content.searchIndex, { inventoryPath }, signal);
  const reference = moRef(found);
  if (reference === undefined) {
    throw new ClonaError('machineFailed', `there is no virtual machine ${inventoryPath}`, {
      hint: 'give the inventory path as in "/datacenter/vm/folder/name"',
    });
  }
  return reference;
}

export async function readVirtualMachine(
  vim: Vim,
  reference: MoRef,
  signal: AbortSignal,
): Promise<VirtualMachineFacts> {
  const [properties, names] = await Promise.all([
    vim.read(reference, paths, signal),
    readAttributeNames(vim, signal),
  ]);
  const get = (path: (typeof paths)[number]): XmlNode | undefined => properties.get(path);
  const devices = children(get('config.hardware.device'), 'VirtualDevice');
  const sharedControllers = devices.filter(
    (device) => !['', 'noSharing'].includes(text(child(device, 'sharedBus'))),
  );
  const sharedKeys = new Set(sharedControllers.map((device) => text(child(device, 'key'))));
  const state = text(get('runtime.powerState'));
  const networkCards = devices
    .filter((device) => child(device, 'macAddress') !== undefined)
    .map(readNetworkCard);
  return {
    reference,
    name: text(get('name')),
    uuid: text(get('config.uuid')),
    power: state === 'poweredOn' ? 'on' : state === 'suspended' ? 'suspended' : 'off',
    toolsRunning: text(get('guest.toolsRunningStatus')) === 'guestToolsRunning',
    address: chooseAddress(
      text(get('guest.ipAddress')),
      readGuestInterfaces(get('guest.net')),
      networkCards.map(({ mac }) => mac),
    ),
    networkCards,
    disks: devices
      .filter((device) => xsiType(device) === 'VirtualDisk')
      .map((disk) => readDisk(disk, sharedKeys)),
    snapshots: readSnapshots(
      child(get('snapshot'), 'rootSnapshotList') === undefined
        ? []
        : children(get('snapshot'), 'rootSnapshotList'),
    ),
    host: moRef(get('runtime.host')) ?? null,
    datastores: children(get('datastore'), 'ManagedObjectReference').flatMap((node) => moRef(node) ?? []),
    createdAt: text(get('config.createDate')) || null,
    attributes: readAttributes(get('customValue'), names),
    extraConfig: new Map(
      children(get('config.extraConfig'), 'OptionValue').map((option) => [
        text(child(option, 'key')),
        text(child(option, 'value')),
      ]),
    ),
  };
}

/** Names of all custom attributes by key: a machine says its values by key alone. */
async function readAttributeNames(vim: Vim, signal: AbortSignal): Promise<Map<string, string>> {
  const manager = vim.content.customFieldsManager;
  // A lone host has no custom attributes.
  if (manager === undefined) return new Map();
  const fields = (await vim.read(manager, ['field'], signal)).get('field');
  return new Map(
    children(fields, 'CustomFieldDef').map((field) => [
      text(child(field, 'key')),
      text(child(field, 'name')),
    ]),
  );
}

function readAttributes(
  values: XmlNode | undefined,
  names: ReadonlyMap<string, string>,
): Map<string, string> {
  return new Map(
    children(values, 'CustomFieldValue').flatMap((value) => {
      const name = names.get(text(child(value, 'key')));
      return name === undefined ? [] : [[name, text(child(value, 'value'))]];
    }),
  );
}

function readNetworkCard(device: XmlNode): NetworkCard {
  const distributed = text(child(device, 'backing.port.portgroupKey'));
  const key = Number(text(child(device, 'key')));
  return {
    key,
    label: text(child(device, 'deviceInfo.label')),
    connected: text(child(device, 'connectable.connected')) === 'true',
    mac: text(child(device, 'macAddress')).toLowerCase(),
    network: distributed === '' ? text(child(device, 'backing.deviceName')) : distributed,
    reference: moRef(child(device, 'backing.network'))?.moref,
    definition: {
      $type: xsiType(device) ?? 'VirtualEthernetCard',
      key,
      backing:
        distributed === ''
          ? {
              $type: 'VirtualEthernetCardNetworkBackingInfo',
              deviceName: text(child(device, 'backing.deviceName')),
            }
          : {
              $type: 'VirtualEthernetCardDistributedVirtualPortBackingInfo',
              port: { switchUuid: text(child(device, 'backing.port.switchUuid')), portgroupKey: distributed },
            },
      addressType: text(child(device, 'addressType')),
      macAddress: text(child(device, 'macAddress')),
    },
  };
}

/** vSphere Virtual Machine Administration, "Snapshot limitations": what a snapshot does not hold. */
function readDisk(device: XmlNode, sharedControllers: ReadonlySet<string>): VirtualDisk {
  const mode = text(child(device, 'backing.diskMode'));
  const backing = xsiType(child(device, 'backing')) ?? '';
  const sharing = text(child(device, 'backing.sharing'));
  return {
    label: text(child(device, 'deviceInfo.label')),
    file: text(child(device, 'backing.fileName')),
    escapes: mode.startsWith('independent')
      ? `disk mode ${mode}`
      : backing.includes('RawDiskMapping') &&
          text(child(device, 'backing.compatibilityMode')) !== 'virtualMode'
        ? 'raw device mapping in physical mode'
        : sharedControllers.has(text(child(device, 'controllerKey')))
          ? 'bus sharing of its controller'
          : sharing === 'sharingMultiWriter'
            ? 'multi-writer sharing'
            : null,
  };
}

function readSnapshots(nodes: readonly XmlNode[]): Snapshot[] {
  return nodes.flatMap((node) => {
    const reference = moRef(child(node, 'snapshot'));
    if (reference === undefined) return [];
    const snapshot = {
      reference,
      name: text(child(node, 'name')),
      description: text(child(node, 'description')),
      createdAt: text(child(node, 'createTime')),
    };
    return [snapshot, ...readSnapshots(children(node, 'childSnapshotList'))];
  });
}
