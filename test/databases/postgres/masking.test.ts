import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { maskDatabase, type MaskingFile } from '../../../src/databases/postgres/masking.ts';
import { silent } from '../../../src/progress.ts';
import { createTestCluster, type TestCluster } from '../../support/cluster.ts';

let cluster: TestCluster;
const mask = async (...files: MaskingFile[]) =>
  maskDatabase({
    address: cluster.address,
    files,
    now: () => new Date('2026-01-01T00:00:00Z'),
    signal: new AbortController().signal,
    onProgress: silent,
  });

beforeAll(async () => {
  cluster = await createTestCluster();
});
afterAll(async () => cluster[Symbol.asyncDispose]());
beforeEach(async () => {
  await using session = await cluster.connect();
  await session.query('DROP TABLE IF EXISTS person');
  await session.query(`CREATE TABLE person (name text, iban text UNIQUE)`);
  await session.query(`INSERT INTO person VALUES ('Amra', 'BA1'), ('Ben', 'BA2')`);
});

test('what was masked is told by statement, rows and hash, never by value', async () => {
  const report = await mask({
    name: 'people.sql',
    sql: `-- names of people\nUPDATE person SET name = 'person ' || ctid::text;\nDELETE FROM person WHERE iban = 'BA2';\nSELECT 'BA1';`,
  });
  expect(report).toMatchObject({
    maskedAt: '2026-01-01T00:00:00.000Z',
    files: [{ name: 'people.sql', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
    statements: [
      { line: 2, statement: 'names of people', rows: 2 },
      { line: 3, statement: 'DELETE FROM person', rows: 1 },
      { line: 4, statement: 'SELECT', rows: 1 },
    ],
  });
  expect(JSON.stringify(report)).not.toMatch(/Amra|BA2/);
});

test('a failure masks nothing at all and does not quote the data', async () => {
  const files = [
    { name: '1.sql', sql: `UPDATE person SET name = 'x'` },
    { name: '2.sql', sql: `UPDATE person SET iban = 'secret value'` },
  ];
  const failure = await mask(...files).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    kind: 'databaseFailed',
    message: 'masking failed with SQLSTATE 23505 at 2.sql:1: UPDATE person',
  });
  expect(JSON.stringify(failure)).not.toContain('secret value');
  await using session = await cluster.connect();
  expect(await session.query('SELECT name FROM person ORDER BY 1')).toEqual([
    { name: 'Amra' },
    { name: 'Ben' },
  ]);
});

test('a file with a transaction of its own is refused', async () => {
  await expect(
    mask({ name: 'own.sql', sql: `UPDATE person SET name = 'x'; COMMIT; UPDATE person SET iban = NULL` }),
  ).rejects.toMatchObject({ kind: 'siteInvalid' });
});

test('no files: nothing was masked, and that is said', async () => {
  expect(await mask()).toEqual({ maskedAt: null, files: [], statements: [] });
});
