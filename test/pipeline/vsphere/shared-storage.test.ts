import { describe, expect, test } from 'vitest';
import type { DeviceFacts } from '../../../src/archive/devices.ts';
import { biosUuids } from '../../../src/machines/vsphere/host-identity.ts';
import { lunOf, type DatastoreDevices, type MachineStorage } from '../../../src/machines/vsphere/storage.ts';
import { compareStorage } from '../../../src/pipeline/vsphere/shared-storage.ts';

const lun = 'naa.60003ff44dc75adcb5a3e3a8d9ffd4d1';

function datastore(moref: string, more: Partial<DatastoreDevices>): DatastoreDevices {
  const reference = { type: 'Datastore', moref };
  return {
    reference,
    name: moref,
    kind: 'other',
    devices: [],
    servers: [],
    capacityBytes: 1,
    freeBytes: 1,
    ...more,
  };
}
const san = datastore('san', { kind: 'vmfs', devices: [lun, 't10.ATA_____Disk____7'] });
const inside = datastore('inside', { kind: 'vmfs', devices: ['mpx.vmhba1:C0:T0:L0'] });
const share = datastore('share', { kind: 'nfs', devices: ['filer:/vol'], servers: ['filer', 'filer-2'] });
const vsan = datastore('vsan', { devices: ['ds:///vmfs/volumes/vsan:52/'] });

function machine(
  name: string,
  disks: MachineStorage['disks'],
  datastores: DatastoreDevices[],
): MachineStorage {
  return { name, disks, datastores };
}
function onStores(name: string, ...stores: DatastoreDevices[]): MachineStorage {
  const disks = stores.map(({ name: datastore }, n) => ({
    label: `Hard disk ${n + 1}`,
    uuid: `6000c29${n}`.padEnd(32, '0'),
    datastore,
    lun: null,
  }));
  return machine(name, disks, stores);
}
const raw = { label: 'Hard disk 2', uuid: '', datastore: 'inside', lun };

function place(kind: DeviceFacts['kind'], identity?: string, isVirtual = false): DeviceFacts {
  const disks = identity === undefined ? [] : [{ identity, name: 'sdb', isVirtual }];
  return {
    path: '/archive',
    mountPoint: '/',
    fileSystem: 'x',
    kind,
    disks,
    chain: ['here'],
    fileSystemNumber: 1,
  };
}
const virtual = (identity = 'sdb'): DeviceFacts => place('disk', identity, true);

const addresses = new Map([
  ['filer', ['10.0.0.7']],
  ['filer-2', ['10.0.0.8']],
  ['10.0.0.8', ['10.0.0.8']],
  ['other', ['10.0.0.9']],
]);

describe('R16 on vSphere: the archive and the datastores of LIVE', () => {
  test.each<[string, MachineStorage, DeviceFacts, MachineStorage | undefined, string]>([
    ['the LUN of its datastore', onStores('erp', san), place('disk', lun), undefined, 'yes'],
    [
      'a LUN spelled otherwise',
      onStores('erp', san),
      place('disk', 't10.ATA     Disk    7'),
      undefined,
      'yes',
    ],
    ['another LUN', onStores('erp', san), place('disk', 'naa.6001'), undefined, 'no'],
    ['a disk without a world wide name', onStores('erp', san), place('disk', 'sdb'), undefined, 'unknown'],
    [
      'a disk of this host, LIVE on one of its own',
      onStores('erp', inside),
      place('disk', 'sdb'),
      undefined,
      'no',
    ],
    ['the LUN mapped raw', machine('erp', [raw], [inside]), place('disk', lun), undefined, 'yes'],
    ['the LUN handed through to a VM', onStores('erp', san), virtual(lun), undefined, 'yes'],
    ['its file server', onStores('erp', san, share), place('remote', 'nfs4:filer'), undefined, 'yes'],
    ['its file server by CIFS', onStores('erp', share), place('remote', 'cifs:FILER'), undefined, 'yes'],
    [
      'its second server, by address',
      onStores('erp', share),
      place('remote', 'nfs:10.0.0.8'),
      undefined,
      'yes',
    ],
    ['another server', onStores('erp', share), place('remote', 'nfs4:other'), undefined, 'no'],
    ['a server nobody knows', onStores('erp', share), place('remote', 'nfs4:nobody'), undefined, 'unknown'],
    ['a server, LIVE on LUNs', onStores('erp', san), place('remote', 'nfs4:nobody'), undefined, 'no'],
    ['a disk of an unknown VM', onStores('erp', san), virtual(), undefined, 'unknown'],
    ['a VM on its datastore', onStores('erp', vsan), virtual(), onStores('clona', vsan), 'yes'],
    ['a VM on another datastore', onStores('erp', vsan), virtual(), onStores('clona', share), 'no'],
    [
      'a VM on both, which disk unknown',
      onStores('erp', san),
      virtual(),
      onStores('clona', san, share),
      'unknown',
    ],
    [
      'a VM on both, its disk there',
      onStores('erp', san),
      virtual('naa.6000c290'.padEnd(36, '0')),
      onStores('clona', san, share),
      'yes',
    ],
    [
      'a VM on both, its disk elsewhere',
      onStores('erp', san),
      virtual('naa.6000c291'.padEnd(36, '0')),
      onStores('clona', san, share),
      'no',
    ],
    [
      'a VM on another datastore of one LUN',
      onStores('erp', san),
      virtual(),
      onStores('clona', datastore('second', { kind: 'vmfs', devices: [lun] })),
      'yes',
    ],
    ['what cannot be seen', onStores('erp', san), place('unknown'), undefined, 'unknown'],
    ['memory', onStores('erp', san), place('memory'), undefined, 'no'],
  ])('%s', (_what, live, where, own, same) => {
    const found = compareStorage({ live, place: where, own, addresses });
    expect(found.same).toBe(same);
    expect(found.reasons.every((reason) => reason !== '')).toBe(true);
  });

  test('the world wide name of a LUN stands within the name of its mapping', () => {
    expect(lunOf('020000000060003ff44dc75adcb5a3e3a8d9ffd4d1564d77617265')).toBe(lun);
    expect(lunOf('')).toBeNull();
  });

  test("VMware's serial number, and the UUID in both orders of bytes, name this host", () => {
    expect(
      biosUuids(
        'VMware-42 1a 0f 3c 5d 6e 7f 80-91 a2 b3 c4 d5 e6 f7 08\n',
        '3C0F1A42-6E5D-807F-91A2-B3C4D5E6F708\n',
      ),
    ).toEqual(['421a0f3c-5d6e-7f80-91a2-b3c4d5e6f708', '3c0f1a42-6e5d-807f-91a2-b3c4d5e6f708']);
    expect(biosUuids('', 'Not Specified')).toEqual([]);
  });
});
