import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashKit } from '../../src/kit/hash.ts';
import { defaultKitLimits } from '../../src/kit/limits.ts';
import { unpackArchive } from '../../src/kit/unpack.ts';
import {
  plainKit,
  tarFiles,
  tarOf,
  writeFolder,
  zipFiles,
  zipOf,
  type TestFile,
} from './helpers/archives.ts';

const signal = new AbortController().signal;
let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'clona-hash-'));
});
afterEach(async () => {
  await rm(work, { recursive: true, force: true });
});

/** The definition of docs/decisions/0060-kit-hash.md, written a second time. */
function expectedHash(files: readonly TestFile[]): string {
  const sorted = [...files].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  const field = (content: string | Buffer): Buffer => {
    const bytes = Buffer.from(content);
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.length));
    return Buffer.concat([length, bytes]);
  };
  const hash = createHash('sha256').update('clona-kit-1\n');
  for (const { path, content, mode = 0o644 } of sorted) {
    hash.update(field(path)).update(field((mode & 0o100) === 0 ? '100644' : '100755'));
    hash.update(field(content));
  }
  return hash.digest('hex');
}

async function hashOfArchive(content: Buffer): Promise<string> {
  const file = join(work, 'archive');
  await writeFile(file, content);
  const into = join(work, 'unpacked');
  await rm(into, { recursive: true, force: true });
  await mkdir(into);
  await unpackArchive(file, into, defaultKitLimits, signal);
  return (await hashKit(into, signal)).hash;
}

async function refusalOf(content: Buffer, limits = defaultKitLimits): Promise<string> {
  const file = join(work, 'archive');
  await writeFile(file, content);
  await rm(join(work, 'unpacked'), { recursive: true, force: true });
  await mkdir(join(work, 'unpacked'));
  const refused = unpackArchive(file, join(work, 'unpacked'), limits, signal);
  await expect(refused).rejects.toMatchObject({ kind: 'kitInvalid' });
  return refused.then(
    () => '',
    (error: unknown) => (error instanceof Error ? error.message : ''),
  );
}

describe('the hash of a kit', () => {
  test('is the one its definition gives', async () => {
    const folder = await writeFolder(join(work, 'kit'), plainKit);
    expect((await hashKit(folder, signal)).hash).toBe(expectedHash(plainKit));
  });

  test('is the same for a folder, a zip, and a tar plain, gzipped, zstd, with or without a top folder', async () => {
    const expected = expectedHash(plainKit);
    const tar = await tarFiles(plainKit.toReversed(), './');
    for (const archive of [
      tar,
      gzipSync(tar),
      zstdCompressSync(tar),
      zipFiles(plainKit),
      zipFiles(plainKit.toReversed(), 'erp-2.1/'),
      await tarFiles(plainKit, 'erp-2.1/'),
    ]) {
      expect(await hashOfArchive(archive)).toBe(expected);
    }
  });

  test('is the same for an archive of many zstd frames, as parallel compressors write them, and of many gzip members', async () => {
    const tar = await tarFiles(plainKit);
    const pieces = [tar.subarray(0, 700), tar.subarray(700, 2000), tar.subarray(2000)];
    const skippable = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const zstd = Buffer.concat([
      skippable,
      ...pieces.flatMap((piece) => [zstdCompressSync(piece), skippable]),
    ]);
    for (const archive of [zstd, Buffer.concat(pieces.map((piece) => gzipSync(piece)))]) {
      expect(await hashOfArchive(archive)).toBe(expectedHash(plainKit));
    }
  });

  test('is the same for a zip that does not say that its names are UTF-8', async () => {
    const zip = zipFiles(plainKit);
    // The flag of both headers, wherever "needs version 2.0, names are UTF-8" stands.
    for (
      let at = zip.indexOf('\u0014\0\0\b', 0, 'latin1');
      at !== -1;
      at = zip.indexOf('\u0014\0\0\b', at, 'latin1')
    ) {
      zip[at + 3] = 0;
    }
    expect(await hashOfArchive(zip)).toBe(expectedHash(plainKit));
  });

  test('does not depend on times, empty folders, or rights other than the owner may execute', async () => {
    const folder = await writeFolder(join(work, 'kit'), plainKit);
    await mkdir(join(folder, 'empty'));
    await chmod(join(folder, 'migrate.sql'), 0o600);
    await chmod(join(folder, 'program/bin/erp'), 0o500);
    await utimes(join(folder, 'kit.yaml'), 1, 1);
    expect((await hashKit(folder, signal)).hash).toBe(expectedHash(plainKit));
  });

  test('changes with a content, a path, a right to execute, a file more, a dotfile more', async () => {
    const folder = await writeFolder(join(work, 'kit'), plainKit);
    const seen = [(await hashKit(folder, signal)).hash];
    const note = async (): Promise<void> => void seen.push((await hashKit(folder, signal)).hash);
    await writeFile(join(folder, 'migrate.sql'), 'SELECT 1');
    await note();
    await rename(join(folder, 'migrate.sql'), join(folder, 'migrate2.sql'));
    await note();
    await chmod(join(folder, 'migrate2.sql'), 0o755);
    await note();
    await writeFile(join(folder, 'empty'), '');
    await note();
    await writeFile(join(folder, '.git'), '');
    await note();
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('tells apart what a concatenation would confuse', async () => {
    const one = await writeFolder(join(work, 'one'), [{ path: 'a', content: 'bc' }]);
    const two = await writeFolder(join(work, 'two'), [{ path: 'ab', content: 'c' }]);
    expect((await hashKit(one, signal)).hash).not.toBe((await hashKit(two, signal)).hash);
  });

  test('orders by UTF-8 bytes, where UTF-16 and locales order otherwise', async () => {
    const files = ['\u{1F600}', '\uFF5E', 'Z', 'a', 'ä', 'B', 'a/b', 'a-b'].map((path) => ({
      path: path === 'a' ? 'a.txt' : path,
      content: path,
    }));
    const folder = await writeFolder(join(work, 'kit'), files);
    expect((await hashKit(folder, signal)).hash).toBe(expectedHash(files));
  });

  test('leaves out kit.sig in the topmost folder and no other file of that name', async () => {
    const folder = await writeFolder(join(work, 'kit'), plainKit);
    await writeFile(join(folder, 'kit.sig'), 'signature');
    expect((await hashKit(folder, signal)).hash).toBe(expectedHash(plainKit));
    await writeFile(join(folder, 'program/kit.sig'), 'x');
    expect((await hashKit(folder, signal)).hash).not.toBe(expectedHash(plainKit));
  });

  test('hashes a link as its target, and a hard link of a tar as the file it stands for', async () => {
    const folder = await writeFolder(join(work, 'kit'), plainKit);
    await symlink('erp', join(folder, 'program/bin/current'));
    const linked = (await hashKit(folder, signal)).hash;
    const files = plainKit.map(({ path, content, mode = 0o644 }) => ({ name: path, content, mode }));
    const link = { name: 'program/bin/current', type: 'symlink' as const, linkname: 'erp' };
    expect(await hashOfArchive(await tarOf([link, ...files]))).toBe(linked);
    const zipped = files.map(({ mode, ...rest }) => ({ ...rest, mode: 0o100000 | mode }));
    expect(await hashOfArchive(zipOf([...zipped, { name: link.name, content: 'erp', mode: 0o120777 }]))).toBe(
      linked,
    );
    const twin = { name: 'twin', type: 'link' as const, linkname: 'migrate.sql' };
    expect(await hashOfArchive(await tarOf([...files, twin]))).toBe(
      expectedHash([...plainKit, { path: 'twin', content: plainKit[1]!.content }]),
    );
  });
});

describe('a kit is refused', () => {
  const changed: string[] = [];
  const withName = (name: string) =>
    zipOf([
      { name: 'kit.yaml', content: 'x' },
      { name, content: 'x' },
    ]);
  test.each([
    ['../evil', 'leads out'],
    ['program/../../evil', 'leads out'],
    ['/etc/passwd', 'absolute'],
    ['C:/windows/evil', 'absolute'],
    ['a\\..\\evil', 'backslash'],
    ['line\nbreak', 'control character'],
    [`${'d/'.repeat(65)}file`, 'deeper'],
    ['n'.repeat(256), 'longer than 255'],
  ])('for the name %j in a zip and a tar', async (name, reason) => {
    expect(await refusalOf(withName(name))).toMatch(
      new RegExp(`${reason}|invalid relative path|invalid characters`),
    );
    expect(await refusalOf(await tarOf([{ name: 'kit.yaml' }, { name }]))).toContain(reason);
  });

  test.each([
    ['an absolute target', [['l', '/etc']], 'absolute'],
    ['a target outside', [['program/l', '../../x']], 'leads out'],
    [
      'a chain that leaves only together',
      [
        ['a/b/up', '..'],
        ['out', 'a/b/up/../../x'],
      ],
      'leads out',
    ],
    [
      'a circle',
      [
        ['l', 'm'],
        ['m', 'l'],
      ],
      'circle',
    ],
    ['a target that is not there', [['l', 'nothing']], 'nowhere'],
  ])('for a link with %s', async (_name, links, reason) => {
    const entries = links.map(([name = '', linkname = '']) => ({ name, linkname, type: 'symlink' as const }));
    const kit = [{ name: 'kit.yaml' }, { name: 'a/b/file' }, { name: 'program/file' }];
    expect(await refusalOf(await tarOf([...kit, ...entries]))).toContain(reason);
  });

  test('for a file written through a link', async () => {
    const entries = [
      { name: 'there', type: 'symlink' as const, linkname: '/tmp' },
      { name: 'there/evil', content: 'x' },
    ];
    expect(await refusalOf(await tarOf(entries))).toMatch(/both as a folder and as a file/);
  });

  test('for a name that comes twice, also spelled otherwise', async () => {
    expect(await refusalOf(await tarOf([{ name: 'a' }, { name: './a' }]))).toContain('twice');
    expect(
      await refusalOf(
        zipOf([
          { name: 'a', content: '' },
          { name: 'a', content: '' },
        ]),
      ),
    ).toContain('twice');
    expect(await refusalOf(await tarOf([{ name: 'a' }, { name: 'a/b' }]))).toContain('both as a folder');
  });

  test('for a device, a pipe, and a hard link to something that is not in it', async () => {
    expect(await refusalOf(await tarOf([{ name: 'dev', type: 'character-device' }]))).toContain(
      'character-device',
    );
    expect(await refusalOf(await tarOf([{ name: 'pipe', type: 'fifo' }]))).toContain('fifo');
    expect(await refusalOf(await tarOf([{ name: 'l', type: 'link', linkname: '/etc/passwd' }]))).toContain(
      'absolute',
    );
    expect(await refusalOf(await tarOf([{ name: 'l', type: 'link', linkname: 'none' }]))).toContain(
      'hard link',
    );
  });

  test('for more bytes or files than a kit may have, whatever the headers say', async () => {
    const limits = { ...defaultKitLimits, unpackedBytes: 1000, entries: 3 };
    const bomb = gzipSync(await tarOf([{ name: 'zeros', content: Buffer.alloc(1_000_000) }]));
    expect(await refusalOf(bomb, limits)).toContain('more than');
    expect(await refusalOf(zipOf([{ name: 'z', content: Buffer.alloc(1001) }]), limits)).toContain('larger');
    const many = ['a', 'b', 'c', 'd'].map((name) => ({ name, content: '' }));
    expect(await refusalOf(await tarOf(many), limits)).toContain('more than 3 files');
    expect(await refusalOf(zipOf(many), limits)).toContain('more than 3 files');
  });

  test('when its archive is cut, flipped or of an unknown form', async () => {
    const tar = await tarFiles(plainKit);
    const zipped = gzipSync(tar);
    expect(await refusalOf(zipped.subarray(0, zipped.length - 20))).toContain('damaged');
    expect(await refusalOf(tar.subarray(0, 1200))).toContain('damaged');
    expect(await refusalOf(tar.subarray(0, 1024))).toContain('ends before its closing blocks');
    expect(await refusalOf(zstdCompressSync(tar).subarray(0, -5))).toContain('damaged');
    expect(await refusalOf(zipFiles(plainKit).subarray(0, -10))).toContain('damaged');
    expect(await refusalOf(zipOf([{ name: 'a', content: 'x', crc: 1 }]))).toContain('checksum');
    expect(await refusalOf(Buffer.from('7z\u00BC\u00AF'))).toContain('no archive that clona knows');
  });

  test('for a sparse file, which would be unpacked without its holes', async () => {
    const pax = { 'GNU.sparse.major': '1' };
    expect(await refusalOf(await tarOf([{ name: 'a', content: 'x', pax }]))).toContain('sparse');
  });

  test('or is what it was, whichever bit of its archive flips, and nothing is written outside', async () => {
    const expected = expectedHash(plainKit);
    for (const archive of [
      await tarFiles(plainKit),
      zipFiles(plainKit),
      zstdCompressSync(await tarFiles(plainKit)),
    ]) {
      for (let index = 0; index < 150; index += 1) {
        const flipped = Buffer.from(archive);
        const at = (index * 7919) % archive.length;
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (index % 8));
        const outcome = await hashOfArchive(flipped).catch((error: unknown) => error);
        if (typeof outcome !== 'string') expect(outcome).toMatchObject({ kind: 'kitInvalid' });
        else if (outcome !== expected) changed.push(outcome);
      }
    }
    expect((await readdir(work)).sort()).toEqual(['archive', 'unpacked']);
    // A tar has no checksum over contents and a zip none over names: then the hash tells.
    expect(changed).not.toContain(expected);
  });

  test('when it is empty', async () => {
    await mkdir(join(work, 'kit'));
    await expect(hashKit(join(work, 'kit'), signal)).rejects.toThrow('the kit is empty');
  });
});

test('names that differ only by case are told, not refused', async () => {
  const folder = await writeFolder(join(work, 'kit'), [
    { path: 'Program/a', content: '' },
    { path: 'program/b', content: '' },
  ]);
  expect((await hashKit(folder, signal)).warnings).toEqual([
    '"Program" and "program" are one name where case does not count',
  ]);
});

test('clona kit hash prints the hash of a folder and of its archive, under any locale', async () => {
  const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
  const folder = await writeFolder(join(work, 'kit'), plainKit);
  await writeFile(join(work, 'kit.zip'), zipFiles(plainKit));
  const env = { ...process.env, LC_ALL: 'tr_TR.UTF-8' };
  const run = (target: string) =>
    spawnSync(process.execPath, [launcher, 'kit', 'hash', target, '--json'], { encoding: 'utf8', env });
  const found = run(folder);
  expect(found.stderr).toBe('');
  expect(found.status).toBe(0);
  expect(JSON.parse(found.stdout)).toEqual({
    hash: expectedHash(plainKit),
    files: 5,
    bytes: expect.any(Number) as number,
    warnings: [],
  });
  expect(JSON.parse(run(join(work, 'kit.zip')).stdout)).toEqual(JSON.parse(found.stdout));
});
