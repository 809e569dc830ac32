import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verb as smokeVerb } from '../../../src/cli/smoke.ts';
import { ClonaError } from '../../../src/errors.ts';
import { closedConditions } from '../../../src/gate/gate.ts';
import type { Context } from '../../../src/pipeline/context.ts';
import {
  promoteRelease,
  rollBackRelease,
  runRefresh,
  startRelease,
  throwIfFailed,
} from '../../../src/pipeline/runs.ts';
import type { RefreshResult } from '../../../src/pipeline/refresh.ts';
import { sign } from '../../../src/pipeline/signing.ts';
import { readStatus } from '../../../src/pipeline/status.ts';
import { silent } from '../../../src/progress.ts';
import { createStep } from '../../../src/pipeline/step.ts';
import {
  createVsphereWorld,
  openVsphereContext,
  whyNoVsphereWorld,
  writeKit,
  type VsphereWorld,
} from '../../support/vsphere-world.ts';

const missing = await whyNoVsphereWorld();
const dora = { by: 'dora' };
const live = 'DC0_H0_VM0';

describe.skipIf(missing !== undefined)(
  `the pipeline on vSphere${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    // One test, because each act stands on the one before it: played again, it begins with a world of its own.
    test('proves the archive on a clone, promotes a kit behind a snapshot of the VM, and takes LIVE back by its revert', async () => {
      await using world = await createVsphereWorld('', { director: 'director' });
      await using opened = await openVsphereContext(world);
      const { context } = opened;
      await refresh(context, 1000, 1);
      await promote(world, context);
      await goBack(world, context);
      await sql(world, 'insert into orders (total) values (5)');
      await refresh(context, 1004, 2);
      expect(await readdir(join(world.folder, 'mirror', 'log'))).toEqual(
        expect.arrayContaining(['00000001', '00000002', '00000002.history']),
      );
      await smokeByVerb(world);
      await tellAndDestroy(world, context);
    }, 900_000);
  },
);

async function sql(world: VsphereWorld, text: string): Promise<Record<string, unknown>[]> {
  await using session = await world.session();
  return await session.query(text);
}

async function orders(world: VsphereWorld): Promise<unknown> {
  return (await sql(world, 'select count(*)::int as n from orders'))[0]!['n'];
}

async function refresh(context: Context, count: number, incarnation: number): Promise<RefreshResult> {
  const result = await runRefresh(context, { ...dora, machine: 'staging' });
  throwIfFailed(result);
  expect(result).toMatchObject({
    outcome: 'succeeded',
    proof: { grade: 5 },
    bearing: { incarnation, counts: { 'orders.n': String(count) } },
  });
  return result;
}

async function promote(world: VsphereWorld, context: Context): Promise<void> {
  const { ended } = await startRelease(context, { ...dora, kit: await writeKit(world) });
  expect(ended).toBeNull();
  const signed = await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  expect(closedConditions(signed.gate)).toEqual([]);
  await sql(world, 'insert into orders (total) values (1), (2), (3)');
  const result = await promoteRelease(context, dora);
  expect(result).toMatchObject({ outcome: 'promoted', error: null });
  expect(await world.vsphere.govc('snapshot.tree', '-vm', live)).toContain(result.promotion);
  expect(await sql(world, "select value from setting where key = 'users'")).toEqual([{ value: 'open' }]);
  expect(await orders(world)).toBe(1003);
}

/** After the opening: what would be lost must be named, and LIVE is on a new timeline before its log goes on. */
async function goBack(world: VsphereWorld, context: Context): Promise<void> {
  await sql(world, 'insert into orders (total) values (4)');
  await expect(rollBackRelease(context, dora)).rejects.toMatchObject({
    kind: 'gateClosed',
    details: { losses: { counts: { 'orders.n': '1003 → 1004' } } },
  });
  const [bearing] = await context.ledger.list({ kinds: ['live.bearing'] });
  const { position } = bearing!.payload as { position: string };
  const result = await rollBackRelease(context, { ...dora, loseChangesSince: position });
  expect(result).toMatchObject({
    outcome: 'rolledBack',
    takenBack: { incarnation: 2, back: { counts: true, version: true, fingerprint: true } },
  });
  expect(await orders(world)).toBe(1003);
  const disks = world.vsphere.guests;
  const id = await world.vsphere.guestOf(live);
  expect(await readdir(disks.disk(id, 'system'))).not.toContain('installed');
  // The VM's own boot script tried to start it, as a service manager would.
  expect(await readFile(join(disks.disk(id, 'data'), 'server.log'), 'utf8')).toContain(
    'must specify "restore_command"',
  );
}

async function smokeByVerb({ sitePath }: VsphereWorld): Promise<void> {
  const { signal } = new AbortController();
  const context = {
    signal,
    sitePath,
    json: true,
    yes: false,
    verbose: false,
    onProgress: silent,
    note: () => {},
  };
  for (const role of ['staging', 'live']) {
    const { exitCode, json } = await smokeVerb.run(context, { machine: role }, []);
    expect({ exitCode, json }).toMatchObject({ exitCode: 0, json: { ok: true, machine: { role } } });
  }
  // A machine that is no clone of ours.
  await expect(smokeVerb.run(context, { machine: 'staging', name: 'DC0_H0_VM1' }, [])).rejects.toBeInstanceOf(
    ClonaError,
  );
}

async function tellAndDestroy(world: VsphereWorld, context: Context): Promise<void> {
  const status = await readStatus(context);
  expect(status).toMatchObject({ archive: { newestProven: { grade: 5 } } });
  expect(status.archive.rpoSeconds).not.toBeNull();
  const step = createStep(context, 'test', 'test/destroy', new AbortController().signal);
  await context.operations.destroyStaging(step, 'staging');
  expect(await world.vsphere.govc('find', '/', '-type', 'm', '-name', 'staging')).toBe('');
}
