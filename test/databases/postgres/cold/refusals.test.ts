import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { listBackups, openOrCreateArchive, type Archive } from '../../../../src/archive/repository.ts';
import {
  takeColdBackup,
  type ColdBackup,
  type ColdBackupOptions,
} from '../../../../src/databases/postgres/cold/backup-cold.ts';
import { holdCluster } from '../../../../src/databases/postgres/cold/hold-cluster.ts';
import {
  openLocalCluster,
  parseCommand,
  readUnit,
} from '../../../../src/databases/postgres/cold/local-cluster.ts';
import { readStoppedNote } from '../../../../src/databases/postgres/cold/stopped-note.ts';
import { restartStopped } from '../../../../src/databases/postgres/cold/while-stopped.ts';
import { startServer } from '../../../../src/databases/postgres/server.ts';
import { ClonaError } from '../../../../src/errors.ts';
import { makeTestArchive } from '../../../support/archive.ts';
import { createTestCluster, type TestCluster } from '../../../support/cluster.ts';
import { canMount, fillDisk, mountSmallDisk } from '../../../support/small-disk.ts';

let cluster: TestCluster;
let archive: Archive;
let labels = 0;

beforeAll(async () => {
  cluster = await createTestCluster();
  archive = await makeTestArchive(cluster);
  await using session = await cluster.connect();
  await session.query(`CREATE TABLE t AS SELECT i, md5(i::text) AS a FROM generate_series(1, 150000) i`);
});
afterAll(async () => cluster[Symbol.asyncDispose]());
// Each test begins with a server that runs.
beforeEach(async () => {
  await using _session = await cluster.connect().catch(async () => {
    await cluster.start();
    return cluster.connect();
  });
});

async function take(more: Partial<ColdBackupOptions> = {}): Promise<ColdBackup> {
  return takeColdBackup({
    cluster: more.cluster ?? (await openLocalCluster(cluster.dataDir, undefined)),
    address: cluster.address,
    archive,
    confirmStop: async () => {},
    label: `cold-${process.pid}-${(labels += 1)}`,
    workers: 2,
    now: () => new Date(),
    signal: new AbortController().signal,
    ...more,
  });
}

/** Nothing was added, nothing is half there, and the server answers. */
async function expectUntouched(before: readonly string[], place = archive): Promise<void> {
  expect(await readdir(join(place.folder, 'backups'))).toEqual(before);
  expect(await readStoppedNote(place.folder)).toBeUndefined();
  await using session = await cluster.connect();
  expect(await session.query('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 150_000 }]);
}

describe('a cold backup', () => {
  test('does not stop a server that nobody wants stopped', async () => {
    const before = await readdir(join(archive.folder, 'backups'));
    const refuse = async (): Promise<void> => {
      throw new ClonaError('confirmationMissing', 'not confirmed');
    };
    await using session = await cluster.connect();
    await expect(take({ confirmStop: refuse })).rejects.toMatchObject({
      kind: 'confirmationMissing',
      exitCode: 2,
    });
    // The very session of before: it was never ended.
    expect(await session.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await expectUntouched(before);
  });

  test('takes a server that is down as it is, and leaves it down', async () => {
    await cluster.stop();
    const { header, warnings } = await take({ address: undefined });
    expect(header).toMatchObject({
      kind: 'cold',
      pauseMs: null,
      serverVersion: cluster.binaries.versionNumber,
    });
    expect(header.requirements.settings['max_connections']).toBeGreaterThan(0);
    expect(warnings.length).toBeLessThanOrEqual(1);
    await expect(cluster.connect()).rejects.toMatchObject({ exitCode: 6 });
  });

  test('refuses a cluster that was not shut down cleanly, and says in which state it is', async () => {
    await cluster.stop('immediate');
    await expect(take()).rejects.toMatchObject({
      kind: 'notShutDown',
      exitCode: 6,
      message: expect.stringContaining('"in production"'),
      hint: expect.stringContaining('shut it down cleanly'),
    });
  });

  test('refuses the files of another database', async () => {
    await using other = await createTestCluster();
    const foreign = await openLocalCluster(other.dataDir, undefined);
    await expect(take({ cluster: foreign, address: other.address })).rejects.toMatchObject({
      kind: 'archiveForeign',
      exitCode: 4,
    });
    await other.stop();
    await expect(take({ cluster: foreign })).rejects.toMatchObject({ kind: 'archiveForeign' });
  });

  test.each([
    ['14', 'PostgreSQL 14'],
    ['99', 'PostgreSQL 99'],
    ['nonsense', 'PostgreSQL nonsense'],
  ])('refuses a data directory of version %s', async (version, said) => {
    const folder = join(cluster.folder, `version-${version}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'PG_VERSION'), `${version}\n`);
    await expect(openLocalCluster(folder, undefined)).rejects.toMatchObject({
      kind: 'databaseVersion',
      message: expect.stringContaining(said),
    });
  });

  test('refuses a folder that is no data directory, and one that is not there', async () => {
    for (const folder of [cluster.socketDir, join(cluster.folder, 'nowhere')]) {
      await expect(openLocalCluster(folder, undefined)).rejects.toMatchObject({ kind: 'databaseFailed' });
    }
  });

  test.each(['cut', 'flipped'])('refuses a pg_control that is %s', async (how) => {
    await cluster.stop();
    const copy = join(cluster.folder, `control-${how}`);
    await rm(copy, { recursive: true, force: true });
    await cp(cluster.dataDir, copy, { recursive: true });
    const path = join(copy, 'global/pg_control');
    const content = await readFile(path);
    content[40]! ^= 1;
    await writeFile(path, how === 'cut' ? content.subarray(0, 100) : content);
    const damaged = await openLocalCluster(copy, undefined);
    await expect(take({ cluster: damaged })).rejects.toMatchObject({
      kind: 'databaseFailed',
      message: expect.stringContaining('pg_control'),
    });
  });

  test('keeps every server away from the cluster while it is held, and no longer', async () => {
    await cluster.stop();
    const { dataDir, binaries, runAs, socketDir } = cluster;
    const place = { dataDir, binaries, runAs, socketDir };
    {
      await using hold = await holdCluster(dataDir, runAs);
      await expect(startServer(place)).rejects.toMatchObject({ kind: 'databaseFailed' });
      await expect(holdCluster(dataDir, runAs)).rejects.toMatchObject({ kind: 'databaseFailed' });
      await hold.check();
      await rm(join(dataDir, 'postmaster.pid'));
      await expect(hold.check()).rejects.toMatchObject({ kind: 'databaseFailed' });
    }
    await startServer(place);
    await expect(holdCluster(dataDir, runAs)).rejects.toMatchObject({
      message: expect.stringContaining('runs in'),
    });
  });

  // setpriv and setsid are Linux's.
  test.skipIf(process.platform !== 'linux')(
    'stops and starts the server as the site says, where an init system keeps it',
    async () => {
      const { dataDir, binaries, runAs, folder } = cluster;
      const opts = await readFile(join(dataDir, 'postmaster.opts'), 'utf8');
      const asUser =
        runAs === undefined ? '' : `setpriv --reuid=${runAs.uid} --regid=${runAs.gid} --clear-groups `;
      const environment = Object.entries(binaries.env)
        .map(([name, value]) => `${name}='${value}'`)
        .join(' ');
      const marks = join(folder, 'service');
      const service = {
        stop: `echo stop >> ${marks}; kill -INT $(head -n 1 ${dataDir}/postmaster.pid)`,
        start: `echo start >> ${marks}; cd / && env -i ${environment} ${asUser}setsid ${opts.trim()} > /dev/null 2>&1 &`,
      };
      await rm(marks, { force: true });
      const { header } = await take({ cluster: await openLocalCluster(dataDir, service) });
      expect(header.pauseMs).toBeGreaterThan(0);
      expect(await readFile(marks, 'utf8')).toBe('stop\nstart\n');
      await expectUntouched(await readdir(join(archive.folder, 'backups')));
    },
  );

  test('whose service does not stop the server copies nothing', async () => {
    const before = await readdir(join(archive.folder, 'backups'));
    const service = { stop: 'echo refused >&2; exit 3', start: 'true' };
    const broken = await openLocalCluster(cluster.dataDir, service);
    await expect(take({ cluster: broken })).rejects.toMatchObject({
      kind: 'databaseFailed',
      message: 'database.service.stop failed',
      cause: expect.objectContaining({ message: 'refused' }) as Error,
    });
    await expectUntouched(before);
  });

  test('that is broken off starts the server again and keeps nothing', async () => {
    const before = await readdir(join(archive.folder, 'backups'));
    const stop = new AbortController();
    const taking = take({
      signal: stop.signal,
      onProgress: ({ step, doneBytes }) => {
        if (step === 'copying the cluster' && (doneBytes ?? 0) > 0)
          stop.abort(new ClonaError('terminated', 'terminated'));
      },
    });
    await expect(taking).rejects.toMatchObject({ kind: 'terminated', exitCode: 143 });
    await expectUntouched(before);
  });

  test.skipIf(!canMount())(
    'that fills the disk of the archive starts the server again and keeps nothing',
    async () => {
      await using disk = await mountSmallDisk(4);
      const small = await openOrCreateArchive(join(disk.folder, 'archive'), archive.header, new Date());
      await expect(take({ archive: small })).rejects.toMatchObject({ kind: 'diskFull', exitCode: 6 });
      await expectUntouched([], small);
    },
  );

  test.skipIf(!canMount())(
    'is not begun where the archive has less room than the newest backup took',
    async () => {
      await using disk = await mountSmallDisk(64);
      const small = await openOrCreateArchive(join(disk.folder, 'archive'), archive.header, new Date());
      const { header } = await take({ archive: small, label: 'first' });
      await using session = await cluster.connect();
      fillDisk(disk.folder, Math.floor(header.compressedBytes / 2 / 2 ** 20));
      await expect(take({ archive: small })).rejects.toMatchObject({
        kind: 'diskFull',
        message: expect.stringContaining('is not shut down for that'),
      });
      // The very session of before: it was never ended.
      expect(await session.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
      await expectUntouched(['first'], small);
    },
  );

  test.skipIf(process.getuid?.() !== 0)('says so where its user may not read the files', async () => {
    const script = join(import.meta.dirname, '../../../support/cold-child.ts');
    await chmod(cluster.dataDir, 0o700);
    const child = spawn(process.execPath, [script, archive.folder, cluster.dataDir, cluster.socketDir], {
      uid: 12_345,
      gid: 12_345,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(child, 'close');
    expect(said).toContain('cannot be read by this user');
  });

  test('killed while the server is down is found and told, and the server started again', async () => {
    const fresh = await makeTestArchive(cluster, `killed-${(labels += 1)}`);
    const script = join(import.meta.dirname, '../../../support/cold-child.ts');
    const args = [script, fresh.folder, cluster.dataDir, cluster.socketDir];
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    const ended = once(child, 'exit');
    const file = join(fresh.folder, 'backups/.killed.partial/base.tar.zst');
    await vi.waitFor(async () => expect(await readFile(file)).toBeDefined(), {
      timeout: 60_000,
      interval: 5,
    });
    const open = async (dataDir: string) => openLocalCluster(dataDir, undefined);
    const signal = new AbortController().signal;
    await expect(restartStopped(fresh.folder, open, signal)).rejects.toMatchObject({
      kind: 'locked',
      exitCode: 7,
    });
    child.kill('SIGKILL');
    await ended;
    await expect(cluster.connect()).rejects.toMatchObject({ exitCode: 6 });
    expect(await listBackups(fresh)).toEqual([]);
    expect(await restartStopped(fresh.folder, open, signal)).toContain('was started again');
    await using session = await cluster.connect();
    expect(await session.query('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 150_000 }]);
    expect(await restartStopped(fresh.folder, open, signal)).toBeUndefined();
    // The next one clears the half-written one away.
    await take({ archive: fresh, label: 'next' });
    expect(await readdir(join(fresh.folder, 'backups'))).toEqual(['next']);
  });
});

describe('postmaster.opts', () => {
  test.each([
    ['/usr/bin/postgres "-D" "/data"\n', ['/usr/bin/postgres', '-D', '/data']],
    ['/a b/postgres "-D" "/d e" "-c" "x=\'a b\'"\n', ['/a b/postgres', '-D', '/d e', '-c', "x='a b'"]],
    ['/usr/bin/postgres\n', ['/usr/bin/postgres']],
    ['', undefined],
    ['postgres "-D" "/data"', undefined],
  ])('%j is read as %j', (text, command) => expect(parseCommand(text)).toEqual(command));
});

describe('the unit of a server', () => {
  test.each([
    ['0::/system.slice/system-postgresql.slice/postgresql@17-main.service\n', 'postgresql@17-main.service'],
    ['0::/system.slice/docker.service/x\n', undefined],
    ['0::/user.slice/user-0.slice/session-1.scope\n', undefined],
    ['', undefined],
  ])('of %j is %j', (text, unit) => expect(readUnit(text)).toBe(unit));
});
