import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareBusinessCounts } from '../../../../src/databases/postgres/prove/compare-counts.ts';
import { compareNumbers } from '../../../../src/databases/postgres/prove/compare-numbers.ts';
import { takeBusinessCounts } from '../../../../src/databases/postgres/prove/counts.ts';
import { createTestCluster, type TestCluster } from '../../../support/cluster.ts';

const signal = new AbortController().signal;
const counts = [
  { name: 'ledger', sql: `SELECT sum(amount) AS balance, count(*) AS lines FROM ledger;` },
  { name: 'big', sql: `SELECT 12345678901234567890.01::numeric AS n` },
];
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await createTestCluster();
  await using session = await cluster.connect();
  await session.query(`CREATE TABLE ledger (id serial PRIMARY KEY, amount numeric)`);
  await session.query(
    `INSERT INTO ledger (amount) SELECT CASE n % 2 WHEN 0 THEN 10.5 ELSE -10.5 END FROM generate_series(1, 100) n`,
  );
});
afterAll(async () => cluster[Symbol.asyncDispose]());

const take = async (lock: boolean, lockTimeoutMs = 2000) =>
  takeBusinessCounts({
    address: cluster.address,
    counts,
    lock,
    lockTimeoutMs,
    restorePointName: 'nightly',
    signal,
  });

test('with the lock the numbers are exact, at a restore point, and agree with themselves', async () => {
  const taken = await take(true);
  expect(taken).toMatchObject({ mode: 'exact', reason: null, restorePoint: 'nightly', timeline: 1 });
  expect(BigInt(taken.position)).toBeGreaterThan(0n);
  expect(taken.counts[0]).toMatchObject({
    low: { balance: '0.0', lines: '100' },
    high: { balance: '0.0', lines: '100' },
  });
  const report = await compareBusinessCounts({ address: cluster.address, counts, taken, signal });
  expect(report).toMatchObject({ passed: true, mode: 'exact' });
});

test('a row too many, or a cent, does not agree', async () => {
  const taken = await take(true);
  await using session = await cluster.connect();
  await session.query('BEGIN');
  await session.query(`INSERT INTO ledger (amount) VALUES (0.01)`);
  await session.query('COMMIT');
  const { passed, comparisons } = await compareBusinessCounts({
    address: cluster.address,
    counts,
    taken,
    signal,
  });
  expect(passed).toBe(false);
  expect(comparisons.filter(({ agrees }) => !agrees).map(({ column }) => column)).toEqual([
    'balance',
    'lines',
  ]);
  await session.query(`DELETE FROM ledger WHERE amount = 0.01`);
});

test('writers wait and go on; nobody gets an error', async () => {
  await using writer = await cluster.connect();
  await writer.query('BEGIN');
  await writer.query(`INSERT INTO ledger (amount) VALUES (1)`);
  const taking = take(true, 5000);
  await using watcher = await cluster.connect();
  await expect
    .poll(async () =>
      watcher.query(`SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND mode = 'ShareLock'`),
    )
    .toEqual([{ n: 1 }]);
  await writer.query('ROLLBACK');
  expect(await taking).toMatchObject({ mode: 'exact' });
});

test('a lock that is not granted is given up, and the numbers are bounds, and it is said', async () => {
  await using writer = await cluster.connect();
  await writer.query('BEGIN');
  await writer.query(`INSERT INTO ledger (amount) VALUES (1)`);
  const taken = await take(true, 100);
  expect(taken.mode).toBe('bounds');
  expect(taken.reason).toContain('lock');
  await writer.query('COMMIT');
  await writer.query(`DELETE FROM ledger WHERE amount = 1`);
});

test('without the lock the restored number must lie between before and after', async () => {
  const taken = await take(false);
  expect(taken).toMatchObject({ mode: 'bounds', reason: 'the site forbids the lock', lockMs: null });
  const widened = {
    ...taken,
    counts: [{ name: 'ledger', low: { balance: '0', lines: '90' }, high: { balance: '0', lines: '110' } }],
  };
  expect(
    (await compareBusinessCounts({ address: cluster.address, counts, taken: widened, signal })).passed,
  ).toBe(true);
  widened.counts[0]!.low.lines = '101';
  expect(
    (await compareBusinessCounts({ address: cluster.address, counts, taken: widened, signal })).passed,
  ).toBe(false);
});

test('a question with several rows or with words is the mistake of the site', async () => {
  for (const sql of ['SELECT 1 FROM ledger', `SELECT 'many' AS words`]) {
    await expect(
      takeBusinessCounts({
        address: cluster.address,
        counts: [{ name: 'x', sql }],
        lock: true,
        lockTimeoutMs: 1000,
        restorePointName: 'r',
        signal,
      }),
    ).rejects.toMatchObject({ kind: 'proofFailed' });
  }
});

test('numbers are compared exactly', () => {
  expect(compareNumbers('0.10', '0.1')).toBe(0);
  expect(compareNumbers('-2', '1')).toBe(-1);
  expect(compareNumbers('9007199254740993', '9007199254740992')).toBe(1);
  expect(compareNumbers('-0.5', '-0.25')).toBe(-1);
  expect(compareNumbers('1e3', '999')).toBe(1);
});

test('a question that the server does not understand is named', async () => {
  const wrong = [{ name: 'stock on hand', sql: 'SELECT count(* FROM ledger' }];
  const taken = takeBusinessCounts({
    address: cluster.address,
    counts: wrong,
    lock: true,
    lockTimeoutMs: 2000,
    restorePointName: 'wrong',
    signal,
  });
  await expect(taken).rejects.toMatchObject({
    kind: 'databaseFailed',
    message: expect.stringContaining('the business count "stock on hand": syntax error'),
  });
});
