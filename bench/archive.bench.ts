import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { enableCompileCache } from 'node:module';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { backupFolder, openOrCreateArchive, type Archive } from '../src/archive/repository.ts';
import { takeBackup } from '../src/databases/postgres/backup.ts';
import { readArchiveIdentity } from '../src/databases/postgres/backup-facts.ts';
import { connect } from '../src/databases/postgres/connect.ts';
import { openDrainer } from '../src/databases/postgres/log-archive.ts';
import { switchLog } from '../src/databases/postgres/log-slot.ts';
import { parseBackupManifest } from '../src/databases/postgres/manifest.ts';
import { proveChecksums } from '../src/databases/postgres/prove/checksums.ts';
import { openUnpackPool } from '../src/databases/postgres/restore/unpack/unpack-pool.ts';
import { unpackBackup } from '../src/databases/postgres/restore/unpack/unpack.ts';
import { resolveBinaries } from '../src/databases/postgres/server-binaries.ts';
import { initCluster, nobody } from '../src/databases/postgres/server-cluster.ts';
import { startServer, stopServer } from '../src/databases/postgres/server.ts';
import type { BackupHeader } from '../src/archive/format.ts';
import { silent } from '../src/progress.ts';
import { has, preparePgBackRest, run, runToNowhere, type PgBackRest } from './archive-tools.ts';

/**
 * Backup, restore, checksum proof and log push beside pg_basebackup, pgBackRest and pg_verifybackup, on one machine in one
 * run, median of three. CLONA_BENCH_GB (default 1), CLONA_BENCH_WORKERS (default: the cores, at most 4),
 * CLONA_BENCH_SEGMENTS (default 108), CLONA_BENCH_FOLDER (default: the temporary folder).
 */
// As bin/clona.js does.
enableCompileCache();

const gigabytes = Number(process.env['CLONA_BENCH_GB'] ?? 1);
const workers = Number(process.env['CLONA_BENCH_WORKERS'] ?? Math.min(4, availableParallelism()));
const segments = Number(process.env['CLONA_BENCH_SEGMENTS'] ?? 108);
const rounds = Number(process.env['CLONA_BENCH_ROUNDS'] ?? 3);
const bin = '/usr/lib/postgresql/15/bin';
/** A scale of pgbench is about 15 MB. */
const scale = Math.max(1, Math.round((gigabytes * 1000) / 15));
const signal = new AbortController().signal;
const now = (): Date => new Date();
const never = 'never measured';

interface Row {
  work: string;
  clona: number;
  others: Record<string, number | string>;
  goal: number;
  note: string;
}

if (!has(join(bin, 'pgbench'))) {
  console.log('archive: skipped, PostgreSQL 15 with pgbench is not installed (Debian: postgresql-15)');
} else {
  await main();
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(process.env['CLONA_BENCH_FOLDER'] ?? tmpdir(), 'cl-bench-'));
  const runAs = process.getuid?.() === 0 ? nobody : undefined;
  if (runAs !== undefined) await chown(folder, runAs.uid, runAs.gid);
  const dataDir = join(folder, 'data');
  try {
    const binaries = await resolveBinaries({ binDir: bin, runAs });
    const settings = {
      shared_buffers: '256MB',
      max_wal_size: '8GB',
      autovacuum: false,
      archive_mode: 'on',
      archive_command: '/bin/false',
    };
    await initCluster({ binaries, dataDir, runAs, sync: false, settings });
    await using server = await startServer({ binaries, dataDir, runAs, socketDir: join(folder, 's') });
    const address = server.address();
    run(join(bin, 'pgbench'), [
      '-h',
      address.host,
      '-U',
      'postgres',
      '-i',
      '-q',
      '-s',
      String(scale),
      'postgres',
    ]);
    run(join(bin, 'psql'), ['-h', address.host, '-U', 'postgres', '-qc', 'CHECKPOINT']);
    const backrest = has('pgbackrest') ? preparePgBackRest(folder, address, dataDir, workers) : undefined;
    backrest?.call('stanza-create');
    const loads = [loadavg()[0] ?? 0];
    const rows: Row[] = [];
    const archive = await openOrCreateArchive(
      join(folder, 'archive'),
      await readArchiveIdentity(address),
      now(),
    );
    const bench: Bench = { folder, dataDir, address, archive, backrest, runAs };
    rows.push(...(await measureBackup(bench)));
    loads.push(loadavg()[0] ?? 0);
    const header = await takeBackup({ address, archive, kind: 'managed', label: 'kept', workers, now });
    rows.push(...(await measureRestore(bench, header)));
    rows.push(await measureProof(bench, header));
    rows.push(...(await measureLog(bench)));
    loads.push(loadavg()[0] ?? 0);
    print(rows, header, loads);
  } finally {
    await stopServer({ dataDir, mode: 'immediate' }).catch(() => {});
    await rm(folder, { recursive: true, force: true });
  }
}

interface Bench {
  folder: string;
  dataDir: string;
  address: Parameters<typeof takeBackup>[0]['address'];
  archive: Archive;
  backrest: PgBackRest | undefined;
  runAs: { uid: number; gid: number } | undefined;
}

async function measureBackup({ folder, address, archive, backrest }: Bench): Promise<Row[]> {
  const out = join(folder, 'out');
  const basebackup = async (): Promise<void> => {
    rmSync(out, { recursive: true, force: true });
    run(join(bin, 'pg_basebackup'), [
      '-h',
      address.host,
      '-U',
      'postgres',
      '-D',
      out,
      '-Ft',
      '-X',
      'fetch',
      '-c',
      'fast',
      `--compress=server-zstd:level=3,workers=${workers}`,
    ]);
  };
  const ours = (kind: 'managed' | 'hot') => async (): Promise<void> => {
    const label = `bench-${kind}`;
    await takeBackup({ address, archive, kind, label, workers, now });
    rmSync(backupFolder(archive, label), { recursive: true });
  };
  // What no client can beat that takes the stream as it is: the server's one process sends it, and nothing is done with it.
  const stream = async (): Promise<void> =>
    runToNowhere(join(bin, 'pg_basebackup'), [
      '-h',
      address.host,
      '-U',
      'postgres',
      '-D',
      '-',
      '-Ft',
      '-X',
      'fetch',
      '-c',
      'fast',
    ]);
  // Taken in turns, so that a busy moment of the machine does not fall on one of them alone.
  const found = await inTurns({
    managed: ours('managed'),
    hot: ours('hot'),
    pg_basebackup: basebackup,
    stream,
    ...(backrest === undefined
      ? {}
      : { pgBackRest: async () => backrest.call('backup', ['--type=full', '--repo1-retention-full=9']) }),
  });
  const others = { pg_basebackup: found['pg_basebackup']!, pgBackRest: found['pgBackRest'] ?? never };
  rmSync(out, { recursive: true, force: true });
  return [
    {
      work: 'backup (managed, by protocol)',
      clona: found['managed']!,
      others,
      goal: 1,
      note: `the server's stream alone takes ${(found['stream']! / 1000).toFixed(2)} s`,
    },
    { work: 'backup (hot, files of this host)', clona: found['hot']!, others, goal: 1, note: '' },
  ];
}

async function measureRestore(bench: Bench, header: BackupHeader): Promise<Row[]> {
  const { folder, archive, backrest, runAs } = bench;
  const source = backupFolder(archive, header.label);
  const manifest = parseBackupManifest(await readFile(join(source, 'backup_manifest')), 'backup_manifest');
  const root = join(folder, 'restored');
  const unpack = async (): Promise<void> => {
    await using pool = openUnpackPool(workers, signal);
    const owner = runAs ?? null;
    await unpackBackup({
      header,
      manifest,
      sources: [source],
      root,
      tablespaces: new Map(),
      owner,
      pool,
      onProgress: silent,
    });
  };
  const theirs = join(folder, 'restored-pgbackrest');
  /** To make room is no part of a restore. */
  const restore = (options: string[]) => async (): Promise<number> => {
    if (options.length === 0) rmSync(theirs, { recursive: true, force: true });
    mkdirSync(theirs, { recursive: true, mode: 0o700 });
    const from = performance.now();
    backrest?.call('restore', [`--pg1-path=${theirs}`, '--type=none', ...options]);
    return performance.now() - from;
  };
  const whole = await inTurns({
    clona: async () => {
      rmSync(root, { recursive: true, force: true });
      const from = performance.now();
      await unpack();
      return performance.now() - from;
    },
    ...(backrest === undefined ? {} : { pgBackRest: restore([]) }),
  });
  const delta = await inTurns({
    clona: unpack,
    ...(backrest === undefined ? {} : { pgBackRest: restore(['--delta']) }),
  });
  rmSync(theirs, { recursive: true, force: true });
  return [
    {
      work: 'restore',
      clona: whole['clona']!,
      others: { pgBackRest: whole['pgBackRest'] ?? never },
      goal: 0.8,
      note: 'every file proven against the manifest',
    },
    {
      work: 'restore over the same (delta)',
      clona: delta['clona']!,
      others: { 'pgBackRest --delta': delta['pgBackRest'] ?? never },
      goal: 0.8,
      note: '',
    },
  ];
}

async function measureProof({ folder, archive }: Bench, header: BackupHeader): Promise<Row> {
  // What unpackBackup left is the same backup, unpacked.
  const root = join(folder, 'restored');
  copyFileSync(join(backupFolder(archive, header.label), 'backup_manifest'), join(root, 'backup_manifest'));
  const found = await inTurns({
    clona: async () => {
      const { passed } = await proveChecksums({
        archiveDir: archive.folder,
        label: header.label,
        workers,
        signal,
      });
      if (!passed) throw new Error('the proof failed');
    },
    pg_verifybackup: async () => run(join(bin, 'pg_verifybackup'), ['-q', root]),
  });
  rmSync(root, { recursive: true, force: true });
  return {
    work: 'checksum proof',
    clona: found['clona']!,
    others: { pg_verifybackup: found['pg_verifybackup']! },
    goal: 1,
    note: 'ours unpacks, and judges page checksums too',
  };
}

/** A backlog of segments: the server's archive_command fails until now. */
async function measureLog({ folder, dataDir, address, archive, backrest }: Bench): Promise<Row[]> {
  await using session = await connect(address);
  const names: string[] = [];
  const tables = ['pgbench_branches', 'pgbench_tellers'];
  run(join(bin, 'pgbench'), [
    '-h',
    address.host,
    '-U',
    'postgres',
    '-i',
    '-q',
    '-s',
    String(Math.ceil(segments * 1.4)),
    'postgres',
  ]);
  await session.query(`VACUUM ${tables.join(', ')}`);
  await switchLog(session);
  const ready = readdirSync(join(dataDir, 'pg_wal', 'archive_status')).filter((name) =>
    name.endsWith('.ready'),
  );
  names.push(
    ...ready
      .map((name) => name.slice(0, -'.ready'.length))
      .filter((name) => name.length === 24)
      .sort()
      .slice(-segments),
  );
  const spoolDir = join(folder, 'spool');
  const target = join(folder, 'log-archive');
  const mirrorDir = join(folder, 'log-mirror');
  const sizes: Record<string, number> = {};
  const pushOurs = (withMirror: boolean) => async (): Promise<number> => {
    for (const path of [spoolDir, target, mirrorDir]) rmSync(path, { recursive: true, force: true });
    mkdirSync(spoolDir);
    for (const name of names) copyFileSync(join(dataDir, 'pg_wal', name), join(spoolDir, name));
    const first = await openOrCreateArchive(target, archive.header, now());
    const mirror = withMirror ? await openOrCreateArchive(mirrorDir, archive.header, now()) : undefined;
    await using drainer = openDrainer({ spoolDir, archive: first, mirror, now }, workers);
    // The archiver is a service that runs already; pgBackRest's first question starts its own process.
    const from = performance.now();
    const { archived, problems } = await drainer.drain();
    if (archived.length !== names.length)
      throw new Error(`archived ${archived.length}: ${String(problems[0])}`);
    sizes['clona'] = folderBytes(join(target, 'log'));
    return performance.now() - from;
  };
  const pushTheirs = async (): Promise<number> => {
    if (backrest === undefined) return 0;
    rmSync(join(backrest.repository, 'archive/bench'), { recursive: true, force: true });
    rmSync(join(backrest.spool, 'archive'), { recursive: true, force: true });
    rmSync(join(backrest.repository, 'backup/bench'), { recursive: true, force: true });
    backrest.call('stanza-create');
    hideOthers(dataDir, names);
    const from = performance.now();
    // As the server does: it asks for each segment in turn; the first question starts the asynchronous process.
    for (const name of names) backrest.call(`archive-push ${join(dataDir, 'pg_wal', name)}`);
    sizes['pgBackRest'] = folderBytes(join(backrest.repository, 'archive'));
    return performance.now() - from;
  };
  const found = await inTurns({
    clona: pushOurs(false),
    both: pushOurs(true),
    ...(backrest === undefined ? {} : { pgBackRest: pushTheirs }),
  });
  const others = { 'pgBackRest archive-async': found['pgBackRest'] ?? never };
  const mebibytes = (name: string): string => ((sizes[name] ?? 0) / 2 ** 20).toFixed(1);
  const size = `${mebibytes('clona')} MiB, pgBackRest ${mebibytes('pgBackRest')} MiB`;
  const rate = (ms: number): string => `${((names.length * 1000) / ms).toFixed(0)} segments/s`;
  return [
    {
      work: `log push, ${names.length} segments`,
      clona: found['clona']!,
      others,
      goal: 1,
      note: `${rate(found['clona']!)}; ${size}`,
    },
    {
      work: 'log push, archive and mirror',
      clona: found['both']!,
      others,
      goal: Number.NaN,
      note: rate(found['both']!),
    },
  ];
}

/** pgBackRest pushes whatever is marked ready: only the backlog that is measured may be. */
function hideOthers(dataDir: string, names: readonly string[]): void {
  const status = join(dataDir, 'pg_wal', 'archive_status');
  for (const file of readdirSync(status)) {
    if (file.endsWith('.ready') && !names.includes(file.slice(0, 24))) rmSync(join(status, file));
  }
}

function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** Median of the rounds in milliseconds, by name; a job that returns a number has measured itself. */
async function inTurns(jobs: Record<string, () => Promise<number | void>>): Promise<Record<string, number>> {
  const times: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, job] of Object.entries(jobs)) {
      const from = performance.now();
      const own = await job();
      (times[name] ??= []).push(typeof own === 'number' ? own : performance.now() - from);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}

function median(all: number[]): number {
  return all.sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;
}

function print(rows: Row[], header: BackupHeader, loads: number[]): void {
  const seconds = (ms: number | string): string =>
    typeof ms === 'number' ? `${(ms / 1000).toFixed(2)} s` : ms;
  console.log(
    `${(header.rawBytes / 1e9).toFixed(1)} GB raw, ${(header.compressedBytes / 2 ** 20).toFixed(0)} MiB compressed; ${cpus().length} cores (${cpus()[0]?.model}), ${workers} workers; zstd 3; Node ${process.versions.node}; median of ${rounds}; load at the beginning, after the backups, at the end: ${loads.map((load) => load.toFixed(1)).join(', ')}`,
  );
  for (const { work, clona, others, goal, note } of rows) {
    const measured = Object.values(others).filter((value) => typeof value === 'number');
    const fastest = Math.min(...measured);
    const ratio = measured.length === 0 ? Number.NaN : clona / fastest;
    const verdict =
      Number.isNaN(goal) || Number.isNaN(ratio)
        ? ''
        : ratio <= goal
          ? `goal ≤ ${goal} ✔`
          : `goal ≤ ${goal} ✖`;
    const beside = Object.entries(others).map(([name, value]) =>
      value === never ? `${name}: skipped, not installed` : `${name} ${seconds(value)}`,
    );
    console.log(
      `${work.padEnd(34)} clona ${seconds(clona).padStart(8)}  ${beside.join(', ')}  ×${ratio.toFixed(2)} ${verdict} ${note}`,
    );
  }
}
