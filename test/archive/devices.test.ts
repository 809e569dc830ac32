import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BlockFacts, DeviceReader } from '../../src/archive/device-reader.ts';
import { compareDevices, nameDevice, resolveDevice, sameDevice } from '../../src/archive/devices.ts';
import { guestDevices } from '../../src/archive/guest-devices.ts';
import { createHostGuest } from '../support/host-guest.ts';
import { findMount, parseMounts } from '../../src/archive/mounts.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';

/** Recorded on a server with RAID 1 and LVM, an encrypted disk, a storage network, NFS and containers; names shortened. */
const mountInfo = `
22 1 253:0 / / rw,relatime - ext4 /dev/mapper/sys-root rw
30 22 253:1 / /var/lib/postgresql rw - xfs /dev/mapper/sys-data rw
31 22 8:33 / /mnt/backup\\040disk rw - ext4 /dev/sdc1 rw
32 22 253:5 / /mnt/secret rw - ext4 /dev/mapper/safe rw
33 22 253:7 / /mnt/lun-a rw - xfs /dev/mapper/mpatha rw
34 22 8:80 / /mnt/lun-b rw - xfs /dev/sdf rw
35 22 0:44 / /mnt/nfs1 rw - nfs4 filer:/srv/one rw,vers=4.2
36 22 0:45 / /mnt/nfs2 rw - nfs4 filer:/srv/two rw,vers=4.2
37 22 0:46 / /tmp rw - tmpfs tmpfs rw,size=1g
38 22 0:47 / /mnt/union rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/postgresql/u,workdir=/w
39 22 0:48 / /mnt/container rw - overlay overlay rw,lowerdir=/x,upperdir=/host/only/u
40 22 7:3 / /mnt/image rw - ext4 /dev/loop3 rw
41 22 0:50 /@data /mnt/tree rw - btrfs /dev/sdd1 rw,subvol=/@data
42 22 0:51 / /mnt/pool/a rw - zfs tank/a rw
43 22 8:33 /sub /srv/bound rw - ext4 /dev/sdc1 rw
44 22 253:9 / /mnt/hidden rw - ext4 /dev/mapper/hidden rw
45 31 0:52 / /mnt/backup\\040disk/ram rw - tmpfs tmpfs rw
`;

const disk = (name: string, identity = name): BlockFacts => ({
  name,
  identity,
  label: `disk ${name}`,
  below: [],
  backingFile: undefined,
  isMemory: false,
  isVirtual: false,
});
const over = (label: string, ...below: string[]): BlockFacts => ({ ...disk(label), label, below });

const blocks: Record<string, BlockFacts> = {
  '8:0': disk('sda'),
  '8:16': disk('sdb'),
  '8:32': disk('sdc'),
  '8:48': disk('sdd'),
  '8:64': disk('sde', 'naa.6001'),
  '8:80': disk('sdf', 'naa.6001'),
  '8:96': disk('sdg'),
  '8:2': over('partition sda2', '8:0'),
  '8:18': over('partition sdb2', '8:16'),
  '8:33': over('partition sdc1', '8:32'),
  '8:49': over('partition sdd1', '8:48'),
  '9:0': over('RAID raid1 md0', '8:2', '8:18'),
  '253:0': over('LVM volume sys-root', '9:0'),
  '253:1': over('LVM volume sys-data', '9:0'),
  '253:5': over('encrypted safe', '8:33'),
  '253:7': over('multipath mpatha', '8:64'),
  '7:3': { ...disk('loop3'), label: 'loop device loop3', backingFile: '/var/lib/postgresql/disk.img' },
};

const recorded: DeviceReader = {
  mountInfo: async () => mountInfo,
  block: async (number) => blocks[number],
  numberOf: async () => undefined,
  btrfsMembers: async () => ['8:49', '8:96'],
  exists: async (path) => !path.startsWith('/host/only') && !path.includes('not-there'),
  realPath: async (path) => path,
  // As the kernel does it: one number per mounted file system.
  fileSystemNumber: async (path) => {
    const device = findMount(parseMounts(mountInfo), path)?.device ?? '0:0';
    const [major = '0', minor = '0'] = device.split(':');
    return Number(major) * 256 + Number(minor);
  },
};

describe('a recorded server', () => {
  test.each([
    ['/home', '/var/lib/postgresql/15', 'yes', 'RAID and LVM: other volumes of one group'],
    ['/var/lib/postgresql/15', '/mnt/backup disk', 'no', 'another disk'],
    ['/mnt/backup disk/x', '/srv/bound/y', 'yes', 'the same file system mounted twice'],
    ['/mnt/secret', '/mnt/backup disk', 'yes', 'an encrypted volume on that partition'],
    ['/mnt/lun-a', '/mnt/lun-b', 'yes', 'two paths to one disk'],
    ['/mnt/nfs1', '/mnt/nfs2', 'yes', 'two exports of one server'],
    ['/mnt/nfs1', '/home', 'no', 'a server and a disk'],
    ['/mnt/union', '/home', 'yes', 'an overlay writes where its upper folder is'],
    ['/mnt/container', '/home', 'unknown', 'an upper folder that only the host sees'],
    ['/mnt/image', '/home', 'yes', 'a loop device lies where its file lies'],
    ['/mnt/image', '/mnt/backup disk', 'no', 'a loop device on another disk'],
    ['/mnt/tree', '/home', 'no', 'btrfs over two disks'],
    ['/mnt/pool/a', '/home', 'no', 'a pool has a name of its own'],
    ['/mnt/hidden', '/home', 'unknown', 'a device the kernel does not show'],
    ['/tmp/a', '/home', 'no', 'memory is no disk'],
    ['/tmp/a', '/mnt/backup disk/ram', 'yes', 'two file systems in one memory'],
    ['/mnt/backup disk/not-there/yet', '/srv/bound', 'yes', 'a folder that is not made yet'],
  ])('%s and %s: %s (%s)', async (a, b, same) => {
    expect((await sameDevice(a, b, recorded)).same).toBe(same);
  });

  test('the way down is told', async () => {
    const facts = await resolveDevice('/var/lib/postgresql/15/main', recorded);
    expect(facts.chain).toEqual([
      'xfs on /var/lib/postgresql',
      'LVM volume sys-data',
      'RAID raid1 md0',
      'partition sda2',
      'disk sda',
      'partition sdb2',
      'disk sdb',
    ]);
    expect(nameDevice(facts)).toBe('sda + sdb');
    expect(nameDevice(await resolveDevice('/tmp', recorded))).toBe('memory (tmpfs)');
    expect(nameDevice(await resolveDevice('/mnt/nfs1', recorded))).toBe('nfs4 filer:/srv/one');
  });

  test('two disks of a virtual machine are told apart with a warning', async () => {
    const a = await resolveDevice('/home', recorded);
    const b = await resolveDevice('/mnt/backup disk', recorded);
    const virtual = (facts: typeof a): typeof a => ({
      ...facts,
      disks: facts.disks.map((found) => ({ ...found, isVirtual: true })),
    });
    const { same, reasons } = compareDevices(virtual(a), virtual(b));
    expect(same).toBe('no');
    expect(reasons[0]).toContain('datastore');
  });
});

describe.skipIf(process.platform !== 'linux')('this host', () => {
  test('a folder shares its device with its parent', async () => {
    expect((await sameDevice(tmpdir(), join(tmpdir(), 'not-there'))).same).toBe('yes');
  });

  test.skipIf(!canMount())('a file system in memory is named', async () => {
    await using small = await mountSmallDisk(1);
    const facts = await resolveDevice(small.folder);
    expect(facts).toMatchObject({ kind: 'memory', fileSystem: 'tmpfs' });
  });

  test.skipIf(!canMount())('a loop device lies on the disk of its file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loop-'));
    const [image, at] = [join(folder, 'image'), join(folder, 'mounted')];
    await mkdir(at);
    execFileSync('truncate', ['-s', '8M', image]);
    execFileSync('mkfs.ext4', ['-q', '-F', image]);
    try {
      execFileSync('mount', ['-o', 'loop', image, at]);
      const { same, reasons } = await sameDevice(at, folder);
      expect(reasons.join('\n')).toContain('loop device');
      expect(same).toBe('yes');
    } finally {
      execFileSync('umount', ['-l', at], { stdio: 'ignore' });
      await rm(folder, { recursive: true, force: true });
    }
  });
});

test.skipIf(process.platform !== 'linux')(
  'a guest is asked for its own /proc and /sys, and says what this host says of itself',
  async () => {
    await using guest = createHostGuest(tmpdir());
    const reader = guestDevices(guest, new AbortController().signal);
    for (const path of [tmpdir(), '/', join(tmpdir(), 'is', 'not', 'there')]) {
      expect(await resolveDevice(path, reader)).toEqual(await resolveDevice(path));
    }
  },
);
