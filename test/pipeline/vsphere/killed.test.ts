import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { launcherFile } from '../../../src/cli/launcher.ts';
import { placeControl } from '../../../src/control/place.ts';
import { stopServer } from '../../../src/databases/postgres/server.ts';
import {
  createVsphereWorld,
  whyNoVsphereWorld,
  writeKit,
  type VsphereWorld,
} from '../../support/vsphere-world.ts';

const missing = await whyNoVsphereWorld();
const long = process.env['CLONA_LONG_TESTS'] !== undefined;
const live = 'DC0_H0_VM0';

describe.skipIf(missing !== undefined || !long)(
  `runs on vSphere that were killed${missing === undefined ? ' (with CLONA_LONG_TESTS=1)' : ` (${missing})`}`,
  () => {
    test('are carried on by the next verb, from the clone to the revert of LIVE', async () => {
      await using world = await createVsphereWorld();
      await using _control = stopControlAfterwards(world);
      await clona(world, ['refresh', '--verbose'], /create vsphere:index/);
      await clona(world, ['refresh', '--verbose'], /unpack and verify/);
      expect((await clona(world, ['refresh'])).code).toBe(0);
      const kit = await writeKit(world);
      expect((await clona(world, ['release', '--kit', kit])).code).toBe(0);
      await clona(world, ['signoff', '--department', 'accounting', '--as', 'anna', '--confirm']);
      const promote = ['promote', '--yes', '--verbose'];
      await clona(world, promote, /guard backup of LIVE/);
      await clona(world, promote, /kit: migrate/);
      expect((await clona(world, promote)).code).toBe(0);
      const disk = world.vsphere.guests.disk(await world.vsphere.guestOf(live), 'data');
      expect(await readdir(join(disk, 'pg'))).not.toContain('recovery.signal');
      const refused = await clona(world, ['rollback', '--yes']);
      const [, position = ''] = /--lose-changes-since (\d+)/.exec(refused.said) ?? [];
      const rollback = ['rollback', '--yes', '--verbose', '--lose-changes-since', position];
      await clona(world, rollback, /take LIVE back/);
      expect((await clona(world, rollback)).code).toBe(0);
      await using session = await world.session();
      const [row] = await session.query(
        "select count(*)::int as orders, (select value from setting where key = 'users') as users, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline from orders",
      );
      expect(row).toEqual({ orders: 1000, users: 'open', timeline: '00000002' });
    }, 1_200_000);
  },
);

function stopControlAfterwards({ state }: VsphereWorld): AsyncDisposable {
  const dataDir = join(placeControl(state).folder, 'data');
  return { [Symbol.asyncDispose]: async () => stopServer({ dataDir, mode: 'immediate' }) };
}

/** A verb in a process of its own, killed as soon as it has said something. */
async function clona(
  { sitePath }: VsphereWorld,
  args: readonly string[],
  killAt?: RegExp,
): Promise<{ code: number | null; said: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; said: string }>();
  const child = spawn(process.execPath, [launcherFile(), ...args, '--site', sitePath], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (killAt?.test(said) === true) child.kill('SIGKILL');
    });
  }
  child.once('close', (code) => resolve({ code, said }));
  return promise;
}
