import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readMirrorStatus } from '../../src/archive/log-mirror.ts';
import { openArchive } from '../../src/archive/repository.ts';
import { connect } from '../../src/databases/postgres/connect.ts';
import { archiveSettings } from '../../src/databases/postgres/log-slot.ts';
import { openLocalPlace } from '../../src/databases/postgres/restore/place/local-place.ts';
import { restore } from '../../src/databases/postgres/restore/restore.ts';
import { startServer } from '../../src/databases/postgres/server.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
const never = new AbortController().signal;

interface StatusAnswer {
  archive: {
    loseAtMostSeconds: number | null;
    streams: { destination: string; flushed: string; behindBytes: number | null }[];
  };
}

describe('the log streamed by clona serve', () => {
  let cluster: TestCluster;
  let folder: string;
  let serving: ChildProcess;

  beforeAll(async () => {
    cluster = await createTestCluster({
      walSegmentSizeMegabytes: 1,
      settings: { wal_level: 'replica', max_slot_wal_keep_size: '512MB' },
    });
    const spool = join(cluster.folder, 'spool');
    await mkdir(spool);
    if (cluster.runAs !== undefined) await chown(spool, cluster.runAs.uid, cluster.runAs.gid);
    await cluster.stop();
    await cluster.start(archiveSettings(spool, 512));
    folder = await mkdtemp(join(tmpdir(), 'clona-stream-'));
    await chmod(folder, 0o755);
    const { host, port, user } = cluster.address;
    await writeFile(
      join(folder, 'clona.yaml'),
      `name: erp
database: { host: '${host}', port: ${port}, user: ${user} }
archive: { location: archive, mirror: mirror, compressionLevel: 1, receiver: true, acceptSharedDisk: a test }
`,
    );
    clona('backup', '--label', 'base');
    startServing();
  }, 60_000);
  const startServing = (): void => {
    serving = spawn(process.execPath, [launcher, 'serve', '--listen', '127.0.0.1:0'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  };
  const endServing = async (): Promise<void> => {
    if (serving?.exitCode !== null) return;
    const closed = once(serving, 'close');
    serving.kill('SIGTERM');
    await closed;
  };
  afterAll(async () => {
    await endServing();
    await cluster?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  function clona(...args: string[]): { status: number | null; stdout: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status, stdout: `${stdout}${status === 0 ? '' : stderr}` };
  }
  const caughtUp = async (place: string, position: bigint): Promise<void> =>
    vi.waitFor(
      async () => {
        const status = await readMirrorStatus(await openArchive(join(folder, place)));
        expect(BigInt(status?.flushed ?? 0)).toBeGreaterThanOrEqual(position);
      },
      { timeout: 30_000, interval: 50 },
    );
  const writeSome = async (): Promise<bigint> => {
    await using session = await cluster.connect();
    const [row] = await session.query<{ at: string }>(
      "select (pg_logical_emit_message(true, 't', repeat('x', 3000000)) - '0/0')::text as at",
    );
    return BigInt(row?.at ?? 0);
  };

  test('one destination that goes away stops no other, and catches up when it is back', async () => {
    const first = await writeSome();
    await Promise.all(['archive', 'mirror'].map(async (place) => caughtUp(place, first)));
    const away = join(folder, 'away');
    await rename(join(folder, 'mirror'), away);
    await writeFile(join(folder, 'mirror'), 'no disk is mounted here');
    const second = await writeSome();
    await caughtUp('archive', second);
    await rm(join(folder, 'mirror'));
    await rename(away, join(folder, 'mirror'));
    await caughtUp('mirror', second);
    expect(serving.exitCode).toBe(null);
  }, 60_000);

  test('switched off it leaves slots that status and doctor name; serve drops them, and the verb the rest', async () => {
    const slots = async (): Promise<string[]> => {
      await using session = await cluster.connect();
      const rows = await session.query<{ name: string }>(
        'select slot_name as name from pg_replication_slots order by 1',
      );
      return rows.map(({ name }) => name);
    };
    const file = join(folder, 'clona.yaml');
    const text = (await readFile(file, 'utf8')).replace('receiver: false', 'receiver: true');
    await writeFile(file, text);
    if (serving.exitCode !== null) startServing();
    const streams = ['clona_erp_stream_archive', 'clona_erp_stream_mirror'];
    await vi.waitFor(async () => expect(await slots()).toEqual(['clona_erp', ...streams]), {
      timeout: 30_000,
    });
    expect(clona('serve', '--drop-slots', '--yes')).toMatchObject({ status: 7 });
    await endServing();
    await writeFile(file, text.replace('receiver: true', 'receiver: false'));
    expect(clona('status').stdout).toContain(
      'clona_erp_stream_mirror of a receiver that is switched off keeps',
    );
    expect(clona('doctor').stdout).toMatch(/clona_erp_stream_archive keeps \d+ MiB of log on production/);
    startServing();
    await vi.waitFor(async () => expect(await slots()).toEqual(['clona_erp']), {
      timeout: 30_000,
      interval: 50,
    });
    await endServing();
    expect(clona('serve', '--drop-slots')).toMatchObject({ status: 2 });
    expect(clona('serve', '--drop-slots', '--yes', '--json')).toMatchObject({ status: 0 });
    expect(await slots()).toEqual([]);
    await writeFile(file, text);
    startServing();
    const position = await writeSome();
    await Promise.all(['archive', 'mirror'].map(async (place) => caughtUp(place, position)));
  }, 120_000);

  test('production is killed and its log deleted: the mirror gives back all but what status said could be lost', async () => {
    const session = await cluster.connect();
    await session.query('create table journal (id int)');
    const committedAt: number[] = [];
    const writer = { stopped: false };
    const writing = (async () => {
      while (!writer.stopped) {
        await session.query(`insert into journal values (${committedAt.length})`);
        committedAt.push(Date.now());
        await wait(2);
      }
    })().catch(() => {});
    await vi.waitFor(() => expect(committedAt.length).toBeGreaterThan(200), { timeout: 30_000 });
    const { stdout } = clona('status', '--json');
    const { archive } = JSON.parse(stdout) as StatusAnswer;
    expect(archive.streams.map(({ destination }) => destination)).toEqual(['archive', 'mirror']);
    const bound = archive.loseAtMostSeconds ?? Number.NaN;
    expect(bound).toBeLessThan(30);
    expect(clona('status').stdout).not.toContain('RPO: not known');
    expect(clona('status').stdout).toMatch(/you would lose at most \d+ s \(archive .* behind; mirror/);

    const killedAt = Date.now();
    const pid = Number((await readFile(join(cluster.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
    process.kill(pid, 'SIGKILL');
    writer.stopped = true;
    await writing;
    const committed = committedAt.filter((at) => at <= killedAt).length;
    await rm(join(cluster.dataDir, 'pg_wal'), { recursive: true });
    await rm(join(folder, 'archive', 'log'), { recursive: true, force: true });
    await rm(join(folder, 'archive', 'stream'), { recursive: true, force: true });

    const { binaries, runAs } = cluster;
    const target = join(cluster.folder, 'restored');
    await using place = openLocalPlace({ binaries, runAs, workers: 2, signal: never });
    await restore({
      archiveDir: join(folder, 'archive'),
      mirrorDir: join(folder, 'mirror'),
      until: { kind: 'latest' },
      place,
      target,
      binaries,
      workers: 2,
      sharedBuffers: '16MB',
      signal: never,
    });
    const socketDir = join(cluster.folder, 'q');
    await using server = await startServer({
      binaries,
      dataDir: target,
      runAs,
      socketDir,
      logFile: `${target}.log`,
      settings: { fsync: false },
    });
    await using restored = await connect(server.address());
    const [row] = await restored.query<{ rows: number }>('select count(*)::int as rows from journal');
    const rows = row?.rows ?? 0;
    const lostSeconds = rows >= committed ? 0 : (killedAt - (committedAt[rows - 1] ?? 0)) / 1000;
    if (process.env['SHOW_LOSS'] !== undefined)
      console.log(
        `status: at most ${bound} s; lost ${committed - rows} of ${committed} rows, ${lostSeconds} s`,
      );
    expect(rows).toBeGreaterThan(0);
    expect(lostSeconds).toBeLessThanOrEqual(bound);
    await session[Symbol.asyncDispose]();
  }, 60_000);
});
