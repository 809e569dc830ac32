import { chown, cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Archive } from '../../src/archive/repository.ts';
import { takeBackup } from '../../src/databases/postgres/backup.ts';
import {
  takeColdBackup,
  type ColdBackup,
  type ColdBackupOptions,
} from '../../src/databases/postgres/cold/backup-cold.ts';
import { openLocalCluster } from '../../src/databases/postgres/cold/local-cluster.ts';
import { connect, type Connection } from '../../src/databases/postgres/connect.ts';
import { archiveEverything, startLogArchiver } from '../../src/databases/postgres/log-archiver.ts';
import { archiveSettings } from '../../src/databases/postgres/log-slot.ts';
import { openLocalPlace } from '../../src/databases/postgres/restore/place/local-place.ts';
import type { RestoreReport } from '../../src/databases/postgres/restore/report.ts';
import { restore } from '../../src/databases/postgres/restore/restore.ts';
import type { RestoreOptions } from '../../src/databases/postgres/restore/context.ts';
import { startServer, stopServer } from '../../src/databases/postgres/server.ts';
import { makeTestArchive } from './archive.ts';
import { createTestCluster, type TestCluster, type TestClusterOptions } from './cluster.ts';

/** A row that production committed: the test's own memory of it. */
export interface JournalEntry {
  id: number;
  timeline: number;
  /** Behind its commit. */
  position: bigint;
}

/** A moment between two rows. */
export interface Moment {
  timeline: number;
  position: bigint;
  instantMs: number;
}

/** A production server with archive and mirror, whose every row is also kept in a journal beside it. */
export interface Production extends AsyncDisposable {
  cluster: TestCluster;
  archive: Archive;
  mirror: Archive;
  journal: JournalEntry[];
  connect: (database?: string) => Promise<Connection>;
  /** Commits so many rows and says the moment behind them. */
  write: (rows: number) => Promise<Moment>;
  backup: (label: string, kind?: 'managed' | 'hot' | 'quiesced') => Promise<void>;
  /** A cold one: the server is stopped for it, and started again as it ran. */
  coldBackup: (label: string, more?: Partial<ColdBackupOptions>) => Promise<ColdBackup>;
  /** Waits until archive and mirror have all that was written. */
  archiveLog: () => Promise<void>;
  restore: (
    options: Partial<RestoreOptions> & Pick<RestoreOptions, 'until'>,
    name?: string,
  ) => Promise<RestoreReport>;
  /** Ids in a restored cluster, read from its own server. */
  readRows: (target: string) => Promise<number[]>;
  /** Production goes on from a restored copy of its own archive: a new timeline. */
  goBackTo: (until: RestoreOptions['until']) => Promise<RestoreReport>;
  /** Ids that the journal says were committed on the way to a moment; `branches` as the reports told them. */
  expectRows: (timeline: number, position: bigint) => number[];
}

export async function createProduction(options: TestClusterOptions = {}): Promise<Production> {
  const cluster = await createTestCluster({ walSegmentSizeMegabytes: 1, ...options });
  const { folder, binaries, runAs } = cluster;
  const spoolDir = join(folder, 'spool');
  const archive = await makeTestArchive(cluster, 'archive');
  const mirror = await makeTestArchive(cluster, 'mirror');
  await mkdir(spoolDir);
  if (runAs !== undefined) await chown(spoolDir, runAs.uid, runAs.gid);
  const journal: JournalEntry[] = [];
  const parents = new Map<number, { parent: number; position: bigint }>();
  let dataDir = cluster.dataDir;
  let nextId = 1;
  let copies = 0;
  const now = (): Date => new Date();
  // Only a test has a limit: one for all tests of a file would end those that come last on a busy machine.
  const { signal } = new AbortController();
  const start = async (): Promise<void> => {
    const settings = { ...archiveSettings(spoolDir, 512), fsync: false, shared_buffers: '16MB' };
    const place = { binaries, dataDir, runAs, socketDir: cluster.socketDir, logFile: cluster.logFile };
    await startServer({ ...place, settings });
  };
  const open = async (database = 'postgres'): Promise<Connection> =>
    connect({ ...cluster.address, database });
  await cluster.stop();
  await start();
  {
    await using session = await open();
    await session.query('CREATE TABLE journal (id int PRIMARY KEY, filler text)');
  }
  const production: Production = {
    cluster,
    archive,
    mirror,
    journal,
    connect: open,
    write: async (rows) => {
      await using session = await open();
      const timeline = await timelineOf(session);
      for (let row = 0; row < rows; row += 1) {
        const id = nextId;
        nextId += 1;
        await session.query(`INSERT INTO journal VALUES ($1::int, repeat(md5($1::int::text), 20))`, [id]);
        journal.push({ id, timeline, position: await positionOf(session) });
      }
      // A time of whole milliseconds that lies behind the last commit and before the next one.
      await session.query('SELECT pg_sleep(0.004)');
      const [row] = await session.query<{ now: Date }>('SELECT clock_timestamp() AS now');
      await session.query('SELECT pg_sleep(0.004)');
      return { timeline, position: await positionOf(session), instantMs: row?.now.getTime() ?? 0 };
    },
    backup: async (label, kind = 'managed') => {
      await takeBackup({ address: cluster.address, archive, kind, label, workers: 2, now, signal });
      const [from, to] = [archive, mirror].map((place) => join(place.folder, 'backups', label));
      if (from !== undefined && to !== undefined) await cp(from, to, { recursive: true });
    },
    coldBackup: async (label, more) =>
      takeColdBackup({
        cluster: await openLocalCluster(dataDir, undefined),
        address: cluster.address,
        archive,
        confirmStop: async () => {},
        label,
        workers: 2,
        now,
        signal,
        ...more,
      }),
    archiveLog: async () => {
      await using archiver = await startLogArchiver({ spoolDir, archive, mirror, now, workers: 2 });
      await archiveEverything(cluster.address, archiver);
    },
    restore: async (wanted, name = `copy-${(copies += 1)}`) => {
      await using place = openLocalPlace({ binaries, runAs, workers: 2, signal });
      return await restore({
        archiveDir: archive.folder,
        place,
        target: join(folder, name),
        binaries,
        workers: 2,
        sharedBuffers: '16MB',
        signal,
        ...wanted,
      });
    },
    readRows: async (target) => {
      const socketDir = join(folder, 'q');
      const place = { binaries, dataDir: target, runAs, socketDir, logFile: `${target}.log` };
      await using server = await startServer({ ...place, settings: { fsync: false } });
      await using session = await connect(server.address());
      const rows = await session.query<{ id: number }>('SELECT id FROM journal ORDER BY id');
      return rows.map(({ id }) => id);
    },
    goBackTo: async (until) => {
      await stopServer({ dataDir });
      const report = await production.restore({ until }, `live-${(copies += 1)}`);
      dataDir = report.target.folder;
      parents.set(report.timelineAfter ?? 0, {
        parent: report.timelineBefore ?? 0,
        position: BigInt(report.positionReached ?? 0),
      });
      await start();
      return report;
    },
    expectRows: (timeline, position) => {
      const path: { timeline: number; until: bigint }[] = [];
      for (let at = { timeline, until: position }; ;) {
        path.push(at);
        const parent = parents.get(at.timeline);
        if (parent === undefined) break;
        at = { timeline: parent.parent, until: at.until < parent.position ? at.until : parent.position };
      }
      return journal
        .filter((row) => path.some((part) => part.timeline === row.timeline && row.position <= part.until))
        .map(({ id }) => id)
        .sort((a, b) => a - b);
    },
    [Symbol.asyncDispose]: async () => {
      await stopServer({ dataDir, mode: 'immediate' }).catch(() => {});
      await cluster[Symbol.asyncDispose]();
    },
  };
  return production;
}

async function timelineOf(session: Connection): Promise<number> {
  const [row] = await session.query<{ name: string }>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS name');
  return Number.parseInt(row?.name.slice(0, 8) ?? '', 16);
}

async function positionOf(session: Connection): Promise<bigint> {
  const [row] = await session.query<{ position: string }>(
    `SELECT (pg_current_wal_insert_lsn() - '0/0')::text AS position`,
  );
  return BigInt(row?.position ?? 0);
}
