import { spawnSync } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyFolder } from '../../../src/machines/local/copy.ts';
import { createLocalMachine } from '../../../src/machines/local/create.ts';
import { destroyLocalMachine } from '../../../src/machines/local/destroy.ts';
import { runsAsRoot } from '../../../src/machines/local/reach.ts';
import { listLeftovers, makeTestFolder } from '../../support/machine.ts';

const { signal } = new AbortController();
const mayMount =
  runsAsRoot() && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
const plain = { uid: null, signal };

let folder: string;
let mounted: string | undefined;
beforeEach(async () => {
  folder = await makeTestFolder();
});
afterEach(async () => {
  if (mounted !== undefined) spawnSync('umount', ['-l', mounted]);
  mounted = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** A disk of its own, as small or of the kind that a test wants; false where this host mounts none. */
async function mount(name: string, ...argv: string[]): Promise<boolean> {
  const target = join(folder, name);
  await mkdir(target, { recursive: true });
  if (spawnSync('mount', [...argv, target]).status !== 0) return false;
  mounted = target;
  await chmod(target, 0o711);
  return true;
}

test('a copy has the same files, modes, links and hard links, and appears whole', async () => {
  const from = join(folder, 'from');
  await mkdir(join(from, 'sub'), { recursive: true });
  await writeFile(join(from, 'sub', 'program'), 'text');
  await chmod(join(from, 'sub', 'program'), 0o750);
  await symlink('../nowhere', join(from, 'sub', 'link'));
  await link(join(from, 'sub', 'program'), join(from, 'same'));
  await copyFolder(from, join(folder, 'to'), plain);
  const to = join(folder, 'to');
  expect(await readFile(join(to, 'sub', 'program'), 'utf8')).toBe('text');
  expect((await lstat(join(to, 'sub', 'program'))).mode & 0o777).toBe(0o750);
  expect(await readlink(join(to, 'sub', 'link'))).toBe('../nowhere');
  expect((await lstat(join(to, 'same'))).ino).toBe((await lstat(join(to, 'sub', 'program'))).ino);
  expect((await readdir(folder)).toSorted()).toEqual(['from', 'to']);
});

test('what a copy that was cut off left is replaced', async () => {
  await mkdir(join(folder, 'from'));
  await writeFile(join(folder, 'from', 'new'), '');
  await mkdir(join(folder, 'to.partial'));
  await writeFile(join(folder, 'to.partial', 'old'), '');
  await copyFolder(join(folder, 'from'), join(folder, 'to'), plain);
  expect(await readdir(join(folder, 'to'))).toEqual(['new']);
});

test('a source that is not there is named, and nothing is left', async () => {
  await expect(copyFolder(join(folder, 'none'), join(folder, 'to'), plain)).rejects.toMatchObject({
    kind: 'machineFailed',
  });
  expect(await readdir(folder)).toEqual([]);
});

test.skipIf(!mayMount)(
  'a disk that is too small is said before the first byte (root mounts one)',
  async () => {
    if (!(await mount('small', '-t', 'tmpfs', '-o', 'size=4m', 'none'))) throw new Error('no tmpfs here');
    await mkdir(join(folder, 'from'));
    await writeFile(join(folder, 'from', 'big'), Buffer.alloc(8 * 2 ** 20, 1));
    await expect(copyFolder(join(folder, 'from'), join(folder, 'small', 'to'), plain)).rejects.toMatchObject({
      kind: 'diskFull',
      exitCode: 6,
      details: { neededBytes: expect.any(Number), freeBytes: expect.any(Number) },
    });
    expect(await readdir(join(folder, 'small'))).toEqual([]);
  },
);

test.skipIf(!mayMount)(
  'a clone that does not fit leaves no machine, and its source goes on (root mounts a disk)',
  async () => {
    if (!(await mount('small', '-t', 'tmpfs', '-o', 'size=6m', 'none'))) throw new Error('no tmpfs here');
    const root = join(folder, 'small');
    const live = await createLocalMachine({ root, name: 'live', role: 'live' }, signal);
    try {
      await writeFile(join(live.systemDisk, 'big'), Buffer.alloc(4 * 2 ** 20, 1));
      const clone = { root, name: 'clone', role: 'staging', source: { root, name: 'live' } } as const;
      await expect(createLocalMachine(clone, signal)).rejects.toMatchObject({ kind: 'diskFull' });
      expect(await listLeftovers(root, 'clone')).toEqual([]);
      expect((await lstat(join(live.systemDisk, 'big'))).size).toBe(4 * 2 ** 20);
    } finally {
      await destroyLocalMachine({ root, name: 'live', force: true }, signal);
    }
  },
);

const hasXfs = mayMount && spawnSync('mkfs.xfs', ['-V']).error === undefined;

test.skipIf(!hasXfs)(
  'on a file system that shares blocks a copy needs no space (root, mkfs.xfs)',
  async () => {
    const image = join(folder, 'image');
    spawnSync('truncate', ['-s', '400M', image]);
    spawnSync('mkfs.xfs', ['-q', '-m', 'reflink=1', image]);
    if (!(await mount('xfs', '-o', 'loop', image))) throw new Error('no loop device here');
    const disk = join(folder, 'xfs');
    await mkdir(join(disk, 'from'));
    await writeFile(join(disk, 'from', 'big'), Buffer.alloc(200 * 2 ** 20, 1));
    // Twice more than fits as bytes.
    await copyFolder(join(disk, 'from'), join(disk, 'one'), plain);
    await copyFolder(join(disk, 'from'), join(disk, 'two'), plain);
    expect((await lstat(join(disk, 'two', 'big'))).size).toBe(200 * 2 ** 20);
  },
);
