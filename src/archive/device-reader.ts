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

/** What is asked of the files of a host: this one, or a guest. Nothing of it throws for what is not there. */
export interface HostFiles {
  /** Trimmed; undefined: it is not there. */
  read: (path: string) => Promise<string | undefined>;
  list: (folder: string) => Promise<string[]>;
  /** undefined: it is not there. */
  realPath: (path: string) => Promise<string | undefined>;
  fileSystemNumber: (path: string) => Promise<number>;
}

const here: HostFiles = {
  read: async (path) =>
    readFile(path, 'utf8').then(
      (text) => text.trim(),
      () => undefined,
    ),
  list: async (folder) => readdir(folder).catch(() => []),
  realPath: async (path) => realpath(path).catch(() => undefined),
  fileSystemNumber: async (path) => (await stat(path)).dev,
};

/** /proc and /sys of a host. Elsewhere than on Linux nothing is found there, and only the file system's number is known. */
export function createDeviceReader(files: HostFiles): DeviceReader {
  return {
    mountInfo: async () => (await files.read('/proc/self/mountinfo')) ?? '',
    block: async (number) => readBlock('/sys', number, files),
    numberOf: async (source) => readNumber('/sys', source, files),
    btrfsMembers: async (source) => readBtrfsMembers('/sys', source, files),
    exists: async (path) => (await files.realPath(path)) !== undefined,
    realPath: async (path) => (await files.realPath(path)) ?? path,
    fileSystemNumber: files.fileSystemNumber,
  };
}

export const linuxDevices: DeviceReader = createDeviceReader(here);

/** `sys` is /sys, or a recorded copy of it. */
export async function readBlock(sys: string, number: string, files = here): Promise<BlockFacts | undefined> {
  const { read, list } = files;
  const folder = await files.realPath(join(sys, 'dev/block', number));
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
    isVirtual: await isVirtualDisk(folder, name, read),
    identity: await identify(folder, name, read),
  };
}

function mappedKind(uuid: string): string {
  if (uuid.startsWith('LVM-')) return 'LVM volume';
  if (uuid.startsWith('CRYPT-')) return 'encrypted';
  if (uuid.startsWith('mpath-')) return 'multipath';
  return 'mapped device';
}

/** Several paths lead to one disk of a storage network: its world wide name is the same over all of them. */
async function identify(folder: string, name: string, read: HostFiles['read']): Promise<string> {
  for (const file of ['wwid', 'device/wwid', 'serial', 'device/serial']) {
    const found = await read(join(folder, file));
    if (found !== undefined && found !== '')
      return `${file.endsWith('serial') ? `serial:${name.replace(/\d+$/, '')}:` : ''}${found}`;
  }
  return name;
}

async function isVirtualDisk(folder: string, name: string, read: HostFiles['read']): Promise<boolean> {
  if (/^(vd|xvd)[a-z]/.test(name)) return true;
  const maker = `${(await read(join(folder, 'device/vendor'))) ?? ''} ${(await read(join(folder, 'device/model'))) ?? ''}`;
  return /vmware|qemu|virtual|msft|amazon|google|nutanix/i.test(maker);
}

async function readNumber(sys: string, source: string, files: HostFiles): Promise<string | undefined> {
  const real = (await files.realPath(source)) ?? source;
  return files.read(join(sys, 'class/block', basename(real), 'dev'));
}

async function readBtrfsMembers(sys: string, source: string, files: HostFiles): Promise<string[]> {
  const { read, list } = files;
  const own = basename((await files.realPath(source)) ?? source);
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
