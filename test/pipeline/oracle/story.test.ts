import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Context } from '../../../src/pipeline/context.ts';
import { promoteRelease, rollBackRelease, runRefresh, startRelease } from '../../../src/pipeline/runs.ts';
import { sign, tickChecklist } from '../../../src/pipeline/signing.ts';
import { createTestCluster, type TestCluster } from '../../support/cluster.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { cutAllOracleMachines } from '../../support/oracle-platform.ts';
import { openTestContext } from '../test-context.ts';
import { makeOracleSite, openOracleSite, type OracleSite } from './oracle-site.ts';

let cluster: TestCluster;
let root: string;
let site: OracleSite;
let context: Context;

beforeAll(async () => {
  cluster = await createTestCluster();
  root = await makeTestFolder();
  await makeOracleSite(root);
  site = await openOracleSite(root);
  context = await openTestContext({
    site: 'erp',
    folder: root,
    address: cluster.address,
    operations: site.operations,
    policy: { departments: [{ name: 'accounting', keyUsers: ['anna'], delegates: [] }] },
  });
});
afterAll(async () => {
  await context[Symbol.asyncDispose]();
  await cutAllOracleMachines(join(root, 'machines'));
  await rm(root, { recursive: true, force: true });
  await cluster[Symbol.asyncDispose]();
});

const dora = { by: 'dora' };

async function one(machine: string, sql: string): Promise<string | null | undefined> {
  await using session = await site.session(machine);
  return (await session.query(sql))[0]?.[0];
}

describe('the whole story with Oracle, through the durable pipeline', () => {
  test('LIVE STAGING is restored, renamed, fenced, proven to grade 5 and masked', async () => {
    const refreshed = await runRefresh(context, { ...dora, machine: 'staging' });
    expect(refreshed).toMatchObject({ outcome: 'succeeded', error: null, proof: { grade: 5 } });
    expect(await one('staging', 'SELECT NAME FROM V$DATABASE')).toBe('CLONA');
    expect(await one('staging', "SELECT COUNT(*) FROM erp.orders WHERE customer = 'x'")).toBe('3');
    expect(await one('live', "SELECT COUNT(*) FROM erp.orders WHERE customer = 'x'")).toBe('0');
  });

  test('a kit goes in, the rollback is rehearsed, and LIVE gets the same steps', async () => {
    const { release, ended } = await startRelease(context, { ...dora, kit: join(root, 'kits', '2.1') });
    expect(ended).toBeNull();
    await tickChecklist(context, dora);
    await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
    const promoted = await promoteRelease(context, { ...dora, release });
    expect(promoted).toMatchObject({ outcome: 'promoted', error: null });
    expect(await one('live', "SELECT COUNT(*) FROM DBA_TAB_COLUMNS WHERE COLUMN_NAME = 'DUE_ON'")).toBe('1');
    expect(await one('live', 'SELECT LOGINS FROM V$INSTANCE')).toBe('ALLOWED');
    expect(
      await one('live', "SELECT COUNT(*) FROM V$RESTORE_POINT WHERE GUARANTEE_FLASHBACK_DATABASE = 'YES'"),
    ).toBe('0');
  });

  test('after the opening LIVE is taken back, on a new incarnation, and what is lost is counted', async () => {
    await using live = await site.session('live');
    await live.execute("INSERT INTO erp.orders (id, customer) VALUES (4, 'late')");
    await live.driver.commit();
    await live[Symbol.asyncDispose]();
    const [bearing] = await context.ledger.list({ kinds: ['live.bearing'] });
    const { position } = bearing!.payload as { position: string };
    const back = await rollBackRelease(context, { ...dora, loseChangesSince: position });
    expect(back).toMatchObject({ outcome: 'rolledBack' });
    expect(await one('live', 'SELECT COUNT(*) FROM erp.orders')).toBe('3');
    expect(await one('live', "SELECT COUNT(*) FROM DBA_TAB_COLUMNS WHERE COLUMN_NAME = 'DUE_ON'")).toBe('0');
    expect(await one('live', 'SELECT COUNT(*) FROM V$DATABASE_INCARNATION')).toBe('2');
  });
});
