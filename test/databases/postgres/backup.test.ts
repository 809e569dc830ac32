import { once } from 'node:events';
import { execFile, spawn } from 'node:child_process';
import { chown, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackupHeader } from '../../../src/archive/format.ts';
import { listBackups, openOrCreateArchive, type Archive } from '../../../src/archive/repository.ts';
import { takeBackup } from '../../../src/databases/postgres/backup.ts';
import { connect } from '../../../src/databases/postgres/connect.ts';
import { ClonaError } from '../../../src/errors.ts';
import {
  findVerifyTool,
  makeTestArchive,
  startRestored,
  unpackBackup,
  verifyBackup,
} from '../../support/archive.ts';
import { canMount, mountSmallDisk } from '../../support/small-disk.ts';
import { createTestCluster, majorsAvailable, type TestCluster } from '../../support/cluster.ts';

const majors = await majorsAvailable();
const verifyTool = await findVerifyTool();
const now = (): Date => new Date();
const workers = 2;

const digest = `SELECT count(*)::text AS n, sum(hashtext(t::text))::text AS sum FROM t`;

async function expectSameContent(cluster: TestCluster, dataDir: string): Promise<void> {
  await using before = await cluster.connect();
  await using restored = await startRestored(cluster, dataDir);
  await using after = await connect(restored.address());
  expect(await after.query(digest)).toEqual(await before.query(digest));
  expect(await after.query('SELECT count(*)::int AS n FROM u')).toEqual([{ n: 1000 }]);
}

async function remapTablespaces(
  cluster: TestCluster,
  header: BackupHeader,
  dataDir: string,
  name: string,
): Promise<void> {
  const path = join(dataDir, 'tablespace_map');
  let map = await readFile(path, 'utf8');
  for (const { tablespaceOid: oid, tablespacePath: from } of header.archives) {
    if (from !== null) map = map.replace(from, join(cluster.folder, `${name}-${oid}`));
  }
  await writeFile(path, map);
}

/** Adds one to both sides in one transaction, as fast as it can, on four sessions. */
async function startWriter(cluster: TestCluster): Promise<{ stop: () => Promise<void> } & AsyncDisposable> {
  const state = { isOn: true };
  const write = async (): Promise<void> => {
    await using session = await cluster.connect();
    while (state.isOn) {
      await session.query('BEGIN');
      await session.query(`UPDATE pair SET n = n + 1 WHERE side = 'left'`);
      await session.query(`UPDATE pair SET n = n + 1 WHERE side = 'right'`);
      await session.query('COMMIT');
    }
  };
  const writers = [write(), write(), write(), write()];
  const stop = async (): Promise<void> => {
    state.isOn = false;
    await Promise.all(writers);
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

describe.each([15, 18])('backups of server %i', (major) => {
  let cluster: TestCluster;
  let archive: Archive;

  beforeAll(async () => {
    if (!majors.includes(major)) return;
    cluster = await createTestCluster({
      major,
      settings: { max_prepared_transactions: 3, wal_level: 'replica' },
    });
    const space = join(cluster.folder, 'space');
    await mkdir(space);
    if (cluster.runAs !== undefined) await chown(space, cluster.runAs.uid, cluster.runAs.gid);
    await using session = await cluster.connect();
    await session.query(`CREATE TABLESPACE other LOCATION '${space}'`);
    // Larger than several frames, and not compressible to nothing.
    await session.query(
      `CREATE TABLE t AS SELECT i, md5(i::text) AS a, repeat(md5(i::text), 3) AS b FROM generate_series(1, 120000) i`,
    );
    await session.query(`CREATE TABLE u TABLESPACE other AS SELECT i FROM generate_series(1, 1000) i`);
    archive = await makeTestArchive(cluster);
  });
  afterAll(async () => cluster?.[Symbol.asyncDispose]());

  test.skipIf(!majors.includes(major))(
    'a managed backup unpacks frame by frame in any order, verifies and opens',
    async () => {
      const header = await takeBackup({ address: cluster.address, archive, kind: 'managed', workers, now });
      expect(header).toMatchObject({
        kind: 'managed',
        ownLog: true,
        serverVersion: cluster.binaries.versionNumber,
      });
      expect(header.archives.map((file) => file.tablespaceOid === null)).toEqual([false, true]);
      expect(header.archives.at(-1)?.frames.some((frame) => frame.inside !== null)).toBe(true);
      expect(header.requirements.settings).toMatchObject({ max_prepared_transactions: 3 });
      expect(header.requirements.extensions).toContainEqual({
        database: 'postgres',
        name: 'plpgsql',
        version: '1.0',
      });

      const dataDir = await unpackBackup(cluster, archive, header);
      const [space] = header.archives;
      const map = await readFile(join(dataDir, 'tablespace_map'), 'utf8');
      await writeFile(
        join(dataDir, 'tablespace_map'),
        map.replace(space!.tablespacePath!, join(cluster.folder, `restored-${space!.tablespaceOid}`)),
      );
      await using before = await cluster.connect();
      await using restored = await startRestored(cluster, dataDir);
      await using after = await connect(restored.address());
      expect(await after.query(digest)).toEqual(await before.query(digest));
      expect(await after.query('SELECT count(*)::int AS n FROM u')).toEqual([{ n: 1000 }]);
    },
  );

  // The tool reads manifests up to its own version only.
  test.skipIf(!majors.includes(major) || (verifyTool?.major ?? 0) < major)(
    'pg_verifybackup accepts what zstd and tar unpack',
    async () => {
      const header = await takeBackup({
        address: cluster.address,
        archive,
        kind: 'managed',
        workers,
        now,
        label: 'by-tools',
      });
      const target = join(cluster.folder, 'by-tools');
      await mkdir(target);
      const run = promisify(execFile);
      const folder = join(archive.folder, 'backups', header.label);
      for (const file of header.archives) {
        const inside =
          file.tablespaceOid === null ? target : join(target, 'pg_tblspc', String(file.tablespaceOid));
        await mkdir(inside, { recursive: true });
        await run('sh', ['-c', 'zstd -dc "$1" | tar -x -C "$2"', 'sh', join(folder, file.name), inside]);
      }
      await run('cp', [join(folder, 'backup_manifest'), target]);
      expect(await verifyBackup(verifyTool!.path, target)).toContain('successfully verified');
    },
  );

  test.skipIf(!majors.includes(major))('a hot backup of files on this host verifies and opens', async () => {
    const header = await takeBackup({ address: cluster.address, archive, kind: 'hot', workers, now });
    expect(header).toMatchObject({ kind: 'hot', ownLog: true });
    const dataDir = await unpackBackup(cluster, archive, header, 'restored-hot');
    if ((verifyTool?.major ?? 0) >= major) {
      const space = header.archives[0]!;
      await symlink(
        join(cluster.folder, `restored-hot-${space.tablespaceOid}`),
        join(dataDir, 'pg_tblspc', String(space.tablespaceOid)),
      );
      expect(await verifyBackup(verifyTool!.path, dataDir)).toContain('successfully verified');
    }
    await remapTablespaces(cluster, header, dataDir, 'restored-hot');
    await expectSameContent(cluster, dataDir);
  });

  test.skipIf(!majors.includes(major))(
    'a hot backup through SQL serves a role without REPLICATION',
    async () => {
      await using session = await cluster.connect();
      await session.query(`DROP ROLE IF EXISTS keeper`);
      await session.query(`CREATE ROLE keeper LOGIN PASSWORD 'for-tests'`);
      await session.query(`GRANT pg_read_server_files TO keeper`);
      for (const name of [
        'pg_backup_start(text, boolean)',
        'pg_backup_stop(boolean)',
        'pg_ls_dir(text, boolean, boolean)',
        'pg_stat_file(text, boolean)',
        'pg_read_binary_file(text, bigint, bigint, boolean)',
      ]) {
        await session.query(`GRANT EXECUTE ON FUNCTION ${name} TO keeper`);
      }
      const address = { ...cluster.address, user: 'keeper' };
      const label = 'hot-by-sql';
      const header = await takeBackup({ address, archive, label, workers, now });
      expect(header.archives).toHaveLength(2);
      expect(header.kind).toBe('hot');
      const dataDir = await unpackBackup(cluster, archive, header, 'restored-sql');
      await remapTablespaces(cluster, header, dataDir, 'restored-sql');
      await expectSameContent(cluster, dataDir);
    },
  );

  test.skipIf(!majors.includes(major))(
    'a quiesced backup recovers to its restore point with its own log, while writers write',
    async () => {
      await using setup = await cluster.connect();
      await setup.query('CREATE TABLE IF NOT EXISTS pair (side text PRIMARY KEY, n int); TRUNCATE pair');
      await setup.query(`INSERT INTO pair VALUES ('left', 0), ('right', 0)`);
      await using writing = await startWriter(cluster);
      const header = await takeBackup({ address: cluster.address, archive, kind: 'quiesced', workers, now });
      await writing.stop();
      expect(header).toMatchObject({ kind: 'quiesced', ownLog: true });
      expect(header.pauseMs).toBeGreaterThan(0);
      expect(header.pauseMs).toBeLessThan(1000);
      const dataDir = await unpackBackup(cluster, archive, header, 'restored-quiet');
      await remapTablespaces(cluster, header, dataDir, 'restored-quiet');
      await writeFile(join(dataDir, 'recovery.signal'), '');
      await using restored = await startRestored(cluster, dataDir, {
        restore_command: '/bin/false',
        recovery_target_name: header.restorePoint!,
        recovery_target_action: 'promote',
      });
      await using after = await connect(restored.address());
      await expect
        .poll(async () => after.query('SELECT pg_is_in_recovery() AS busy'))
        .toEqual([{ busy: false }]);
      const [pair] = await after.query<{ left: number; right: number }>(
        `SELECT (SELECT n FROM pair WHERE side = 'left') AS "left", (SELECT n FROM pair WHERE side = 'right') AS "right"`,
      );
      expect(pair!.left).toBe(pair!.right);
      expect(pair!.left).toBeGreaterThan(0);
    },
  );

  test.skipIf(!majors.includes(major))(
    'a pause that takes too long is given up, the writers go on',
    async () => {
      await using holder = await cluster.connect();
      await holder.query('BEGIN');
      await holder.query('INSERT INTO u VALUES (0)');
      const before = (await listBackups(archive)).length;
      const taking = takeBackup({
        address: cluster.address,
        archive,
        kind: 'quiesced',
        workers,
        now,
        pauseLimitMs: 20,
        pauseAttempts: 3,
      });
      await expect(taking).rejects.toMatchObject({
        kind: 'databaseFailed',
        message: expect.stringContaining('could not be paused within 20 ms'),
      });
      expect(await listBackups(archive)).toHaveLength(before);
      await holder.query('INSERT INTO t SELECT -1, NULL, NULL');
      await holder.query('ROLLBACK');
    },
  );

  test.skipIf(!majors.includes(major))('two backups in one second have two labels', async () => {
    const second = new Date(2_000_000_000_000);
    const take = async (): Promise<BackupHeader> =>
      takeBackup({ address: cluster.address, archive, kind: 'managed', workers, now: () => second });
    const labels = [await take(), await take()].map(({ label }) => label);
    expect(labels).toEqual(['20330518T033320Z-managed', '20330518T033320Z-managed-2']);
    for (const label of labels) await rm(join(archive.folder, 'backups', label), { recursive: true });
  });

  test.skipIf(!majors.includes(major))('an aborted backup leaves no draft and no backup mode', async () => {
    const stop = new AbortController();
    const before = (await listBackups(archive)).length;
    const taking = takeBackup({
      address: cluster.address,
      archive,
      kind: 'managed',
      workers,
      now,
      signal: stop.signal,
      onProgress: ({ doneBytes }) => {
        if (doneBytes !== undefined && doneBytes > 0)
          stop.abort(new ClonaError('interrupted', 'interrupted'));
      },
    });
    await expect(taking).rejects.toMatchObject({ kind: 'interrupted' });
    expect(await listBackups(archive)).toHaveLength(before);
    expect((await readdir(join(archive.folder, 'backups'))).filter((name) => name.startsWith('.'))).toEqual(
      [],
    );
    await using session = await cluster.connect();
    await expect
      .poll(async () =>
        session.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'walsender'`),
      )
      .toEqual([{ n: 0 }]);
  });

  test.skipIf(!majors.includes(major) || !canMount())(
    'a full disk ends the backup, not the server, and leaves nothing',
    async () => {
      await using disk = await mountSmallDisk(6);
      await using session = await cluster.connect();
      const small = await openOrCreateArchive(join(disk.folder, 'archive'), archive.header, now());
      for (const kind of ['managed', 'hot', 'quiesced'] as const) {
        const taking = takeBackup({ address: cluster.address, archive: small, kind, workers, now });
        await expect(taking).rejects.toMatchObject({ kind: 'diskFull', exitCode: 6 });
        expect(await readdir(join(small.folder, 'backups'))).toEqual([]);
      }
      await expect
        .poll(async () =>
          session.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'clona'`),
        )
        .toEqual([{ n: 1 }]);
      expect(await session.query('SELECT count(*)::int AS n FROM pg_replication_slots')).toEqual([{ n: 0 }]);
    },
  );

  test.skipIf(!majors.includes(major))('what a killed backup left is removed by the next one', async () => {
    const fresh = await makeTestArchive(cluster, 'killed');
    const backups = join(fresh.folder, 'backups');
    const script = join(import.meta.dirname, '../../support/backup-child.ts');
    const child = spawn(process.execPath, [script, fresh.folder, cluster.socketDir]);
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(await readdir(backups)).toEqual(['.killed.partial']);
    expect(await listBackups(fresh)).toEqual([]);
    await takeBackup({
      address: cluster.address,
      archive: fresh,
      kind: 'managed',
      label: 'next',
      workers,
      now,
    });
    expect(await readdir(backups)).toEqual(['next']);
  });
});
