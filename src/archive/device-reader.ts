import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** One block device as the kernel shows it. */
export interface BlockFacts {
  name: string;
  /** For people: "partition sda2", "LVM volume erp-data", "RAID raid1 md0", "encrypted x", "loop device loop3", "disk sda". */
  label: string;
  /** "major:minor" of what it stands on: the disk of a partition, members of a RAID, physical volumes, a crypt's device. */
  below: string[];
  /** The file behind a loop device. */
  backingFile: string | undefined;
  isMemory: boolean;
  isVirtual: boolean;
  identity: string;
}

/** Where facts about devices come from; tests play recorded ones. */
export interface DeviceReader {
  mountInfo: () => Promise<string>;
  block: (number: string) => Promise<BlockFacts | undefined>;
  /** "major:minor" of a device file or a name under /dev. */
  numberOf: (source: string) => Promise<string | undefined>;
  /** Every device of the btrfs that this device belongs to. */
  btrfsMembers: (source: string) => Promise<string[]>;
  exists: (path: string) => Promise<boolean>;
  realPath: (path: string) => Promise<string>;
  fileSystemNumber: (path: string) => Promise<number>;
}

/** /proc and /sys of this host. Elsewhere than on Linux nothing is found there, and only the file system's number is known. */
export const linuxDevices: DeviceReader = {
  mountInfo: async () => (await read('/proc/self/mountinfo')) ?? '',
  block: async (number) => readBlock('/sys', number),
  numberOf: async (source) => readNumber('/sys', source),
  btrfsMembers: async (source) => readBtrfsMembers('/sys', source),
  exists: async (path) =>
    stat(path).then(
      () => true,
      () => false,
    ),
  realPath: async (path) => realpath(path),
  fileSystemNumber: async (path) => (await stat(path)).dev,
};

/** `sys` is /sys, or a recorded copy of it. */
export async function readBlock(sys: string, number: string): Promise<BlockFacts | undefined> {
  const folder = await realpath(join(sys, 'dev/block', number)).catch(() => undefined);
  if (folder === undefined) return undefined;
  const name = basename(folder);
  const common = { name, backingFile: undefined, isMemory: false, isVirtual: false, identity: name };
  if ((await read(join(folder, 'partition'))) !== undefined) {
    const disk = await read(join(folder, '../dev'));
    return { ...common, label: `partition ${name}`, below: disk === undefined ? [] : [disk] };
  }
  const below: string[] = [];
  for (const slave of await list(join(folder, 'slaves'))) {
    const found = await read(join(folder, 'slaves', slave, 'dev'));
    if (found !== undefined) below.push(found);
  }
  const mapped = await read(join(folder, 'dm/name'));
  if (mapped !== undefined) {
    const kind = mappedKind((await read(join(folder, 'dm/uuid'))) ?? '');
    return { ...common, label: `${kind} ${mapped}`, below };
  }
  const level = await read(join(folder, 'md/level'));
  if (level !== undefined) return { ...common, label: `RAID ${level} ${name}`, below };
  const backingFile = await read(join(folder, 'loop/backing_file'));
  if (backingFile !== undefined)
    return { ...common, label: `loop device ${name} of ${backingFile}`, below, backingFile };
  const isMemory = /^(zram|ram|pmem)\d/.test(name);
  return {
    ...common,
    label: `disk ${name}`,
    below,
    isMemory,
    isVirtual: await isVirtualDisk(folder, name),
    identity: await identify(folder, name),
  };
}

function mappedKind(uuid: string): string {
  if (uuid.startsWith('LVM-')) return 'LVM volume';
  if (uuid.startsWith('CRYPT-')) return 'encrypted';
  if (uuid.startsWith('mpath-')) return 'multipath';
  return 'mapped device';
}

/** Several paths lead to one disk of a storage network: its world wide name is the same over all of them. */
async function identify(folder: string, name: string): Promise<string> {
  for (const file of ['wwid', 'device/wwid', 'serial', 'device/serial']) {
    const found = await read(join(folder, file));
    if (found !== undefined && found !== '')
      return `${file.endsWith('serial') ? `serial:${name.replace(/\d+$/, '')}:` : ''}${found}`;
  }
  return name;
}

async function isVirtualDisk(folder: string, name: string): Promise<boolean> {
  if (/^(vd|xvd)[a-z]/.test(name)) return true;
  const maker = `${(await read(join(folder, 'device/vendor'))) ?? ''} ${(await read(join(folder, 'device/model'))) ?? ''}`;
  return /vmware|qemu|virtual|msft|amazon|google|nutanix/i.test(maker);
}

async function readNumber(sys: string, source: string): Promise<string | undefined> {
  const real = await realpath(source).catch(() => source);
  return read(join(sys, 'class/block', basename(real), 'dev'));
}

async function readBtrfsMembers(sys: string, source: string): Promise<string[]> {
  const own = basename(await realpath(source).catch(() => source));
  const root = join(sys, 'fs/btrfs');
  for (const id of await list(root)) {
    const members = await list(join(root, id, 'devices'));
    if (!members.includes(own)) continue;
    const numbers = await Promise.all(
      members.map(async (member) => read(join(root, id, 'devices', member, 'dev'))),
    );
    return numbers.filter((number) => number !== undefined);
  }
  return [];
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
