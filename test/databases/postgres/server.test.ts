import { access, stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { connect, quoteLiteral } from '../../../src/databases/postgres/connect.ts';
import { resolveBinaries } from '../../../src/databases/postgres/server-binaries.ts';
import { readServerState, startServer } from '../../../src/databases/postgres/server.ts';
import { createTestCluster, majorsAvailable } from '../../support/cluster.ts';

const majors = await majorsAvailable();

describe.each([15, 18])('server %i', (major) => {
  test.skipIf(!majors.includes(major))('a cluster starts, answers, stops and leaves nothing', async () => {
    let folder = '';
    let pid = 0;
    {
      await using cluster = await createTestCluster({ major, settings: { work_mem: '7MB' } });
      folder = cluster.folder;
      await using session = await cluster.connect();
      const rows = await session.query<{ v: string; w: string; c: string }>(
        `SELECT current_setting('server_version_num') AS v, current_setting('work_mem') AS w, current_setting('data_checksums') AS c`,
      );
      expect(rows).toEqual([{ v: String(cluster.binaries.versionNumber), w: '7MB', c: 'on' }]);
      pid = (await readServerState(cluster.dataDir)).pid ?? 0;
      expect(pid).toBeGreaterThan(0);
    }
    await expect(access(folder)).rejects.toThrow('ENOENT');
    await expect(stat(`/proc/${pid}/cwd`)).rejects.toThrow('ENOENT');
  });
});

test('aborting ends a running statement at once, on the server too', async () => {
  await using cluster = await createTestCluster();
  const stop = new AbortController();
  const session = await connect(cluster.address, stop.signal);
  const running = session.query('SELECT pg_sleep(60)');
  await using watcher = await cluster.connect();
  const sleeping = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'`;
  await expect.poll(async () => watcher.query(sleeping)).toEqual([{ n: 1 }]);
  stop.abort(new Error('enough'));
  await expect(running).rejects.toMatchObject({ kind: 'databaseFailed' });
  await expect.poll(async () => watcher.query(sleeping)).toEqual([{ n: 0 }]);
});

test('a server that cannot start says why', async () => {
  await using cluster = await createTestCluster();
  await cluster.stop();
  const { binaries, dataDir, socketDir, runAs, logFile } = cluster;
  const starting = startServer({
    binaries,
    dataDir,
    socketDir,
    runAs,
    logFile,
    settings: { shared_buffers: 'many' },
  });
  await expect(starting).rejects.toMatchObject({
    kind: 'databaseFailed',
    cause: { message: expect.stringMatching(/shared_buffers/) },
  });
});

test('a stale pid file is not taken for a server', async () => {
  await using cluster = await createTestCluster();
  await cluster.stop('immediate');
  expect(await readServerState(cluster.dataDir)).toEqual({ state: 'stopped', pid: undefined });
});

test('a database that is not there is named without its password', async () => {
  const address = {
    engine: 'postgres',
    host: '127.0.0.1',
    port: 1,
    database: 'd',
    user: 'u',
    password: 'pw!',
  } as const;
  const error = await connect(address).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    kind: 'databaseFailed',
    message: expect.stringMatching(/127\.0\.0\.1:1\/d/),
  });
  expect(JSON.stringify(error) + String(error)).not.toContain('pw!');
});

test('a version that is nowhere is named with the way out', async () => {
  await expect(resolveBinaries({ major: 9 })).rejects.toMatchObject({
    kind: 'databaseVersion',
    hint: /postgresql-9/,
  });
});

test('literals survive backslashes and quotes', async () => {
  await using cluster = await createTestCluster();
  await using session = await cluster.connect();
  const text = `it's a \\ "test" \\'`;
  expect(await session.query(`SELECT ${quoteLiteral(text)} AS t`)).toEqual([{ t: text }]);
});

test('what a site has set for its database and roles does not reach the sessions of clona', async () => {
  await using cluster = await createTestCluster();
  {
    await using session = await cluster.connect();
    for (const setting of [
      "DateStyle = 'German, DMY'",
      "IntervalStyle = 'sql_standard'",
      "bytea_output = 'escape'",
      "statement_timeout = '1ms'",
      'default_transaction_read_only = on',
    ]) {
      await session.query(`ALTER DATABASE postgres SET ${setting}`);
    }
    await session.query(`ALTER ROLE postgres SET lock_timeout = '1ms'`);
  }
  await using session = await cluster.connect();
  const [row] = await session.query<{ at: Date; b: Buffer; locks: string; reads: string }>(
    `SELECT '2026-03-31 12:00:00+00'::timestamptz AS at, '\\x00ff'::bytea AS b, current_setting('lock_timeout') AS locks,
            current_setting('transaction_read_only') AS reads, pg_sleep(0.01)`,
  );
  expect(row?.at.toISOString()).toBe('2026-03-31T12:00:00.000Z');
  expect(row).toMatchObject({ b: Buffer.from([0, 255]), locks: '0', reads: 'off' });
});
