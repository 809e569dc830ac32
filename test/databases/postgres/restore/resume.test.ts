import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLocalPlace } from '../../../../src/databases/postgres/restore/place/local-place.ts';
import { readServerState } from '../../../../src/databases/postgres/server.ts';
import { createProduction, type Production } from '../../../support/production.ts';
import { canMount, mountSmallDisk } from '../../../support/small-disk.ts';

const child = fileURLToPath(new URL('../../../support/restore-child.ts', import.meta.url));
let production: Production;
let end: bigint;

beforeAll(async () => {
  production = await createProduction();
  await production.write(5);
  {
    await using session = await production.connect();
    // Large enough that files are cut into several frames.
    await session.query(
      `CREATE TABLE large AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 20000) i`,
    );
  }
  await production.backup('B1');
  end = (await production.write(30)).position;
  await production.archiveLog();
});
afterAll(async () => production?.[Symbol.asyncDispose]());

/** Runs a restore in a process of its own that kills itself at `word`; false: it ended before. */
async function killAt(target: string, word: string): Promise<boolean> {
  const running = spawn(process.execPath, [child, production.archive.folder, target, word], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [, signal] = (await once(running, 'exit')) as [number | null, string | null];
  return signal === 'SIGKILL';
}

test.each([
  'running unpack and verify',
  'done unpack and verify',
  'started replay the log',
  'done replay the log',
  'started start with its own configuration',
])('killed at "%s", nothing looks whole, and a second run ends what the first began', async (word) => {
  const target = join(production.cluster.folder, `killed-${word.replaceAll(' ', '-')}`);
  expect(await killAt(target, word)).toBe(true);
  await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });
  const report = await production.restore({ until: { kind: 'latest' }, target });
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end));
  expect((await readServerState(`${target}.partial`)).state).toBe('stopped');
  if (word === 'done unpack and verify') {
    // What was there and right was read, not written again.
    expect(report.writtenBytes).toBeLessThan(report.bytes / 10);
  }
  expect(
    (await readdir(production.cluster.folder)).filter((name) =>
      name.startsWith(`${target.split('/').at(-1)}.`),
    ),
  ).toEqual([`${target.split('/').at(-1)}.log`]);
  await rm(target, { recursive: true });
});

test('two restores to one folder: the second is told who is at it', async () => {
  const target = join(production.cluster.folder, 'both');
  const words = [production.archive.folder, target, 'started unpack and verify', 'SIGSTOP'];
  const running = spawn(process.execPath, [child, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(running, 'exit');
  try {
    await once(running.stdout, 'data');
    await expect(production.restore({ until: { kind: 'latest' }, target })).rejects.toMatchObject({
      kind: 'locked',
      exitCode: 7,
      message: expect.stringContaining(String(running.pid)),
    });
  } finally {
    running.kill('SIGCONT');
  }
  expect(await ended).toEqual([0, null]);
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end));
});

test('two restores that begin in the same moment: one of them is told, the other one ends', async () => {
  const target = join(production.cluster.folder, 'same-moment');
  const until = { kind: 'latest' } as const;
  const outcomes = await Promise.allSettled([
    production.restore({ until, target }),
    production.restore({ until, target }),
  ]);
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  expect(refused).toEqual([{ status: 'rejected', reason: expect.objectContaining({ kind: 'locked' }) }]);
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end));
});

test('a copy that is made anew keeps what is right in it', async () => {
  const target = join(production.cluster.folder, 'again');
  await production.restore({ until: { kind: 'latest' }, target });
  await rm(join(target, 'pg_hba.conf'));
  await writeFile(join(target, 'base', 'stranger'), 'x');
  const report = await production.restore({ until: { kind: 'latest' }, target, replace: true });
  expect(report.writtenBytes).toBeLessThan(report.bytes / 4);
  expect(await readdir(join(target, 'base'))).not.toContain('stranger');
  expect(await readFile(join(target, 'pg_hba.conf'), 'utf8')).toContain('local');
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end));
});

test('one place restores again although the first copy is gone', async () => {
  const { binaries, runAs, folder } = production.cluster;
  const signal = AbortSignal.timeout(60_000);
  await using place = openLocalPlace({ binaries, runAs, workers: 2, signal });
  const target = join(folder, 'twice');
  await production.restore({ until: { kind: 'latest' }, target, place });
  await rm(target, { recursive: true });
  await production.restore({ until: { kind: 'latest' }, target, place });
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end));
});

test('folders that are made for the target belong to the user of the server', async () => {
  const target = join(production.cluster.folder, 'new', 'deep', 'copy');
  await production.restore({ until: { kind: 'latest' }, target });
  const { uid } = await stat(target);
  for (const made of [dirname(target), dirname(dirname(target))])
    expect(await stat(made)).toMatchObject({ uid, mode: 0o40700 });
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end));
});

test('what lies beside a target and is not ours is left alone', async () => {
  const target = join(production.cluster.folder, 'beside');
  await mkdir(`${target}.partial`);
  await writeFile(join(`${target}.partial`, 'PG_VERSION'), '18\n');
  await expect(production.restore({ until: { kind: 'latest' }, target })).rejects.toMatchObject({
    kind: 'targetOccupied',
  });
  expect(await readFile(join(`${target}.partial`, 'PG_VERSION'), 'utf8')).toBe('18\n');
});

test('an aborted restore stops within a second or two, with its server, and can be taken up again', async () => {
  const target = join(production.cluster.folder, 'aborted');
  const stop = new AbortController();
  const { binaries, runAs } = production.cluster;
  {
    await using place = openLocalPlace({ binaries, runAs, workers: 2, signal: stop.signal });
    const aborted = production.restore({
      until: { kind: 'latest' },
      target,
      place,
      signal: stop.signal,
      onProgress: ({ step, state }) => {
        if (step === 'replay the log' && state === 'started') stop.abort(new Error('stopped by the test'));
      },
    });
    await expect(aborted).rejects.toThrow('stopped by the test');
  }
  expect((await readServerState(`${target}.partial`)).state).toBe('stopped');
  await production.restore({ until: { kind: 'latest' }, target });
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end));
});

test.skipIf(!canMount())(
  'a disk without room is told before the first byte; one that fills up meanwhile ends with exit 6',
  async () => {
    {
      await using disk = await openDisk(40);
      const refused = production.restore({ until: { kind: 'latest' }, target: join(disk.folder, 'pg') });
      await expect(refused).rejects.toMatchObject({ kind: 'diskFull', exitCode: 6 });
      expect(await readdir(disk.folder)).toEqual([]);
    }
    await using disk = await openDisk(400);
    const failed = production.restore({
      until: { kind: 'latest' },
      target: join(disk.folder, 'pg'),
      onProgress: ({ step, state }) => {
        if (step === 'unpack and verify' && state === 'started') fill(join(disk.folder, 'ballast'), 370);
      },
    });
    await expect(failed).rejects.toMatchObject({ kind: 'diskFull', exitCode: 6 });
    expect(await readdir(disk.folder)).not.toContain('pg');
    await rm(join(disk.folder, 'ballast'));
    const report = await production.restore({ until: { kind: 'latest' }, target: join(disk.folder, 'pg') });
    expect(await production.readRows(report.target.folder)).toEqual(production.expectRows(1, end));
  },
);

async function openDisk(megabytes: number): ReturnType<typeof mountSmallDisk> {
  const disk = await mountSmallDisk(megabytes);
  // The server's user must get through.
  await chmod(dirname(disk.folder), 0o711);
  return disk;
}

function fill(path: string, megabytes: number): void {
  writeFileSync(path, Buffer.alloc(megabytes * 2 ** 20));
}
