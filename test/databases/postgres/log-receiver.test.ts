import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  listMirrored,
  lossSeconds,
  readMirrorStatus,
  type MirrorStatus,
} from '../../../src/archive/log-mirror.ts';
import { openOrCreateArchive, type Archive } from '../../../src/archive/repository.ts';
import { keepReceiving, receiveLog } from '../../../src/databases/postgres/log-receiver.ts';
import { parseLsn } from '../../../src/databases/postgres/lsn.ts';
import { createTestCluster, majorsAvailable, type TestCluster } from '../../support/cluster.ts';

const majors = await majorsAvailable();
const segmentSizeBytes = 2 ** 20;

describe.each([15, 18])('the receiver of the log of PostgreSQL %i', (major) => {
  describe.skipIf(!majors.includes(major))(`PostgreSQL ${major}`, () => {
    let cluster: TestCluster;
    let folder: string;
    let archive: Archive;
    let stop: AbortController;
    const seen: MirrorStatus[] = [];

    beforeEach(async () => {
      cluster = await createTestCluster({
        major,
        walSegmentSizeMegabytes: 1,
        settings: { max_slot_wal_keep_size: '64MB', wal_level: 'replica' },
      });
      folder = await mkdtemp(join(tmpdir(), 'clona-receiver-'));
      archive = await openOrCreateArchive(join(folder, 'archive'), await identify(cluster), new Date());
      stop = new AbortController();
      seen.length = 0;
    });
    afterEach(async () => {
      stop.abort();
      await cluster[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });

    const start = (): Promise<void> =>
      receiveLog({
        address: cluster.address,
        archive,
        slot: 'mirror',
        signal: stop.signal,
        onStatus: (status) => seen.push(status),
      });
    const flushedTo = (position: bigint): Promise<void> =>
      vi.waitFor(() => expect(BigInt(seen.at(-1)?.flushed ?? -1)).toBeGreaterThanOrEqual(position), {
        timeout: 30_000,
      });

    test('what it wrote is byte for byte what the server has, over several segments', async () => {
      const receiving = start();
      await flushedTo(0n);
      const end = await writeLog(cluster, 3);
      await flushedTo(end);
      stop.abort();
      await receiving;
      const segments = await listMirrored(archive, '00000001');
      expect(segments.length).toBeGreaterThanOrEqual(3);
      for (const { name, path, sizeBytes } of segments) {
        const own = await readFile(path);
        const theirs = await readFile(join(cluster.dataDir, 'pg_wal', name));
        expect(own.equals(theirs.subarray(0, sizeBytes)), name).toBe(true);
      }
    });

    test('the server is told only what is on disk, so that it keeps the rest', async () => {
      const receiving = start();
      await flushedTo(await writeLog(cluster, 1));
      await using connection = await cluster.connect();
      const [slot] = await connection.query<{ restart_lsn: string }>(
        'select restart_lsn::text from pg_replication_slots',
      );
      const mirrored = (await listMirrored(archive, '00000001')).reduce((sum, one) => sum + one.sizeBytes, 0);
      const first =
        BigInt(Number.parseInt((await listMirrored(archive, '00000001'))[0]!.name.slice(16), 16)) *
        BigInt(segmentSizeBytes);
      expect(parseLsn(slot!.restart_lsn, 'slot')).toBeLessThanOrEqual(first + BigInt(mirrored));
      stop.abort();
      await receiving;
    });

    test('stopped and started again it goes on without a gap', async () => {
      const first = start();
      await flushedTo(await writeLog(cluster, 1));
      stop.abort();
      await first;
      await writeLog(cluster, 2);
      stop = new AbortController();
      seen.length = 0;
      const second = start();
      const end = await writeLog(cluster, 1);
      await flushedTo(end);
      stop.abort();
      await second;
      const segments = await listMirrored(archive, '00000001');
      const numbers = segments.map((one) => Number.parseInt(one.name.slice(16), 16));
      expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
      expect(segments.slice(0, -1).every((one) => one.sizeBytes === segmentSizeBytes)).toBe(true);
    });

    test('a server that dies and comes back is waited for', async () => {
      const receiving = keepReceiving(
        {
          address: cluster.address,
          archive,
          slot: 'mirror',
          signal: stop.signal,
          onStatus: (status) => seen.push(status),
        },
        50,
      );
      await flushedTo(await writeLog(cluster, 1));
      await cluster.stop('immediate');
      await cluster.start();
      await flushedTo(await writeLog(cluster, 1));
      stop.abort();
      await expect(receiving).resolves.toBeUndefined();
    });

    test('a server that reopens on a new timeline is followed there, and its .history file is kept', async () => {
      const receiving = keepReceiving(
        {
          address: cluster.address,
          archive,
          slot: 'mirror',
          signal: stop.signal,
          onStatus: (status) => seen.push(status),
        },
        50,
      );
      await flushedTo(await writeLog(cluster, 1));
      await cluster.stop();
      await writeFile(join(cluster.dataDir, 'recovery.signal'), '');
      if (cluster.runAs !== undefined) {
        await chown(join(cluster.dataDir, 'recovery.signal'), cluster.runAs.uid, cluster.runAs.gid);
      }
      await cluster.start({ restore_command: '/bin/false' });
      await opened(cluster);
      await flushedTo(await writeLog(cluster, 1));
      stop.abort();
      await receiving;
      expect(seen.at(-1)?.timeline).toBe(2);
      expect(await listMirrored(archive, '00000002')).not.toEqual([]);
      expect(await readFile(join(archive.folder, 'log', '00000002.history'), 'utf8')).toContain('1\t0/');
    });

    test('the loss is told as a bound in seconds that falls to nearly nothing when everything is on disk', async () => {
      const receiving = start();
      await flushedTo(await writeLog(cluster, 1));
      await vi.waitFor(
        async () => expect(lossSeconds((await readMirrorStatus(archive))!, Date.now())).toBeLessThan(3),
        { timeout: 30_000 },
      );
      const status = (await readMirrorStatus(archive))!;
      expect(lossSeconds(status, Date.parse(status.caughtUpAt) + 5000)).toBe(5);
      stop.abort();
      await receiving;
    });

    test('a server without a limit on what slots keep is refused', async () => {
      await cluster.stop();
      await cluster.start({ max_slot_wal_keep_size: -1 });
      await expect(start()).rejects.toMatchObject({
        message: 'max_slot_wal_keep_size has no limit on this server',
      });
      await using connection = await cluster.connect();
      expect(await connection.query('select 1 from pg_replication_slots')).toEqual([]);
    });

    test('the mirror of another database is refused', async () => {
      archive = await openOrCreateArchive(
        join(folder, 'foreign'),
        { database: 'x', systemIdentifier: '1', segmentSizeBytes },
        new Date(),
      );
      await expect(start()).rejects.toMatchObject({ code: 'CLONA-0303' });
    });

    test('a slot that the server gave up is a gap that is told, and the mirror goes on from there', async () => {
      const first = start();
      await flushedTo(await writeLog(cluster, 1));
      stop.abort();
      await first;
      await cluster.stop();
      await cluster.start({
        max_slot_wal_keep_size: '1MB',
        max_wal_size: '2MB',
        min_wal_size: '2MB',
        wal_keep_size: 0,
      });
      await loseSlot(cluster);
      stop = new AbortController();
      seen.length = 0;
      const gaps: string[] = [];
      const second = receiveLog({
        address: cluster.address,
        archive,
        slot: 'mirror',
        signal: stop.signal,
        onStatus: (status) => seen.push(status),
        onGap: (gap) => gaps.push(gap.from),
      });
      await flushedTo(await writeLog(cluster, 1));
      expect(gaps).toHaveLength(1);
      stop.abort();
      await second;
    });

    test('a slot that somebody dropped is a gap, too, once the server has thrown its log away', async () => {
      const first = start();
      await flushedTo(await writeLog(cluster, 1));
      stop.abort();
      await first;
      await cluster.stop();
      await cluster.start({
        max_wal_size: '2MB',
        min_wal_size: '2MB',
        wal_keep_size: 0,
        max_slot_wal_keep_size: '1MB',
      });
      {
        await using connection = await cluster.connect();
        await connection.query(`select pg_drop_replication_slot('mirror')`);
        const mirrored = seen.at(-1)!.flushed;
        const oldest = `select (min(name) > pg_walfile_name('0/0'::pg_lsn + $1::numeric)) as gone
          from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'`;
        await vi.waitFor(
          async () => {
            await writeLog(cluster, 2);
            await connection.query('checkpoint');
            expect(await connection.query(oldest, [mirrored])).toEqual([{ gone: true }]);
          },
          { timeout: 60_000 },
        );
      }
      stop = new AbortController();
      seen.length = 0;
      const gaps: { from: string; to: string }[] = [];
      const second = receiveLog({
        address: cluster.address,
        archive,
        slot: 'mirror',
        signal: stop.signal,
        onStatus: (status) => seen.push(status),
        onGap: (gap) => gaps.push(gap),
      });
      await flushedTo(await writeLog(cluster, 1));
      expect(gaps).toHaveLength(1);
      expect(BigInt(gaps[0]!.from)).toBeLessThan(BigInt(gaps[0]!.to));
      stop.abort();
      await second;
    });
  });
});

async function identify(cluster: TestCluster) {
  await using connection = await cluster.connect();
  const [row] = await connection.query<{ system_identifier: string }>(
    'select system_identifier::text from pg_control_system()',
  );
  return { database: 'postgres', systemIdentifier: row!.system_identifier, segmentSizeBytes };
}

/** Fills about so many segments and gives the server's end behind them. */
async function writeLog(cluster: TestCluster, segments: number): Promise<bigint> {
  await using connection = await cluster.connect();
  await connection.query('create table if not exists filler (it text)');
  for (let index = 0; index < segments; index += 1) {
    await connection.query("insert into filler select repeat('x', 900) from generate_series(1, 1000)");
  }
  const [row] = await connection.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  return parseLsn(row!.lsn, 'server');
}

async function opened(cluster: TestCluster): Promise<void> {
  await using connection = await cluster.connect();
  const recovering = 'select pg_is_in_recovery() as it';
  await vi.waitFor(async () => expect(await connection.query(recovering)).toEqual([{ it: false }]), {
    timeout: 30_000,
  });
}

async function loseSlot(cluster: TestCluster): Promise<void> {
  await using connection = await cluster.connect();
  for (let round = 0; round < 30; round += 1) {
    await writeLog(cluster, 3);
    await connection.query('checkpoint');
    const [slot] = await connection.query<{ wal_status: string }>(
      'select wal_status from pg_replication_slots',
    );
    if (slot?.wal_status === 'lost') return;
  }
  throw new Error('the server does not give the slot up');
}
