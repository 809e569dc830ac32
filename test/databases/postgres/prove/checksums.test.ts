import { copyFile, cp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeDocument } from '../../../../src/archive/document.ts';
import type { BackupHeader } from '../../../../src/archive/format.ts';
import { takeBackup } from '../../../../src/databases/postgres/backup.ts';
import { proveChecksums } from '../../../../src/databases/postgres/prove/checksums.ts';
import type { ChecksumReport } from '../../../../src/databases/postgres/prove/checksum-report.ts';
import { pageChecksums } from '../../../../src/databases/postgres/prove/page-checksum.ts';
import { createPlainSummer, createVectorSummer } from '../../../../src/databases/postgres/prove/page-sums.ts';
import { makeTestArchive } from '../../../support/archive.ts';
import { createTestCluster, majorsAvailable, type TestCluster } from '../../../support/cluster.ts';

const majors = await majorsAvailable();
const signal = new AbortController().signal;
const prove = async (archiveDir: string, label: string): Promise<ChecksumReport> =>
  proveChecksums({ archiveDir, label, workers: 2, signal });

async function fill(cluster: TestCluster): Promise<void> {
  await using session = await cluster.connect();
  await session.query(`CREATE TABLE t (id int PRIMARY KEY, v text)`);
  await session.query(`INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 20000) n`);
  await session.query('CHECKPOINT');
}

describe.each([15, 18])('grade 1, server %i', (major) => {
  test.skipIf(!majors.includes(major)).each(['managed', 'hot', 'quiesced'] as const)(
    'a sound %s backup passes, every page is judged',
    async (kind) => {
      await using cluster = await createTestCluster({ major });
      await fill(cluster);
      const archive = await makeTestArchive(cluster);
      const header = await takeBackup({ address: cluster.address, archive, kind, now: () => new Date() });
      const report = await prove(archive.folder, header.label);
      expect(report.problems).toEqual([]);
      expect(report.passed).toBe(true);
      expect(report.files).toBeGreaterThan(900);
      expect(report.pages?.good).toBeGreaterThan(1000);
      expect(report.pages).toMatchObject({ damaged: 0 });
    },
  );
});

describe('damage', () => {
  let cluster: TestCluster;
  let folder: string;
  let header: BackupHeader;
  beforeAll(async () => {
    cluster = await createTestCluster();
    await fill(cluster);
    const archive = await makeTestArchive(cluster);
    folder = archive.folder;
    header = await takeBackup({
      address: cluster.address,
      archive,
      kind: 'managed',
      label: 'B1',
      now: () => new Date(),
    });
  });
  afterAll(async () => cluster[Symbol.asyncDispose]());

  /** A copy of the archive that a test may break. */
  async function broken(
    name: string,
    change: (backup: string, copy: string) => Promise<unknown>,
  ): Promise<ChecksumReport> {
    const copy = join(cluster.folder, name);
    await cp(folder, copy, { recursive: true });
    await change(join(copy, 'backups', 'B1'), copy);
    return prove(copy, 'B1');
  }

  test('a flipped bit in the compressed data is named with its frame', async () => {
    const report = await broken('flipped', async (backup) =>
      flip(join(backup, 'base.tar.zst'), header.archives[0]!.frames[1]!.compressedOffset + 500),
    );
    expect(report.passed).toBe(false);
    expect(report.problems.map(({ message }) => message)).toContain('does not match its SHA-256');
  });

  test('a file that is cut off, missing or of another backup is named', async () => {
    const cut = await broken('cut', async (backup) => truncate(join(backup, 'base.tar.zst'), 1000));
    expect(cut.problems.map(({ message }) => message).join('\n')).toContain('has 1000 bytes and should have');
    const missing = await broken('missing', async (backup) => rm(join(backup, 'base.tar.zst')));
    expect(missing.problems).toContainEqual({ file: 'base.tar.zst', message: 'is not there' });
    const swapped = await broken('swapped', async (backup) =>
      copyFile(join(backup, 'backup_manifest'), join(backup, 'base.tar.zst')),
    );
    expect(swapped.passed).toBe(false);
  });

  test('backup.json, backup_manifest and the archive header are held against themselves', async () => {
    for (const [name, file] of [
      ['json', 'backup.json'],
      ['manifest', 'backup_manifest'],
    ] as const) {
      const report = await broken(name, async (backup) => flip(join(backup, file), 100));
      expect(report.problems.map((problem) => problem.file)).toContain(file);
    }
    const report = await broken('archive-header', async (_backup, copy) =>
      flip(join(copy, 'clona-archive.json'), 30),
    );
    expect(report.problems).toMatchObject([{ file: 'clona-archive.json' }]);
  });

  test('a manifest of another backup, whole in itself, is not believed', async () => {
    const report = await broken('other', async (backup) => {
      const archive = await makeTestArchive(cluster, 'second');
      await takeBackup({
        address: cluster.address,
        archive,
        kind: 'managed',
        label: 'B2',
        now: () => new Date(),
      });
      await copyFile(
        join(archive.folder, 'backups', 'B2', 'backup_manifest'),
        join(backup, 'backup_manifest'),
      );
    });
    expect(report.problems).toContainEqual({
      file: 'backup_manifest',
      message: 'is not the one that backup.json names',
    });
  });

  test('a header that promises carried log which is not there is found', async () => {
    const report = await broken('log', async (backup) => {
      const { checksum: _checksum, ...json } = JSON.parse(
        await readFile(join(backup, 'backup.json'), 'utf8'),
      ) as BackupHeader & { checksum: string };
      await writeFile(
        join(backup, 'backup.json'),
        encodeDocument({
          ...json,
          ownLog: true,
          consistentFrom: String(BigInt(json.consistentFrom) + 64n * 2n ** 20n),
        }),
      );
    });
    expect(report.problems.map(({ message }) => message)).toContain(
      'is not carried whole, though the backup says it carries its log',
    );
  });

  test('an absent archive and an absent backup are errors', async () => {
    await expect(prove(join(cluster.folder, 'nowhere'), 'B1')).rejects.toMatchObject({
      kind: 'archiveMissing',
    });
    await expect(prove(folder, 'B9')).rejects.toMatchObject({ kind: 'archiveMissing' });
  });

  test('an aborted proof stops', async () => {
    const stop = AbortSignal.abort(new Error('enough'));
    await expect(
      proveChecksums({ archiveDir: folder, label: 'B1', workers: 2, signal: stop }),
    ).rejects.toThrow('enough');
  });
});

test('a page that rotted on production before the backup is found in the backup', async () => {
  await using cluster = await createTestCluster();
  await fill(cluster);
  let path = '';
  {
    await using session = await cluster.connect();
    const [row] = await session.query<{ path: string }>(`SELECT pg_relation_filepath('t') AS path`);
    path = row?.path ?? '';
  }
  await cluster.stop();
  await flip(join(cluster.dataDir, path), 3 * 8192 + 4000);
  await cluster.start();
  const archive = await makeTestArchive(cluster);
  const { label } = await takeBackup({
    address: cluster.address,
    archive,
    kind: 'hot',
    now: () => new Date(),
  });
  const report = await prove(archive.folder, label);
  expect(report.problems).toEqual([
    { file: path, message: 'the page of block 3 does not match its checksum' },
  ]);
});

test('the sums by vectors and by plain JavaScript are the same', () => {
  const plain = createPlainSummer(8192);
  const vectors = createVectorSummer(8192);
  expect(vectors).toBeDefined();
  for (let round = 0; round < 50; round += 1) {
    const page = randomBytes(8192);
    plain.bytes.set(page);
    vectors?.bytes.set(page);
    expect((vectors?.sum(0, 8192) ?? 0) | 0).toBe(plain.sum(0, 8192) | 0);
  }
});

test('our page checksum is the server’s, on every page of a cluster', async () => {
  await using cluster = await createTestCluster();
  await fill(cluster);
  await using session = await cluster.connect();
  await session.query('CREATE EXTENSION pageinspect');
  const rows = await session.query<{ page: Buffer; sum: number; n: number }>(
    `SELECT get_raw_page('t', n) AS page, n, page_checksum(get_raw_page('t', n), n) AS sum FROM generate_series(0, 20) n`,
  );
  for (const { page, sum, n } of rows) {
    expect((pageChecksums(page, 8192, n)[0] ?? 0) & 0xffff).toBe(sum & 0xffff);
  }
});

async function flip(path: string, at: number): Promise<void> {
  await using handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  await handle.write(byte, 0, 1, at);
}
