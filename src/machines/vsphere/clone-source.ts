import type { Vim } from './client.ts';
import { child, children, moRef, text, xsiType, type MoRef, type XmlNode } from './soap.ts';

export type ControllerKind = 'scsi' | 'sata' | 'ide' | 'nvme';

/** What a clone repeats of its source, and what decides whether it can be cloned. */
export interface CloneSource {
  reference: MoRef;
  name: string;
  uuid: string;
  power: 'on' | 'off' | 'suspended';
  isTemplate: boolean;
  toolsRunning: boolean;
  guestId: string;
  firmware: 'bios' | 'efi';
  secureBoot: boolean;
  diskUuids: boolean;
  nestedVirtualization: boolean;
  cpus: number;
  coresPerSocket: number;
  memoryMb: number;
  cpuHotAdd: boolean;
  memoryHotAdd: boolean;
  disks: SourceDisk[];
  controllers: SourceController[];
  cards: SourceCard[];
  /** Devices of the host that are handed through to it, by label. */
  passthrough: string[];
  snapshots: SourceSnapshot[];
  host: MoRef | undefined;
  /** What its disks occupy, bytes; a full clone will occupy as much at least. */
  committedBytes: number;
}

export interface SourceDisk {
  label: string;
  sizeGib: number;
  thin: boolean;
  eagerZeroed: boolean;
  /** The API's type of the file behind it; the provider clones VirtualDiskFlatVer2BackingInfo and sparse ones. */
  backing: string;
  mode: string;
  sharing: string;
  controllerKey: number;
  unit: number;
}

export interface SourceController {
  key: number;
  /** undefined: no kind the provider knows. */
  kind: ControllerKind | undefined;
  /** The API's type, like ParaVirtualSCSIController. */
  type: string;
  bus: number;
  busSharing: string;
}

export interface SourceCard {
  type: string;
  /** Name of a standard port group, or key of a distributed one. */
  network: string;
  /** The managed object behind a standard port group, where the server says it. */
  reference: string | undefined;
}

export interface SourceSnapshot {
  reference: MoRef;
  name: string;
  createdAt: string;
}

const paths = [
  'name',
  'config.uuid',
  'config.template',
  'config.guestId',
  'config.firmware',
  'config.bootOptions.efiSecureBootEnabled',
  'config.flags.diskUuidEnabled',
  'config.nestedHVEnabled',
  'config.cpuHotAddEnabled',
  'config.memoryHotAddEnabled',
  'config.hardware',
  'runtime.powerState',
  'runtime.host',
  'guest.toolsRunningStatus',
  'snapshot',
  'summary.storage.committed',
] as const;

/** Reads a machine for cloning, in one call. */
export async function readCloneSource(vim: Vim, reference: MoRef, signal: AbortSignal): Promise<CloneSource> {
  const properties = await vim.read(reference, paths, signal);
  const get = (path: (typeof paths)[number]): XmlNode | undefined => properties.get(path);
  const isSet = (path: (typeof paths)[number]): boolean => text(get(path)) === 'true';
  const hardware = get('config.hardware');
  const devices = children(hardware, 'device');
  const state = text(get('runtime.powerState'));
  const cpus = Number(text(child(hardware, 'numCPU')));
  return {
    reference,
    name: text(get('name')),
    uuid: text(get('config.uuid')),
    power: state === 'poweredOn' ? 'on' : state === 'suspended' ? 'suspended' : 'off',
    isTemplate: isSet('config.template'),
    toolsRunning: text(get('guest.toolsRunningStatus')) === 'guestToolsRunning',
    guestId: text(get('config.guestId')),
    firmware: text(get('config.firmware')) === 'efi' ? 'efi' : 'bios',
    secureBoot: isSet('config.bootOptions.efiSecureBootEnabled'),
    diskUuids: isSet('config.flags.diskUuidEnabled'),
    nestedVirtualization: isSet('config.nestedHVEnabled'),
    cpus,
    coresPerSocket: Number(text(child(hardware, 'numCoresPerSocket'))) || 1,
    memoryMb: Number(text(child(hardware, 'memoryMB'))),
    cpuHotAdd: isSet('config.cpuHotAddEnabled'),
    memoryHotAdd: isSet('config.memoryHotAddEnabled'),
    disks: devices.filter((device) => xsiType(device) === 'VirtualDisk').map(readDisk),
    controllers: devices.filter((device) => xsiType(device)?.endsWith('Controller')).map(readController),
    cards: devices.filter((device) => child(device, 'macAddress') !== undefined).map(readCard),
    passthrough: devices
      .filter((device) => xsiType(device) === 'VirtualPCIPassthrough')
      .map((device) => text(child(device, 'deviceInfo.label')) || 'a PCI device'),
    snapshots: readSnapshots(children(get('snapshot'), 'rootSnapshotList')),
    host: moRef(get('runtime.host')),
    committedBytes: Number(text(get('summary.storage.committed'))),
  };
}

function readDisk(device: XmlNode): SourceDisk {
  const bytes = Number(text(child(device, 'capacityInBytes')));
  const kib = Number(text(child(device, 'capacityInKB')));
  return {
    label: text(child(device, 'deviceInfo.label')),
    // The provider counts in whole GiB, rounding up (diskCapacityInGiB).
    sizeGib: Math.ceil((bytes > 0 ? bytes / 1024 : kib) / 1024 ** 2),
    thin: text(child(device, 'backing.thinProvisioned')) === 'true',
    eagerZeroed: text(child(device, 'backing.eagerlyScrub')) === 'true',
    backing: xsiType(child(device, 'backing')) ?? '',
    mode: text(child(device, 'backing.diskMode')),
    sharing: text(child(device, 'backing.sharing')),
    controllerKey: Number(text(child(device, 'controllerKey'))),
    unit: Number(text(child(device, 'unitNumber'))),
  };
}

const kinds: readonly [RegExp, ControllerKind][] = [
  [/^(?:ParaVirtualSCSI|VirtualBusLogic|VirtualLsiLogic|VirtualLsiLogicSAS|VirtualSCSI)Controller$/, 'scsi'],
  [/^Virtual(?:AHCI|SATA)Controller$/, 'sata'],
  [/^VirtualIDEController$/, 'ide'],
  [/^VirtualNVMEController$/, 'nvme'],
];

function readController(device: XmlNode): SourceController {
  const type = xsiType(device) ?? '';
  return {
    key: Number(text(child(device, 'key'))),
    kind: kinds.find(([pattern]) => pattern.test(type))?.[1],
    type,
    bus: Number(text(child(device, 'busNumber'))),
    busSharing: text(child(device, 'sharedBus')),
  };
}

function readCard(device: XmlNode): SourceCard {
  const distributed = text(child(device, 'backing.port.portgroupKey'));
  return {
    type: xsiType(device) ?? '',
    network: distributed === '' ? text(child(device, 'backing.deviceName')) : distributed,
    reference: moRef(child(device, 'backing.network'))?.moref,
  };
}

function readSnapshots(nodes: readonly XmlNode[]): SourceSnapshot[] {
  return nodes.flatMap((node) => {
    const reference = moRef(child(node, 'snapshot'));
    if (reference === undefined) return [];
    const own = { reference, name: text(child(node, 'name')), createdAt: text(child(node, 'createTime')) };
    return [own, ...readSnapshots(children(node, 'childSnapshotList'))];
  });
}
