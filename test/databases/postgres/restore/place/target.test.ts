import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rm, stat, symlink, appendFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../../../../src/databases/postgres/connect.ts';
import { stopServer } from '../../../../../src/databases/postgres/server.ts';
import { createProduction, type Production } from '../../../../support/production.ts';
import { canMount, mountSmallDisk } from '../../../../support/small-disk.ts';

/** Folders that people really name, and what they paste afterwards. */
let production: Production;
let folder: string;
let all: number[];

beforeAll(async () => {
  production = await createProduction();
  folder = production.cluster.folder;
  await production.write(5);
  await production.backup('B1');
  all = production.expectRows(1, (await production.write(10)).position);
  await production.archiveLog();
});
afterAll(async () => production?.[Symbol.asyncDispose]());

async function namesIn(path: string): Promise<string[]> {
  return (await readdir(path)).toSorted();
}

test('a target with blanks, quotes, percent signs and more in its name', async () => {
  const target = join(folder, `our "best" it's 100% $HOME \\ * copy; ü`);
  await production.restore({ until: { kind: 'latest' }, target });
  expect(await production.readRows(target)).toEqual(all);
});

test('a link is followed: what it leads to holds the database, and the link stays', async () => {
  await mkdir(join(folder, 'disk', 'pg'), { recursive: true });
  await symlink(join(folder, 'disk', 'pg'), join(folder, 'link'));
  const report = await production.restore({ until: { kind: 'latest' }, target: join(folder, 'link') });
  expect(report.target.folder).toBe(join(folder, 'disk', 'pg'));
  expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
  expect(await production.readRows(join(folder, 'link'))).toEqual(all);
});

test('a link that leads nowhere is refused before the first byte', async () => {
  await symlink(join(folder, 'not', 'there'), join(folder, 'dangling'));
  await expect(
    production.restore({ until: { kind: 'latest' }, target: join(folder, 'dangling') }),
  ).rejects.toMatchObject({ kind: 'targetOccupied' });
  expect((await namesIn(folder)).filter((name) => name.startsWith('dangling'))).toEqual(['dangling']);
});

test.skipIf(!canMount())('the top of a disk is refused, and the hint names a folder in it', async () => {
  await using disk = await mountSmallDisk(200);
  await expect(production.restore({ until: { kind: 'latest' }, target: disk.folder })).rejects.toMatchObject({
    kind: 'targetOccupied',
    hint: expect.stringContaining(`${disk.folder}/data`),
  });
  expect(await namesIn(join(disk.folder, '..'))).toEqual(['disk']);
});

test.skipIf(!canMount())(
  'a disk that takes no more writing is named as the target, with exit 6',
  async () => {
    await using disk = await mountSmallDisk(400);
    await chmod(join(disk.folder, '..'), 0o711);
    execFileSync('mount', ['-o', 'remount,ro', disk.folder]);
    const target = join(disk.folder, 'pg');
    const failed = production.restore({ until: { kind: 'latest' }, target });
    await expect(failed).rejects.toMatchObject({
      kind: 'targetFailed',
      exitCode: 6,
      message: expect.stringContaining(target),
      hint: expect.stringContaining('disk of the target'),
    });
  },
);

test('an archive that nobody may write to, under a umask that denies all', async () => {
  const closed = join(folder, 'closed');
  await cp(production.archive.folder, closed, { recursive: true });
  spawnSync('chmod', ['-R', 'a-w', closed]);
  const before = process.umask(0o077);
  try {
    const target = join(folder, 'under-umask');
    await production.restore({ until: { kind: 'latest' }, target, archiveDir: closed });
    expect(await production.readRows(target)).toEqual(all);
    expect((await stat(target)).mode & 0o777).toBe(0o700);
  } finally {
    process.umask(before);
    spawnSync('chmod', ['-R', 'u+w', closed]);
  }
});

test.each(['backups/inside', 'log/inside', 'inside'])(
  'a target in the archive (%s) is refused',
  async (name) => {
    const target = join(production.archive.folder, name);
    await expect(production.restore({ until: { kind: 'latest' }, target })).rejects.toMatchObject({
      kind: 'targetOccupied',
    });
    await expect(
      production.restore({
        until: { kind: 'latest' },
        target: join(production.mirror.folder, name),
        mirrorDir: production.mirror.folder,
      }),
    ).rejects.toMatchObject({ kind: 'targetOccupied' });
    expect(await namesIn(join(target, '..'))).not.toContain('inside.restore');
  },
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('the line that says how to start the server can be pasted, and works', async () => {
  const target = join(folder, "it's back");
  const report = await production.restore({ until: { kind: 'latest' }, target });
  const port = await freePort();
  await appendFile(join(target, 'postgresql.conf'), `\nport = ${port}\n`);
  // A folder of one's own, as root's home is, and an environment without anything of ours.
  const home = await mkdtemp(join(tmpdir(), 'home-'));
  await chmod(home, 0o700);
  try {
    const pasted = spawnSync('/bin/sh', ['-c', report.startCommand], {
      cwd: home,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(pasted).toMatchObject({ status: 0, stdout: expect.stringContaining('server started') });
    await using session = await connect({ ...production.cluster.address, host: '/tmp', port });
    expect(await session.query('SELECT count(*)::int AS rows FROM journal')).toEqual([{ rows: all.length }]);
  } finally {
    await stopServer({ dataDir: target, mode: 'fast' });
    await rm(home, { recursive: true });
  }
});
