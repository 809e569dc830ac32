import { createHash } from 'node:crypto';
import { chown, mkdir, readdir, readFile, readlink, stat, writeFile, appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RestoreReport } from '../../../../src/databases/postgres/restore/report.ts';
import { connect, type Connection } from '../../../../src/databases/postgres/connect.ts';
import { startServer } from '../../../../src/databases/postgres/server.ts';
import { createProduction, type Production } from '../../../support/production.ts';

/** A production on the same host, with every setting and object by which a copy could reach it. */
let production: Production;
let report: RestoreReport;
const outside: string[] = [];
let beforeRestore: Record<string, string>;

beforeAll(async () => {
  production = await createProduction({ settings: { max_prepared_transactions: 7, max_connections: 33 } });
  const { folder, dataDir, runAs } = production.cluster;
  for (const name of ['ts', 'prodlog', 'prodspool']) {
    outside.push(join(folder, name));
    await mkdir(join(folder, name), { mode: 0o700 });
    if (runAs !== undefined) await chown(join(folder, name), runAs.uid, runAs.gid);
  }
  await writeFile(join(folder, 'prod.pid'), '1\n');
  await writeFile(join(folder, 'extra.conf'), "archive_timeout = '1s'\n");
  outside.push(join(folder, 'prod.pid'));
  // Written after the server was started: it never reads them, its copy would.
  await appendFile(
    join(dataDir, 'postgresql.conf'),
    [
      `data_directory = '${dataDir}'`,
      `hba_file = '${dataDir}/pg_hba.conf'`,
      `external_pid_file = '${folder}/prod.pid'`,
      `log_directory = '${folder}/prodlog'`,
      `logging_collector = on`,
      `unix_socket_directories = '${folder}/s'`,
      `shared_preload_libraries = 'pg_stat_statements, pg_cron'`,
      `ssl = on`,
      `ssl_cert_file = '${folder}/server.crt'`,
      `include_if_exists '${folder}/extra.conf'`,
      '',
    ].join('\n'),
  );
  {
    await using session = await production.connect();
    for (const statement of [
      `ALTER SYSTEM SET archive_mode = 'on'`,
      `ALTER SYSTEM SET archive_command = 'cp %p ${folder}/prodspool/%f'`,
      `ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby)'`,
      `CREATE TABLESPACE far LOCATION '${folder}/ts'`,
      `CREATE TABLE far_rows (i int) TABLESPACE far`,
      `INSERT INTO far_rows SELECT generate_series(1, 1000)`,
      `CREATE UNLOGGED TABLE fast_rows AS SELECT 1 AS i`,
      `CREATE COLLATION old_order (provider = icu, locale = 'en')`,
      `CREATE TABLE names (name text COLLATE old_order)`,
      `INSERT INTO names VALUES ('a'), ('B')`,
      `CREATE INDEX names_by_name ON names (name)`,
      `UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'old_order'`,
      `CREATE SUBSCRIPTION feed CONNECTION 'host=${folder}/nowhere' PUBLICATION p WITH (connect = false)`,
      `CREATE DATABASE "odd ""name"""`,
    ]) {
      await session.query(statement);
    }
    await session.query('BEGIN');
    await session.query('INSERT INTO far_rows VALUES (-1)');
    await session.query(`PREPARE TRANSACTION 'left over; it''s here'`);
  }
  await production.write(10);
  await production.backup('B1');
  {
    await using session = await production.connect();
    await session.query(`UPDATE pg_subscription SET subenabled = true`);
  }
  await production.write(10);
  await production.archiveLog();
  beforeRestore = await listOutside();
  report = await production.restore({ until: { kind: 'latest' }, acceptMissing: true });
});
afterAll(async () => production?.[Symbol.asyncDispose]());

/** Every file of production outside of its data directory, with its content. */
async function listOutside(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = async (path: string): Promise<void> => {
    if ((await stat(path)).isDirectory())
      for (const name of await readdir(path)) await visit(join(path, name));
    else
      found[path] = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
  };
  for (const path of outside) await visit(path);
  return found;
}

/** The restored copy with nothing but its own configuration; only the socket's folder is told. */
async function withCopy(work: (session: Connection) => Promise<void>): Promise<void> {
  const { binaries, runAs, folder } = production.cluster;
  const settings = { unix_socket_directories: join(folder, 'q'), listen_addresses: '' };
  const place = { binaries, runAs, dataDir: report.target.folder, socketDir: join(folder, 'q') };
  await using server = await startServer({ ...place, settings });
  await using session = await connect(server.address());
  await work(session);
}

test('the copy writes into no file of production, not even when it is used', async () => {
  expect(await listOutside()).toEqual(beforeRestore);
  await withCopy(async (session) => {
    await session.query('INSERT INTO far_rows SELECT generate_series(1, 5000)');
    await session.query('DROP TABLE names');
    await session.query('SELECT pg_switch_wal()');
    await session.query('CHECKPOINT');
  });
  expect(await listOutside()).toEqual(beforeRestore);
});

test('tablespaces lie beside the copy, under the links the server made', async () => {
  const { folder } = report.target;
  const links = await readdir(join(folder, 'pg_tblspc'));
  expect(links).toHaveLength(1);
  expect(await readlink(join(folder, 'pg_tblspc', links[0]!))).toBe(`${folder}.tablespaces/${links[0]}`);
});

test('every setting that leads to production is out of action, and named', async () => {
  await withCopy(async (session) => {
    const names = [
      'archive_mode',
      'archive_command',
      'synchronous_standby_names',
      'external_pid_file',
      'ssl',
      'shared_preload_libraries',
      'max_logical_replication_workers',
      'archive_timeout',
      'max_connections',
    ];
    const rows = await session.query<{ name: string; setting: string }>(
      'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
      [names],
    );
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      archive_mode: 'off',
      archive_command: '(disabled)',
      synchronous_standby_names: '',
      external_pid_file: '',
      ssl: 'off',
      shared_preload_libraries: 'pg_stat_statements',
      max_logical_replication_workers: '0',
      archive_timeout: '0',
      max_connections: '33',
    });
  });
  const named = report.checks.find(({ name }) => name === 'settings put out of action')?.detail;
  for (const name of [
    'data_directory',
    'hba_file',
    'external_pid_file',
    'log_directory',
    'include_if_exists',
    'archive_command',
  ]) {
    expect(named).toContain(name);
  }
});

test('prepared transactions are rolled back and named', async () => {
  expect(report.checks.find(({ name }) => name.startsWith('prepared'))?.detail).toBe(
    "left over; it's here (postgres)",
  );
  await withCopy(async (session) => {
    const [row] = await session.query('SELECT count(*)::int AS rows, min(i) AS lowest FROM far_rows');
    expect(row).toMatchObject({ lowest: 1 });
    expect(await session.query('SELECT gid FROM pg_prepared_xacts')).toEqual([]);
  });
});

test('subscriptions are disabled before a worker of the copy ever runs', async () => {
  expect(report.checks.find(({ name }) => name.startsWith('subscriptions'))?.detail).toBe('feed (postgres)');
  await withCopy(async (session) => {
    expect(await session.query('SELECT subenabled FROM pg_subscription')).toEqual([{ subenabled: false }]);
  });
});

test('an index of a collation of another version is built anew, and unlogged tables are named', async () => {
  expect(report.checks.find(({ name }) => name.startsWith('collations'))?.detail).toContain(
    'postgres public.old_order: 1.0 →',
  );
  expect(report.checks.find(({ name }) => name.startsWith('indexes'))?.detail).toBe('1');
  expect(report.warnings).toContain('unlogged table, empty after recovery: postgres: public.fast_rows');
  await withCopy(async (session) => {
    const [row] = await session.query(
      `SELECT collversion = pg_collation_actual_version(oid) AS same FROM pg_collation WHERE collname = 'old_order'`,
    );
    expect(row).toEqual({ same: true });
  });
});

test('a host that sorts otherwise can be refused', async () => {
  const refused = production.restore(
    { until: { kind: 'latest' }, acceptMissing: true, onCollationMismatch: 'refuse' },
    'refused',
  );
  await expect(refused).rejects.toMatchObject({
    kind: 'serverUnfit',
    message: expect.stringContaining('1.0'),
  });
  expect(await readdir(production.cluster.folder)).not.toContain('refused');
});

test('a server of another major version, or an older one, is refused before the first byte', async () => {
  const { binaries } = production.cluster;
  const other = { ...binaries, major: 17, version: '17.2', versionNumber: 170_002 };
  await expect(
    production.restore({ until: { kind: 'latest' }, binaries: other }, 'other'),
  ).rejects.toMatchObject({ kind: 'databaseVersion' });
  const older = { ...binaries, version: '18.0', versionNumber: binaries.versionNumber - 1 };
  await expect(
    production.restore({ until: { kind: 'latest' }, binaries: older }, 'other'),
  ).rejects.toMatchObject({ kind: 'databaseVersion' });
  expect((await readdir(production.cluster.folder)).filter((name) => name.startsWith('other'))).toEqual([]);
});

test('extensions that are not installed here are named before the first byte', async () => {
  const binaries = { ...production.cluster.binaries, shareDir: '/nowhere' };
  await expect(production.restore({ until: { kind: 'latest' }, binaries }, 'parts')).rejects.toMatchObject({
    kind: 'serverUnfit',
    message: expect.stringContaining('extension plpgsql'),
  });
});

test('a dry run says what it would do and writes nothing', async () => {
  const dry = await production.restore(
    { until: { kind: 'latest' }, dryRun: true, acceptMissing: true },
    'dry',
  );
  expect(dry).toMatchObject({ dryRun: true, label: 'B1', positionReached: null });
  expect(dry.estimate.neededBytes).toBeGreaterThan(dry.estimate.backupBytes);
  expect((await readdir(production.cluster.folder)).filter((name) => name.startsWith('dry'))).toEqual([]);
});

test('a cluster whose first user has an unusual name is put in order too', async () => {
  {
    await using session = await production.connect();
    await session.query(`CREATE ROLE keeper SUPERUSER LOGIN`);
    await using other = await connect({ ...production.cluster.address, user: 'keeper' });
    await other.query(`ALTER ROLE postgres RENAME TO "ERP ""owner"" 1"`);
  }
  // The test's own sessions come as the other superuser, which no restore knows of.
  production.cluster.address.user = 'keeper';
  await production.archiveLog();
  const named = await production.restore({
    until: { kind: 'latest' },
    acceptMissing: true,
    users: ['nobody here'],
  });
  expect(named.checks.find(({ name }) => name === 'every database can be entered')?.detail).toContain(
    'odd "name"',
  );
});
