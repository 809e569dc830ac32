import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseError } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importIntoClona, type ImportReport } from '../../../../src/databases/postgres/prove/import.ts';
import { toProblem } from '../../../../src/databases/postgres/prove/sessions.ts';
import { silent } from '../../../../src/progress.ts';
import { createTestCluster, majorsAvailable, type TestCluster } from '../../../support/cluster.ts';
import { pageChecksums } from '../../../../src/databases/postgres/prove/page-checksum.ts';
import { everyCase } from './every-case.ts';

const majors = await majorsAvailable();
const signal = new AbortController().signal;

async function fill(cluster: TestCluster, database: string, statements: readonly string[]): Promise<void> {
  await using admin = await cluster.connect();
  await admin.query(`CREATE DATABASE ${database}`);
  await using session = await cluster.connect(database);
  for (const statement of statements) await session.query(statement);
}

async function prove(cluster: TestCluster, database: string): Promise<ImportReport> {
  return importIntoClona({
    address: cluster.address,
    database,
    cloneName: database,
    workers: 3,
    signal,
    onProgress: silent,
  });
}

describe.for([15, 18])('import of everything, server %i', (major) => {
  const absent = !majors.includes(major);
  let cluster: TestCluster;
  let report: ImportReport;
  beforeAll(async () => {
    if (absent) return;
    cluster = await createTestCluster({ major });
    await fill(cluster, 'erp', everyCase(major));
    report = await prove(cluster, 'erp');
  });
  afterAll(async () => {
    if (!absent) await cluster[Symbol.asyncDispose]();
  });

  test.skipIf(absent)('a sound database passes', () => {
    expect(report.problems).toEqual([]);
    expect(report.passed).toBe(true);
  });

  test.skipIf(absent)(
    'every row is counted once: partitions by themselves, parents and children apart',
    () => {
      const rows = Object.fromEntries(report.tables.map((one) => [one.table, one.rows]));
      expect(rows).toMatchObject({
        'erp.company': 300,
        'erp.animal': 1,
        'erp.dog': 2,
        'erp.invoice_2025': 30,
        'erp.item': 50,
        'erp.nothing': 1,
        'erp.secret': 2,
        'erp.guarded': 3,
        'erp.ruled': 1,
        'erp.old': 2,
        'Sales & Co.Order "Line".x': 1,
      });
      expect(rows['erp.invoice']).toBeUndefined();
      expect(
        (rows['erp.invoice_2025'] ?? 0) +
          (rows['erp.invoice_2026_0'] ?? 0) +
          (rows['erp.invoice_2026_1'] ?? 0),
      ).toBe(200);
      expect(report.tables.find(({ table }) => table === 'erp.invoice_2026_1')?.partitionOf).toBe(
        'erp.invoice',
      );
    },
  );

  test.skipIf(absent)('what is left out is said', () => {
    expect(report.skipped.map(({ relation }) => relation).sort()).toEqual(['erp.cache', 'erp.remote']);
    expect(report.materializedViews).toMatchObject([{ table: 'erp.totals' }]);
  });

  test.skipIf(absent)('what production does not vouch for is put back without validation, and said', () => {
    const names = report.constraints.notValidated.map(({ constraint }) => constraint).sort();
    const always = ['erp.grade: small', 'erp.old: code_given', 'erp.old: parent_fk'];
    const since18 = ['erp.holes: a_given', 'erp.lax: lax_fk', 'erp.lax: positive'];
    expect(names).toEqual([...always, ...(major >= 18 ? since18 : [])].sort());
    expect(report.constraints.validated).toBe(7);
  });

  test.skipIf(absent)(
    'the copy has the same constraints, triggers, values, large objects and sequences',
    async () => {
      await using restored = await cluster.connect('erp');
      await using copy = await cluster.connect('clona_erp');
      const questions = [
        `SELECT conrelid::regclass::text AS t, conname, contype::text, pg_get_constraintdef(oid) AS def, convalidated FROM pg_constraint ORDER BY 1, 2`,
        `SELECT tgrelid::regclass::text AS t, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2`,
        `SELECT evtname, evtenabled::text FROM pg_event_trigger`,
        `SELECT md5(string_agg(c::text, '|' ORDER BY id)) AS h FROM erp.company c`,
        `SELECT md5(string_agg(i::text, '|' ORDER BY id)) AS h FROM erp.item i`,
        `SELECT o::text AS h FROM "Sales & Co"."Order ""Line"".x" o`,
        `SELECT loid::text, pageno, md5(data) AS h FROM pg_largeobject ORDER BY 1, 2`,
        `SELECT sequencename, last_value::text FROM pg_sequences ORDER BY 1`,
      ];
      for (const question of questions)
        expect(await copy.query(question)).toEqual(await restored.query(question));
      expect(report.largeObjects.objects).toBe(3);
    },
  );

  test.skipIf(absent)(
    'a second import replaces the copy, a database of another maker is left alone',
    async () => {
      expect((await prove(cluster, 'erp')).passed).toBe(true);
      await using admin = await cluster.connect();
      await admin.query('CREATE DATABASE clona_own');
      await expect(
        importIntoClona({
          address: cluster.address,
          database: 'erp',
          cloneName: 'own',
          workers: 1,
          signal,
          onProgress: silent,
        }),
      ).rejects.toMatchObject({
        kind: 'databaseFailed',
      });
    },
  );
});

describe('damage is found and named by table', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await createTestCluster();
  });
  afterAll(async () => cluster[Symbol.asyncDispose]());

  test('broken rules, all of them, not the first only', async () => {
    await fill(cluster, 'rules', [
      `CREATE TABLE a (id int PRIMARY KEY)`,
      `CREATE TABLE b (a int REFERENCES a)`,
      `CREATE TABLE c (v int CHECK (v > 0))`,
      `INSERT INTO a VALUES (1)`,
      `SET session_replication_role = replica`,
      `INSERT INTO b VALUES (1), (2)`,
      `INSERT INTO c VALUES (5)`,
      // What a page rotted to, with its checksum right: the rule is there, the row breaks it.
      `UPDATE pg_constraint SET convalidated = false WHERE conname = 'c_v_check'`,
      `ALTER TABLE c DROP CONSTRAINT c_v_check`,
      `INSERT INTO c VALUES (-1)`,
      `ALTER TABLE c ADD CONSTRAINT c_v_check CHECK (v > 0) NOT VALID`,
      `UPDATE pg_constraint SET convalidated = true WHERE conname = 'c_v_check'`,
    ]);
    const { passed, problems } = await prove(cluster, 'rules');
    expect(passed).toBe(false);
    expect(problems.map(({ object, stage }) => `${object} (${stage})`).sort()).toEqual([
      'public.b: b_a_fkey (constraint)',
      'public.c: c_v_check (constraint)',
    ]);
  });

  test('bytes that are no UTF-8, a TOAST value with a hole, a page that does not match its checksum', async () => {
    await fill(cluster, 'rotten', [
      `CREATE TABLE fine (v text)`,
      `INSERT INTO fine SELECT 'row ' || n FROM generate_series(1, 1000) n`,
      `CREATE TABLE letters (v text)`,
      `INSERT INTO letters VALUES ('ABCDEFGHIJKLMNOP')`,
      `CREATE TABLE big (v text)`,
      `ALTER TABLE big ALTER v SET STORAGE EXTERNAL`,
      `INSERT INTO big VALUES (repeat('x', 100000))`,
      `CREATE TABLE page (v text)`,
      `INSERT INTO page SELECT repeat('y', 100) || n FROM generate_series(1, 1000) n`,
    ]);
    await damage(
      cluster,
      'rotten',
      'letters',
      (file) => file.write('\u00ff', file.indexOf('ABCDEFGH') + 2, 'latin1'),
      true,
    );
    await damage(cluster, 'rotten', 'page', (file) => file.fill(0x55, 8192 + 5000, 8192 + 5010), false);
    {
      await using session = await cluster.connect('rotten');
      const [toast] = await session.query<{ name: string }>(
        `SELECT reltoastrelid::regclass::text AS name FROM pg_class WHERE relname = 'big'`,
      );
      await session.query(`CREATE EXTENSION pg_surgery`);
      await session.query(
        `SELECT heap_force_kill($1::regclass, ARRAY(SELECT ctid FROM ${toast?.name ?? ''} WHERE chunk_seq = 3))`,
        [toast?.name],
      );
    }
    const { problems, tables } = await prove(cluster, 'rotten');
    expect(problems.map(({ object }) => object).sort()).toEqual([
      'public.big',
      'public.letters',
      'public.page',
    ]);
    expect(problems.find(({ object }) => object === 'public.letters')).toMatchObject({
      stage: 'write',
      sqlState: '22021',
    });
    expect(problems.find(({ object }) => object === 'public.big')?.message).toContain(
      'chunk number 4 (expected 3)',
    );
    expect(problems.find(({ object }) => object === 'public.page')).toMatchObject({
      stage: 'read',
      sqlState: 'XX001',
    });
    expect(tables).toMatchObject([{ table: 'public.fine', rows: 1000 }]);
  });
});

/** Changes a table's file while the server is down; with `mend` the page's checksum fits the damage. */
async function damage(
  cluster: TestCluster,
  database: string,
  table: string,
  change: (file: Buffer) => unknown,
  mend: boolean,
): Promise<void> {
  let path = '';
  {
    await using session = await cluster.connect(database);
    await session.query('CHECKPOINT');
    const [row] = await session.query<{ path: string }>(`SELECT pg_relation_filepath($1::regclass) AS path`, [
      table,
    ]);
    path = join(cluster.dataDir, row?.path ?? '');
  }
  await cluster.stop();
  {
    await using handle = await open(path, 'r+');
    const bytes = Buffer.from(await handle.readFile());
    change(bytes);
    if (mend) {
      for (const [page, sum] of pageChecksums(bytes, 8192, 0).entries())
        bytes.writeUInt16LE(sum, page * 8192 + 8);
    }
    await handle.write(bytes, 0, bytes.length, 0);
  }
  await cluster.start();
}

test("a check whose function leans on a role's search_path is validated, and a broken row behind it is found", async () => {
  await using cluster = await createTestCluster();
  await fill(cluster, 'paths', [
    'CREATE SCHEMA app',
    'CREATE SCHEMA other',
    `CREATE ROLE app_user`,
    `ALTER ROLE app_user SET search_path = 'app'`,
    'CREATE TABLE app.rate (code text PRIMARY KEY)',
    `INSERT INTO app.rate VALUES ('A')`,
    `CREATE FUNCTION app.known(text) RETURNS bool STABLE LANGUAGE plpgsql
       AS $$ BEGIN RETURN EXISTS (SELECT FROM rate WHERE code = $1); END $$`,
    `SET search_path = app`,
    'CREATE TABLE other.line (code text CHECK (app.known(code)))',
    `INSERT INTO other.line VALUES ('A')`,
  ]);
  expect((await prove(cluster, 'paths')).problems).toEqual([]);
  {
    await using session = await cluster.connect('paths');
    await session.query('DELETE FROM app.rate');
  }
  const { problems } = await prove(cluster, 'paths');
  expect(problems).toMatchObject([{ object: 'other.line: line_code_check', sqlState: '23514' }]);
});

test('a server without room says nothing about the archive: no problem of a table, but the end of the proof', () => {
  const full = Object.assign(new DatabaseError('could not extend file', 1, 'error'), { code: '53100' });
  expect(() => toProblem('public.orders', 'write', full, signal)).toThrow(
    expect.objectContaining({ kind: 'diskFull', exitCode: 6 }),
  );
  const broken = Object.assign(new DatabaseError('invalid byte sequence', 1, 'error'), { code: '22021' });
  expect(toProblem('public.orders', 'write', broken, signal)).toMatchObject({ sqlState: '22021' });
});
