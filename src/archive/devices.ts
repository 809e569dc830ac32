import { dirname } from 'node:path';
import { linuxDevices, type DeviceReader } from './device-reader.ts';
import { findMount, parseMounts, type Mount } from './mounts.ts';

/** What a path finally lies on. */
export interface DeviceFacts {
  path: string;
  mountPoint: string;
  fileSystem: string;
  /** disk: `disks` are known · memory: gone after a restart · remote: another host's · unknown: it cannot be seen from here. */
  kind: 'disk' | 'memory' | 'remote' | 'unknown';
  /** The lowest things that can be told apart: disks by their identity, a server's name, a pool's name. */
  disks: Disk[];
  /** From the path downwards, for people: "ext4 on /srv", "LVM volume erp-data", "RAID raid1 md0", "disk sda". */
  chain: string[];
  /** st_dev of the path: equal numbers are one file system, whatever else is known. */
  fileSystemNumber: number;
}

export interface Disk {
  /** Stays the same over several paths to one disk (multipath): its world wide name where it has one. */
  identity: string;
  name: string;
  /** A disk of a virtual machine: what lies below it cannot be seen from inside. */
  isVirtual: boolean;
}

export interface DeviceComparison {
  same: 'yes' | 'no' | 'unknown';
  /** Why, one phrase each. */
  reasons: string[];
}

/** Resolves the block devices below a path, or below its nearest folder that exists (R16). Never throws for what it cannot see. */
export async function resolveDevice(path: string, reader: DeviceReader = linuxDevices): Promise<DeviceFacts> {
  const existing = await nearestExisting(path, reader);
  const mounts = parseMounts(await reader.mountInfo());
  const number = await reader.fileSystemNumber(existing);
  const walk: Walk = { reader, mounts, chain: [], disks: new Map(), seen: new Set() };
  const mount = findMount(mounts, existing);
  const kind = mount === undefined ? 'unknown' : await walkMount(walk, mount, 0);
  return {
    path,
    mountPoint: mount?.mountPoint ?? '',
    fileSystem: mount?.fileSystem ?? '',
    kind,
    disks: [...walk.disks.values()],
    chain: walk.chain,
    fileSystemNumber: number,
  };
}

/** R16: do two paths share a device? */
export async function sameDevice(
  path: string,
  other: string,
  reader: DeviceReader = linuxDevices,
): Promise<DeviceComparison> {
  return compareDevices(await resolveDevice(path, reader), await resolveDevice(other, reader));
}

/** Pure. Disks below both of them count as shared even when only one of several is: its loss hurts both. */
export function compareDevices(a: DeviceFacts, b: DeviceFacts): DeviceComparison {
  const say = (facts: DeviceFacts): string =>
    `${facts.path}: ${facts.chain.join(' → ') || 'nothing is known'}`;
  const reasons = [say(a), say(b)];
  if (a.fileSystemNumber === b.fileSystemNumber) {
    return { same: 'yes', reasons: ['both are on one file system', ...reasons] };
  }
  const names = new Set(a.disks.map(({ identity }) => identity));
  const shared = b.disks.filter(({ identity }) => names.has(identity));
  if (shared.length > 0) {
    return { same: 'yes', reasons: [`both lie on ${shared.map(({ name }) => name).join(', ')}`, ...reasons] };
  }
  if (a.kind === 'memory' && b.kind === 'memory') {
    return { same: 'yes', reasons: ['both are in the memory of this host', ...reasons] };
  }
  const unseen = [a, b].find(
    ({ kind, disks }) => kind === 'unknown' || (kind !== 'memory' && disks.length === 0),
  );
  if (unseen !== undefined) {
    return {
      same: 'unknown',
      reasons: [`what lies below ${unseen.path} cannot be seen from here`, ...reasons],
    };
  }
  const virtual = [a, b].every(({ disks }) => disks.some(({ isVirtual }) => isVirtual));
  const note =
    'both are disks of a virtual machine: whether they share a datastore is not visible from inside';
  return { same: 'no', reasons: [...(virtual ? [note] : []), ...reasons] };
}

/** A short name for backup.json: "sda", "sda + sdb", "nfs filer:/srv". */
export function nameDevice(facts: DeviceFacts): string {
  if (facts.kind === 'memory') return `memory (${facts.fileSystem})`;
  return facts.disks.map(({ name }) => name).join(' + ') || `unknown (${facts.fileSystem || 'no mount'})`;
}

interface Walk {
  reader: DeviceReader;
  mounts: Mount[];
  chain: string[];
  disks: Map<string, Disk>;
  seen: Set<string>;
}

const memoryFileSystems = new Set(['tmpfs', 'ramfs', 'devtmpfs', 'hugetlbfs']);
const remoteFileSystems = /^(nfs4?|cifs|smb3|9p|virtiofs|ceph|glusterfs|fuse\..+|afs|lustre|beegfs)$/;
/** A loop device on an overlay on a loop device …: far deeper than anyone builds. */
const deepest = 16;

async function walkMount(walk: Walk, mount: Mount, depth: number): Promise<DeviceFacts['kind']> {
  const { fileSystem, source, mountPoint, options } = mount;
  walk.chain.push(`${fileSystem} on ${mountPoint}`);
  if (depth > deepest) return 'unknown';
  if (memoryFileSystems.has(fileSystem)) return 'memory';
  if (remoteFileSystems.test(fileSystem)) {
    // Two exports of one server are most likely on one machine, if not on one disk.
    const server = /^(\[[^\]]+\]|[^:/]+):/.exec(source)?.[1] ?? /^\/\/([^/]+)/.exec(source)?.[1] ?? source;
    addDisk(walk, { identity: `${fileSystem}:${server}`, name: `${fileSystem} ${source}`, isVirtual: false });
    return 'remote';
  }
  if (fileSystem === 'zfs') {
    const [pool = source] = source.split('/');
    addDisk(walk, { identity: `zfs:${pool}`, name: `zfs pool ${pool}`, isVirtual: false });
    return 'disk';
  }
  if (fileSystem === 'overlay') {
    // New files go to the upper folder. Inside a container it is the host's path, and means nothing there.
    const upper = options.get('upperdir');
    const below =
      upper === undefined || !(await walk.reader.exists(upper)) ? undefined : findMount(walk.mounts, upper);
    return below === undefined || below === mount ? 'unknown' : walkMount(walk, below, depth + 1);
  }
  const members = fileSystem === 'btrfs' ? await walk.reader.btrfsMembers(source) : [];
  const numbers =
    members.length > 0
      ? members
      : [mount.device.startsWith('0:') ? await walk.reader.numberOf(source) : mount.device];
  return walkAll(walk, numbers, depth);
}

async function walkAll(
  walk: Walk,
  numbers: readonly (string | undefined)[],
  depth: number,
): Promise<DeviceFacts['kind']> {
  const kinds = new Set<DeviceFacts['kind']>();
  for (const number of numbers)
    kinds.add(number === undefined ? 'unknown' : await walkBlock(walk, number, depth + 1));
  for (const kind of ['unknown', 'remote', 'memory'] as const) if (kinds.has(kind)) return kind;
  return kinds.size === 0 ? 'unknown' : 'disk';
}

async function walkBlock(walk: Walk, number: string, depth: number): Promise<DeviceFacts['kind']> {
  if (depth > deepest) return 'unknown';
  if (walk.seen.has(number)) return 'disk';
  walk.seen.add(number);
  const block = await walk.reader.block(number);
  if (block === undefined) {
    walk.chain.push(`device ${number}, which cannot be seen`);
    return 'unknown';
  }
  walk.chain.push(block.label);
  if (block.below.length > 0) return walkAll(walk, block.below, depth);
  if (block.backingFile !== undefined) {
    const mount = findMount(walk.mounts, block.backingFile);
    return mount === undefined ? 'unknown' : walkMount(walk, mount, depth + 1);
  }
  if (block.isMemory) return 'memory';
  addDisk(walk, { identity: block.identity, name: block.name, isVirtual: block.isVirtual });
  return 'disk';
}

function addDisk(walk: Walk, disk: Disk): void {
  walk.disks.set(disk.identity, disk);
}

async function nearestExisting(path: string, reader: DeviceReader): Promise<string> {
  let at = path;
  while (!(await reader.exists(at)) && dirname(at) !== at) at = dirname(at);
  return reader.realPath(at);
}
