import { execFile } from 'node:child_process';
import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listBackups, type Archive } from '../../../src/archive/repository.ts';
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
import { createTestCluster, majorsAvailable, type TestCluster } from '../../support/cluster.ts';

const majors = await majorsAvailable();
const verifyTool = await findVerifyTool();
const now = (): Date => new Date();
const workers = 2;

const digest = `SELECT count(*)::text AS n, sum(hashtext(t::text))::text AS sum FROM t`;

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
});
