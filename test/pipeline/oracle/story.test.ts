import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Context } from '../../../src/pipeline/context.ts';
import { promoteRelease, rollBackRelease, runRefresh, startRelease } from '../../../src/pipeline/runs.ts';
import { sign, tickChecklist } from '../../../src/pipeline/signing.ts';
import { createStep } from '../../../src/pipeline/step.ts';
import { readStatus } from '../../../src/pipeline/status.ts';
import { createTestCluster, type TestCluster } from '../../support/cluster.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { cutAllOracleMachines } from '../../support/oracle-platform.ts';
import { openTestContext } from '../test-context.ts';
import { makeOracleSite, openOracleSite, type OracleSite } from './oracle-site.ts';

const script = new URL('./story-child.ts', import.meta.url).pathname;
const dora = { by: 'dora' };
let cluster: TestCluster;
let count = 0;

beforeAll(async () => {
  cluster = await createTestCluster();
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

interface World extends AsyncDisposable {
  /** Unique, as a second try needs: the control database is shared. */
  name: string;
  root: string;
  site: OracleSite;
  open: () => Promise<Context>;
  one: (machine: string, sql: string) => Promise<string | null | undefined>;
}

/** A site of its own with its machines, which are cut off when it goes. */
async function makeWorld(): Promise<World> {
  count += 1;
  const name = `erp-${count}`;
  const root = await makeTestFolder();
  await makeOracleSite(root);
  const site = await openOracleSite(root);
  return {
    name,
    root,
    site,
    open: async () =>
      openTestContext({
        site: name,
        folder: root,
        address: cluster.address,
        operations: site.operations,
        policy: { departments: [{ name: 'accounting', keyUsers: ['anna'], delegates: [] }] },
      }),
    one: async (machine, sql) => {
      await using session = await site.session(machine);
      return (await session.query(sql))[0]?.[0];
    },
    [Symbol.asyncDispose]: async () => {
      await cutAllOracleMachines(join(root, 'machines'));
      await rm(root, { recursive: true, force: true });
    },
  };
}

const dueOn = "SELECT COUNT(*) FROM DBA_TAB_COLUMNS WHERE COLUMN_NAME = 'DUE_ON'";
const masked = "SELECT COUNT(*) FROM erp.orders WHERE customer = 'x'";

test('refresh, kit, gate, promotion and rollback of a site with Oracle', { timeout: 300_000 }, async () => {
  await using world = await makeWorld();
  const { site, root, one } = world;
  await using context = await world.open();

  const refreshed = await runRefresh(context, { ...dora, machine: 'staging' });
  expect(refreshed).toMatchObject({ outcome: 'succeeded', error: null, proof: { grade: 5 } });
  expect(await one('staging', 'SELECT NAME FROM V$DATABASE')).toBe('CLONA');
  expect(await one('staging', masked)).toBe('3');
  expect(await one('live', masked)).toBe('0');

  const masking = site.access.site.staging.masking;
  await writeFile(
    join(root, 'bad.sql'),
    "UPDATE erp.orders SET customer = 'secret';\nUPDATE erp.gone SET a = 1;\n",
  );
  await writeFile(join(root, 'ddl.sql'), 'DELETE FROM erp.lines;\nTRUNCATE TABLE erp.orders;\n');
  const step = createStep(context, 'masking', 'masking/again', context.signal);
  for (const [file, said] of [
    ['bad.sql', /^masking failed with ORA-00942 at bad\.sql:2: UPDATE erp\.gone$/],
    ['ddl.sql', /^ddl\.sql:2: masking runs in one transaction/],
  ] as const) {
    site.access.site.staging.masking = [join(root, file)];
    await expect(site.operations.maskStaging(step, 'staging')).rejects.toThrow(said);
    expect(await one('staging', masked)).toBe('3');
  }
  site.access.site.staging.masking = masking;
  const asAgain = await site.operations.maskStaging(step, 'staging');
  expect(asAgain.statements).toEqual([{ file: 'mask.sql', line: 2, statement: 'customers', rows: 3 }]);
  expect(
    await one('staging', "SELECT COUNT(*) FROM DBA_USERS WHERE USERNAME LIKE 'CLONA\\_%' ESCAPE '\\'"),
  ).toBe('0');

  const { release, ended } = await startRelease(context, { ...dora, kit: join(root, 'kits', '2.1') });
  expect(ended).toBeNull();
  await tickChecklist(context, dora);
  await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  const promoted = await promoteRelease(context, { ...dora, release });
  expect(promoted).toMatchObject({ outcome: 'promoted', error: null });
  expect(await one('live', dueOn)).toBe('1');
  expect(await one('live', 'SELECT LOGINS FROM V$INSTANCE')).toBe('ALLOWED');
  // What going back would do to history was on record before the first change.
  const [guard] = await context.ledger.list({ kinds: ['guard.snapshot'] });
  const { wayBack } = guard!.payload as { wayBack: string[] };
  expect(wayBack[0]).toMatch(/flashback is off: the guaranteed restore point keeps the blocks/);
  expect(wayBack.join('; ')).toMatch(/a child of 1 that begins at \d+; .* becomes an ORPHAN/);
  // It would keep every block that people change until the recovery area is full.
  expect(
    await one('live', "SELECT COUNT(*) FROM V$RESTORE_POINT WHERE GUARANTEE_FLASHBACK_DATABASE = 'YES'"),
  ).toBe('0');

  {
    await using late = await site.session('live');
    await late.execute("INSERT INTO erp.orders (id, customer) VALUES (4, 'late')");
    await late.driver.commit();
  }
  const { position } = (await context.ledger.list({ kinds: ['live.bearing'] }))[0]!.payload as {
    position: string;
  };
  const back = await rollBackRelease(context, { ...dora, loseChangesSince: position });
  expect(back).toMatchObject({ outcome: 'rolledBack' });
  expect(await one('live', 'SELECT COUNT(*) FROM erp.orders')).toBe('3');
  expect(await one('live', dueOn)).toBe('0');
  expect(await one('live', 'SELECT COUNT(*) FROM V$DATABASE_INCARNATION')).toBe('2');
  const { archive } = await readStatus(context);
  expect(archive).toMatchObject({ newestProven: { grade: 5 }, spool: null, streams: [] });
  expect(archive.rpoSeconds).toBeGreaterThanOrEqual(0);
});

/** Plays the story, starting it again after each kill, until it ends by itself. Gives how often it was killed. */
async function play({ root, name }: World): Promise<number> {
  const order = JSON.stringify({ root, name, address: cluster.address });
  for (let kills = 0; kills < 20; kills += 1) {
    const child = spawn(process.execPath, [script, order], { stdio: ['ignore', 'inherit', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => (said += String(chunk)));
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (code === 0) return kills;
    if (signal !== 'SIGKILL') throw new Error(`the story ended with ${code ?? signal}: ${said}`);
  }
  throw new Error('the story never ended');
}

test(
  'killed -9 in the restore, in the kit on LIVE, between revert and reopening: LIVE is back at P',
  {
    timeout: 300_000,
  },
  async () => {
    await using world = await makeWorld();
    const { root, one } = world;
    expect(await play(world)).toBe(6);
    const kills = (await readFile(join(root, 'kills.txt'), 'utf8')).trim().split('\n');
    expect(kills).toEqual([
      'RMAN has backed LIVE up',
      'the clone has another name',
      'what was restored is exported',
      'the kit is in LIVE',
      'the machine of LIVE is reverted',
      'LIVE has a new incarnation',
    ]);
    expect(await one('live', 'SELECT COUNT(*) FROM erp.orders')).toBe('3');
    expect(await one('live', dueOn)).toBe('0');
    expect(await one('live', 'SELECT COUNT(*) FROM V$DATABASE_INCARNATION')).toBe('2');
    expect(await one('live', 'SELECT LOGINS FROM V$INSTANCE')).toBe('ALLOWED');
    await using context = await world.open();
    const payload = async (kind: string): Promise<unknown> =>
      (await context.ledger.list({ kinds: [kind] })).at(-1)?.payload;
    expect(await payload('promotion.ended')).toMatchObject({ state: 'rolledBack' });
    expect(await payload('archive.proven')).toMatchObject({ grade: 5 });
  },
);
