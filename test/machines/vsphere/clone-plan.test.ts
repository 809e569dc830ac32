import { describe, expect, test } from 'vitest';
import { planClone, refuseClone, requireClonable } from '../../../src/machines/vsphere/clone-plan.ts';
import type {
  CloneSource,
  SourceController,
  SourceDisk,
} from '../../../src/machines/vsphere/clone-source.ts';
import { refuseCustomization } from '../../../src/machines/vsphere/customization.ts';
import { chooseVlan } from '../../../src/machines/vsphere/isolated-switch.ts';
import { isolatedNetworkName } from '../../../src/machines/vsphere/inventory.ts';
import { refuseSpace } from '../../../src/machines/vsphere/prepare-clone.ts';

const full = { linked: false };
const linked = { linked: true };

const controllerTypes = {
  scsi: 'ParaVirtualSCSIController',
  sata: 'VirtualAHCIController',
  ide: 'VirtualIDEController',
  nvme: 'VirtualNVMEController',
} as const;

function controller(kind: keyof typeof controllerTypes, bus = 0): SourceController {
  const keys = { scsi: 1000, sata: 15_000, ide: 200, nvme: 31_000 };
  return { key: keys[kind] + bus, kind, type: controllerTypes[kind], bus, busSharing: 'noSharing' };
}

function disk(on: SourceController, unit: number, more: Partial<SourceDisk> = {}): SourceDisk {
  return {
    label: `Hard disk ${unit + 1}`,
    sizeGib: 10 + unit,
    thin: false,
    eagerZeroed: true,
    backing: 'VirtualDiskFlatVer2BackingInfo',
    mode: 'persistent',
    sharing: 'sharingNone',
    controllerKey: on.key,
    unit,
    ...more,
  };
}

const scsi = controller('scsi');

function source(more: Partial<CloneSource> = {}): CloneSource {
  return {
    reference: { type: 'VirtualMachine', moref: 'vm-1' },
    name: 'erp',
    uuid: 'u',
    power: 'on',
    isTemplate: false,
    toolsRunning: true,
    guestId: 'debian12_64Guest',
    firmware: 'efi',
    secureBoot: false,
    diskUuids: true,
    nestedVirtualization: false,
    cpus: 8,
    coresPerSocket: 4,
    memoryMb: 16_384,
    cpuHotAdd: true,
    memoryHotAdd: false,
    disks: [disk(scsi, 0), disk(scsi, 1)],
    controllers: [scsi],
    cards: [{ type: 'VirtualVmxnet3', network: 'LAN', reference: undefined }],
    passthrough: [],
    snapshots: [],
    host: undefined,
    committedBytes: 0,
    ...more,
  };
}

describe('what can be cloned', () => {
  test('a card on SR-IOV and a device of the host are refused before the provider meets them', () => {
    const direct = { type: 'VirtualSriovEthernetCard', network: 'LAN', reference: undefined };
    expect(refuseClone(source({ cards: [direct], passthrough: ['PCI device 0'] }), full)).toEqual([
      'its card on LAN is an SR-IOV one, which the provider cannot clone',
      'PCI device 0 is handed through from its host: it cannot be cloned while it runs',
    ]);
    expect(refuseClone(source({ power: 'off', passthrough: ['PCI device 0'] }), full)).toEqual([]);
  });

  test.each([
    ['VirtualE1000e', 'e1000e'],
    ['VirtualVmxnet3', 'vmxnet3'],
    ['VirtualPCNet32', 'e1000'],
    ['VirtualOfTheFuture', 'vmxnet3'],
  ])('a card %s becomes %s', (type, adapter) => {
    const cards = [{ type, network: 'LAN', reference: undefined }];
    expect(planClone(source({ cards }), full).adapterTypes).toEqual([adapter]);
  });

  test.each(['scsi', 'sata', 'nvme'] as const)('disks on %s, counted over all its controllers', (kind) => {
    const [first, second] = [controller(kind), controller(kind, 1)];
    const machine = source({ controllers: [first, second], disks: [disk(first, 0), disk(second, 2)] });
    expect(refuseClone(machine, full)).toEqual([]);
    const per = { scsi: 15, sata: 30, nvme: 64 }[kind];
    const plan = planClone(machine, full);
    expect(plan.disks.map(({ unitNumber }) => unitNumber)).toEqual([0, per + 2]);
    expect(plan.controllers[kind]).toBe(2);
  });

  test('disks on IDE, but not where the provider keeps a CD-ROM', () => {
    const ide = controller('ide');
    expect(refuseClone(source({ controllers: [ide], disks: [disk(ide, 1)] }), full)).toEqual([]);
    expect(refuseClone(source({ controllers: [ide], disks: [disk(ide, 0)] }), full)).toEqual([
      'Hard disk 1 on VirtualIDEController 0:0: the provider keeps that place for a CD-ROM',
    ]);
  });

  test("a SCSI controller's own unit is left out of the count", () => {
    const machine = source({ disks: [disk(scsi, 6), disk(scsi, 8)] });
    expect(planClone(machine, full).disks.map(({ unitNumber }) => unitNumber)).toEqual([6, 7]);
  });

  test.each<[string, Partial<CloneSource>, RegExp]>([
    [
      'a controller the provider does not know',
      {
        controllers: [{ key: 1000, kind: undefined, type: 'VirtualUSBController', bus: 0, busSharing: '' }],
      },
      /on VirtualUSBController: the provider cannot clone disks of this controller/,
    ],
    [
      'BusLogic',
      { controllers: [{ ...scsi, type: 'VirtualBusLogicController' }] },
      /cannot clone disks of VirtualBusLogicController/,
    ],
    [
      'SCSI controllers of two types, which the provider makes one',
      {
        controllers: [scsi, { ...controller('scsi', 1), type: 'VirtualLsiLogicController' }],
        disks: [disk(scsi, 0), disk(controller('scsi', 1), 0)],
      },
      /of different types \(ParaVirtualSCSIController, VirtualLsiLogicController\)/,
    ],
    ['a shared bus', { controllers: [{ ...scsi, busSharing: 'physicalSharing' }] }, /shares its bus/],
    [
      'a raw device mapping',
      { disks: [disk(scsi, 0, { backing: 'VirtualDiskRawDiskMappingVer1BackingInfo' })] },
      /is a raw device mapping/,
    ],
    ['a multi-writer disk', { disks: [disk(scsi, 0, { sharing: 'sharingMultiWriter' })] }, /multi-writer/],
    [
      'an independent disk of a running machine',
      { disks: [disk(scsi, 0, { mode: 'independent_persistent' })] },
      /no snapshot of a running machine holds it/,
    ],
    ['no disk', { disks: [] }, /has no disk/],
    ['no network card', { cards: [] }, /has no network card/],
    [
      'a fifth SCSI controller',
      { controllers: [controller('scsi', 4)], disks: [disk(controller('scsi', 4), 0)] },
      /manages only 4 of its kind/,
    ],
  ])('%s is refused by name', (_, more, reason) => {
    expect(refuseClone(source(more), full).join('\n')).toMatch(reason);
  });

  test('an independent disk of a machine that is off can be cloned', () => {
    const machine = source({ power: 'off', disks: [disk(scsi, 0, { mode: 'independent_persistent' })] });
    expect(refuseClone(machine, full)).toEqual([]);
  });

  test('disks that the provider would take for each other are refused', () => {
    const [one, ide] = [controller('scsi'), controller('ide', 1)];
    // By bus and unit: SCSI 0:3, IDE 1:0. By number: IDE 2, SCSI 3.
    const mixed = source({ controllers: [one, ide], disks: [disk(one, 3), disk(ide, 0)] });
    expect(refuseClone(mixed, full)).toEqual([
      'the provider would confuse its disks on controllers of different kinds',
    ]);
  });

  test('every reason is named at once', () => {
    const machine = source({ cards: [], disks: [disk(scsi, 0, { sharing: 'sharingMultiWriter' })] });
    expect(() => requireClonable(machine, full)).toThrow(
      'erp cannot be cloned: Hard disk 1 is shared by several machines (multi-writer) (and 1 more)',
    );
  });
});

describe('a clone', () => {
  test('is as its source, thin, where nothing else is wished', () => {
    expect(planClone(source(), full)).toMatchObject({
      cpus: 8,
      coresPerSocket: 4,
      memoryMb: 16_384,
      scsiType: 'pvscsi',
      adapterTypes: ['vmxnet3'],
      disks: [
        { sizeGib: 10, thin: true, eagerZeroed: false },
        { sizeGib: 11, thin: true, eagerZeroed: false },
      ],
    });
  });

  test('has the size that is wished, and a larger last disk, never a smaller one', () => {
    const wish = { linked: false, cpus: 2, memoryMb: 4096, dataDiskGib: 50 };
    const plan = planClone(source(), wish);
    expect(plan).toMatchObject({ cpus: 2, coresPerSocket: 1, memoryMb: 4096 });
    expect(plan.disks.map(({ sizeGib }) => sizeGib)).toEqual([10, 50]);
    expect(refuseClone(source(), { linked: false, dataDiskGib: 5 })).toEqual([
      'its last disk has 11 GiB, a clone cannot have 5',
    ]);
  });

  test('that is linked has disks exactly as its source, and no snapshot beside ours under it', () => {
    expect(planClone(source(), linked).disks[0]).toMatchObject({ thin: false, eagerZeroed: true });
    expect(refuseClone(source(), { linked: true, dataDiskGib: 50 })).toHaveLength(1);
    const snapshot = (name: string) => ({ reference: { type: 's', moref: name }, name, createdAt: '' });
    expect(refuseClone(source({ snapshots: [snapshot('clona-base')] }), linked)).toEqual([]);
    expect(refuseClone(source({ snapshots: [snapshot('clona-base'), snapshot('x')] }), linked)).toEqual([
      'a linked clone needs "clona-base" to be its only snapshot, it also has "x"',
    ]);
  });
});

test('a datastore without room is refused with both sizes', () => {
  const machine = { name: 'erp', committedBytes: 20 * 1024 ** 3 };
  expect(refuseSpace('DS0', 21 * 1024 ** 3, machine)).toBeUndefined();
  expect(refuseSpace('DS0', undefined, machine)).toBeUndefined();
  expect(refuseSpace('DS0', 5 * 1024 ** 3, machine)?.message).toBe(
    'the datastore DS0 has 5.0 GiB free, a clone of erp needs 20.0 GiB',
  );
});

test('port groups on the isolated switch get VLANs of their own, and keep them', () => {
  const first = chooseVlan('clona-a', []);
  expect(chooseVlan('clona-a', [{ name: 'clona-a', vlan: 7 }])).toBe(7);
  expect(chooseVlan('clona-a', [{ name: 'clona-b', vlan: first }])).not.toBe(first);
  const all = Array.from({ length: 4094 }, (_, index) => ({ name: `g${index}`, vlan: index + 1 }));
  expect(() => chooseVlan('clona-a', all)).toThrow('no free VLAN');
});

test('networks of machines with long names stay apart', () => {
  const names = ['a', 'b'].map((end) =>
    isolatedNetworkName(`${'staging-of-the-erp-machine-'.repeat(2)}${end}`),
  );
  expect(new Set(names).size).toBe(2);
  expect(names.every((name) => name.length <= 31)).toBe(true);
});

test.each([
  [{ system: 'Linux', cards: 1 }, {}, undefined],
  [{ system: 'Linux', cards: 0 }, {}, undefined],
  [{ system: 'Linux', cards: 2 }, {}, /is for 2 network cards, and erp has 1$/],
  [{ system: 'Windows', cards: 1 }, {}, /is for Windows, and erp has the guest system ubuntu64Guest$/],
  [{ system: 'Linux', cards: 1 }, { guestId: 'windows2022srvNext_64Guest' }, /is for Linux/],
  [{ system: 'Windows', cards: 1 }, { guestId: 'windows2022srvNext_64Guest' }, undefined],
  [{ system: 'Windows', cards: 1 }, { guestId: 'otherGuest' }, undefined],
])('a customization specification %j on %j fits, or says why not', (facts, more, refusal) => {
  const live = { name: 'erp', guestId: 'ubuntu64Guest', cards: [{}] as CloneSource['cards'], ...more };
  const said = refuseCustomization({ name: 'spec', ...facts }, live);
  if (refusal === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(refusal);
});
