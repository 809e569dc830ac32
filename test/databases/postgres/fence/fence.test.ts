import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  applyFence,
  checkFence,
  fenceItems,
  requireFence,
  type FenceReport,
  type FenceRule,
} from '../../../../src/databases/postgres/fence/fence.ts';
import { silent } from '../../../../src/progress.ts';
import { createTestCluster, type TestCluster } from '../../../support/cluster.ts';

const signal = new AbortController().signal;
const rules: FenceRule[] = [
  {
    name: 'e-invoicing',
    sql: `UPDATE site.channel SET active = false WHERE name = 'e-invoicing'`,
    check: `SELECT NOT active FROM site.channel WHERE name = 'e-invoicing';`,
  },
  {
    name: 'bank',
    sql: `UPDATE site.channel SET active = false WHERE name = 'bank'`,
    check: `SELECT NOT active FROM site.channel WHERE name = 'bank'`,
  },
];

/** A server that could do everything a fence must stop. */
const dangers = [
  `CREATE SCHEMA site`,
  `CREATE TABLE site.channel (name text, active boolean DEFAULT true)`,
  `INSERT INTO site.channel VALUES ('e-invoicing'), ('bank')`,
  `CREATE SCHEMA cron`,
  `CREATE TABLE cron.job (jobid int, active boolean)`,
  `INSERT INTO cron.job VALUES (1, true), (2, false)`,
  `CREATE SCHEMA pgagent`,
  `CREATE TABLE pgagent.pga_job (jobid int, jobenabled boolean)`,
  `INSERT INTO pgagent.pga_job VALUES (1, true)`,
  `CREATE EXTENSION postgres_fdw`,
  `CREATE EXTENSION dblink`,
  `CREATE EXTENSION file_fdw`,
  `CREATE SERVER live FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'live.example.com', hostaddr '192.0.2.1', port '5432', dbname 'erp')`,
  `CREATE SERVER quiet FOREIGN DATA WRAPPER dblink_fdw OPTIONS (dbname 'erp')`,
  `CREATE SERVER files FOREIGN DATA WRAPPER file_fdw`,
  `CREATE USER MAPPING FOR postgres SERVER live OPTIONS (user 'erp', password 'very secret')`,
  `CREATE USER MAPPING FOR PUBLIC SERVER quiet OPTIONS (user 'erp', password 'very secret')`,
  `CREATE SUBSCRIPTION news CONNECTION 'host=live.example.com dbname=erp password=x' PUBLICATION p WITH (connect = false)`,
  `ALTER SUBSCRIPTION news ENABLE`,
  `SELECT pg_create_physical_replication_slot('standby', true)`,
  `ALTER DATABASE erp SET erp.smtp_host = 'mail.example.com'`,
  `ALTER ROLE postgres SET erp.mail_relay = 'mail.example.com'`,
];

async function endangered(): Promise<TestCluster> {
  const cluster = await createTestCluster({
    settings: {
      wal_level: 'logical',
      max_logical_replication_workers: 0,
    },
  });
  await using admin = await cluster.connect();
  await admin.query('CREATE DATABASE erp');
  await admin.query('CREATE DATABASE other');
  await using session = await cluster.connect('erp');
  for (const statement of dangers) await session.query(statement);
  await using other = await cluster.connect('other');
  await other.query('CREATE EXTENSION postgres_fdw');
  await other.query(
    `CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'live.example.com')`,
  );
  for (const [name, value] of [
    ['archive_mode', 'on'],
    ['archive_command', 'cp %p /nowhere/%f'],
    ['restore_command', 'false'],
    ['primary_conninfo', 'host=live.example.com'],
    ['synchronous_standby_names', ''],
    ['erp.smtp_server', 'mail.example.com'],
  ] as const) {
    await admin.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  }
  await cluster.stop();
  await cluster.start({ max_logical_replication_workers: 0 });
  return cluster;
}

const open = ({ parts }: FenceReport): string[] =>
  parts.filter(({ holds }) => !holds).map(({ name }) => name);

describe('the fence', () => {
  let cluster: TestCluster;
  const options = () => ({
    address: { ...cluster.address, database: 'erp' },
    rules,
    signal,
    onProgress: silent,
  });
  beforeAll(async () => {
    cluster = await endangered();
  });
  afterAll(async () => cluster[Symbol.asyncDispose]());

  test('every danger is seen before the fence is up', async () => {
    const report = await checkFence(options());
    expect(report.fenced).toBe(false);
    expect(open(report)).toEqual([
      'log archiving',
      'replication',
      'jobs',
      'database links',
      'outgoing mail',
      'e-invoicing',
      'bank',
    ]);
  });

  // Last first, so that each is the only one missing when it is its turn.
  test.each(fenceItems.map(({ name }) => name))(
    'without its part "%s" the fence has that hole, and is not accepted',
    async (name) => {
      await using own = await endangered();
      const items = fenceItems.filter((item) => item.name !== name);
      const report = await applyFence({ ...options(), address: { ...own.address, database: 'erp' }, items });
      expect(open(report)).toEqual([name]);
      expect(report.fenced).toBe(false);
    },
  );

  test('a rule of the site that does not do what it says is a hole', async () => {
    const idle = [{ ...rules[0]!, sql: 'SELECT 1' }];
    expect(open(await applyFence({ ...options(), rules: idle }))).toEqual(['e-invoicing']);
    await expect(requireFence({ ...options(), rules: idle })).rejects.toMatchObject({
      kind: 'fenceFailed',
      message: expect.stringContaining('e-invoicing'),
    });
  });

  test('with all its parts it holds, may be put up again, and what it stopped stays stopped', async () => {
    const report = await applyFence(options());
    expect(open(report)).toEqual([]);
    expect(report.fenced).toBe(true);
    expect((await requireFence(options())).fenced).toBe(true);
    await using session = await cluster.connect('erp');
    expect(await session.query(`SELECT count(*)::int AS n FROM cron.job WHERE active`)).toEqual([{ n: 0 }]);
    expect(
      await session.query(`SELECT srvoptions::text AS o FROM pg_foreign_server WHERE srvname = 'live'`),
    ).toEqual([{ o: '{host=clona.invalid,port=5432,dbname=erp}' }]);
    const [seen] = await session.query<{ all: string }>(
      `SELECT string_agg(umoptions::text || coalesce(subconninfo, ''), ' ') AS all FROM pg_user_mapping, pg_subscription`,
    );
    expect(seen?.all).not.toMatch(/secret|example/);
    await cluster.stop();
    await cluster.start();
    expect((await checkFence(options())).fenced).toBe(true);
  });
});
