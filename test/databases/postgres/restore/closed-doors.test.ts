import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RestoreReport } from '../../../../src/databases/postgres/restore/report.ts';
import { createProduction, type Production } from '../../../support/production.ts';

/** A site that has set for its roles and databases what would hinder whoever comes to put a copy in order. */
let production: Production;
let report: RestoreReport;

beforeAll(async () => {
  production = await createProduction({ settings: { max_prepared_transactions: 5 } });
  await production.write(5);
  await production.backup('B1');
  {
    await using session = await production.connect();
    for (const statement of [
      `CREATE ROLE keeper SUPERUSER LOGIN`,
      `CREATE ROLE weak`,
      `CREATE DATABASE closed`,
      `CREATE SUBSCRIPTION feed CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)`,
      `UPDATE pg_subscription SET subenabled = true`,
    ])
      await session.query(statement);
    await using closed = await production.connect('closed');
    await closed.query('CREATE TABLE t (i int)');
    await closed.query('BEGIN');
    await closed.query('INSERT INTO t VALUES (1)');
    await closed.query(`PREPARE TRANSACTION 'in the closed one'`);
  }
  {
    await using session = await production.connect();
    for (const statement of [
      `ALTER DATABASE closed ALLOW_CONNECTIONS false`,
      `ALTER DATABASE template1 ALLOW_CONNECTIONS false`,
      `ALTER DATABASE postgres SET default_transaction_read_only = on`,
      `ALTER DATABASE postgres CONNECTION LIMIT 0`,
      `ALTER ROLE postgres SET statement_timeout = '1ms'`,
      `ALTER ROLE postgres SET role = weak`,
      `ALTER ROLE postgres SET search_path = '$user'`,
    ]) {
      await session.query('SET default_transaction_read_only = off');
      await session.query(statement);
    }
  }
  production.cluster.address.user = 'keeper';
  await production.archiveLog();
  report = await production.restore({ until: { kind: 'latest' } });
});
afterAll(async () => production?.[Symbol.asyncDispose]());

test('settings of roles and databases do not hinder a restore, nor does a closed template1', () => {
  expect(report.checks.find(({ name }) => name === 'every database can be entered')?.detail).toBe('postgres');
  expect(report.checks.find(({ name }) => name === 'subscriptions disabled')?.detail).toBe('feed (postgres)');
});

test('what lies in a database that nobody can enter is named', () => {
  expect(report.warnings.join('\n')).toContain('prepared transaction in the closed one of database closed');
});
