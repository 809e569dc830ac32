import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkStructure, type StructureReport } from '../../../../src/databases/postgres/prove/amcheck.ts';
import { pageChecksums } from '../../../../src/databases/postgres/prove/page-checksum.ts';
import { silent } from '../../../../src/progress.ts';
import { createTestCluster, majorsAvailable, type TestCluster } from '../../../support/cluster.ts';

const majors = await majorsAvailable();
const signal = new AbortController().signal;
const check = async (cluster: TestCluster): Promise<StructureReport> =>
  checkStructure({ address: cluster.address, database: 'postgres', workers: 2, signal, onProgress: silent });

describe.each([15, 18])('structure, server %i', (major) => {
  test.skipIf(!majors.includes(major))(
    'a sound database passes, leaves no trace, and damage is named by relation',
    async () => {
      await using cluster = await createTestCluster({ major });
      await using session = await cluster.connect();
      await session.query(`CREATE TABLE item (id int PRIMARY KEY, name text, tags text[])`);
      await session.query(
        `INSERT INTO item SELECT n, 'item ' || n, ARRAY[n::text] FROM generate_series(1, 2000) n`,
      );
      await session.query(`CREATE INDEX item_name ON item (name)`);
      await session.query(`CREATE INDEX item_tags ON item USING gin (tags)`);
      await session.query(`CREATE INDEX item_hash ON item USING hash (id)`);
      const schema = `SELECT count(*)::int AS n FROM pg_proc`;
      const before = await session.query(schema);
      const sound = await check(cluster);
      expect(sound).toMatchObject({ passed: true, available: true, problems: [] });
      expect(sound.relations).toBeGreaterThan(50);
      expect(sound.uncheckedIndexes).toMatchObject(major >= 18 ? { hash: 1 } : { hash: 1, gin: 1 });
      expect(await session.query(schema)).toEqual(before);

      await damage(cluster);
      const { passed, problems } = await check(cluster);
      expect(passed).toBe(false);
      const objects = new Set(problems.map(({ object }) => object));
      expect([...objects]).toEqual(
        expect.arrayContaining(['public.item', 'public.item_name (index of item)']),
      );
    },
  );
});

/** A line pointer of the table leads astray, and a key of the index is another; checksums fit. */
async function damage(cluster: TestCluster): Promise<void> {
  const paths: string[] = [];
  {
    await using session = await cluster.connect();
    await session.query('CHECKPOINT');
    for (const name of ['item', 'item_name']) {
      const [row] = await session.query<{ path: string }>(
        `SELECT pg_relation_filepath($1::regclass) AS path`,
        [name],
      );
      paths.push(join(cluster.dataDir, row?.path ?? ''));
    }
  }
  await cluster.stop();
  const [table = '', index = ''] = paths;
  await rewrite(table, (bytes) => bytes.writeUInt32LE((8188 << 0) | (1 << 15) | (40 << 17), 8192 + 24));
  await rewrite(index, (bytes) => bytes.write('jtem', bytes.indexOf('item 100', 8192), 'latin1'));
  await cluster.start();
}

async function rewrite(path: string, change: (bytes: Buffer) => unknown): Promise<void> {
  await using handle = await open(path, 'r+');
  const bytes = Buffer.from(await handle.readFile());
  change(bytes);
  for (const [page, sum] of pageChecksums(bytes, 8192, 0).entries())
    bytes.writeUInt16LE(sum, page * 8192 + 8);
  await handle.write(bytes, 0, bytes.length, 0);
}
