import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { promoteRelease, runRefresh, startRelease } from '../../src/pipeline/runs.ts';
import { connect } from '../../src/databases/postgres/connect.ts';
import { createDeferred } from '../../src/pipeline/deferred.ts';
import type { Operations } from '../../src/pipeline/operations.ts';
import { wakeRelease } from '../../src/pipeline/wake.ts';
import { readSiteState } from '../../src/pipeline/site-state.ts';
import { sign } from '../../src/pipeline/signing.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';
import { createFileOperations } from './file-operations.ts';
import { openTestContext } from './test-context.ts';

const script = new URL('./other-host.ts', import.meta.url).pathname;
let cluster: TestCluster;
let root: string;
let child: ChildProcess | undefined;

beforeAll(async () => {
  cluster = await createTestCluster();
  root = await mkdtemp(join(tmpdir(), 'clona-restart-'));
});
afterAll(async () => {
  child?.kill('SIGKILL');
  await cluster[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

async function startElsewhere(site: string): Promise<string> {
  const folder = join(root, site);
  const order = JSON.stringify({ folder, address: cluster.address, site });
  const env = { ...process.env, DBOS__VMID: 'another-host', DBOS__APPVERSION: 'another-build' };
  child = spawn(process.execPath, [script, order], { env, cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
  for await (const chunk of child.stdout!) if (String(chunk).includes('waiting')) break;
  return folder;
}

test('a release that waits for signatures outlives its process, its host and its build', async () => {
  const folder = await startElsewhere('upgraded');
  const gone = once(child!, 'exit');
  child!.kill('SIGKILL');
  await gone;
  const world = createFileOperations(folder);
  const before = world.read().effects;
  await using context = await openTestContext({
    site: 'upgraded',
    folder,
    address: cluster.address,
    operations: world,
  });
  await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  const { gate } = await sign(context, { department: 'warehouse', by: 'wim', word: 'confirm' });
  expect(gate.open).toBe(true);
  expect((await promoteRelease(context, { by: 'dora' })).outcome).toBe('promoted');
  // The very same release went on: nothing of it was done again on staging.
  expect(world.read().effects.slice(0, before.length)).toEqual(before);
  expect(world.read().effects.filter((effect) => effect.startsWith('install-staging'))).toHaveLength(1);
});

test('a release asked for again after its process was killed is the same one', async () => {
  const folder = await startElsewhere('again');
  const gone = once(child!, 'exit');
  child!.kill('SIGKILL');
  await gone;
  const world = createFileOperations(folder);
  await using context = await openTestContext({
    site: 'again',
    folder,
    address: cluster.address,
    operations: world,
  });
  const { releases } = await readSiteState(context.ledger);
  const again = await startRelease(context, { kit: releases[0]!.source, by: 'dora' });
  expect(again).toEqual({ release: releases[0]!.id, ended: null });
  await expect(startRelease(context, { kit: 'another kit', by: 'dora' })).rejects.toMatchObject({
    message: 'no staging machine is fresh and free',
  });
});

test('what the loss of the site breaks off is no failure of the release', async () => {
  const folder = await startElsewhere('closing');
  const gone = once(child!, 'exit');
  child!.kill('SIGKILL');
  await gone;
  const world = createFileOperations(folder);
  const looking = createDeferred<void>();
  const broken = createDeferred<void>();
  const common = { site: 'closing', folder, address: cluster.address };
  {
    // LIVE is looked at for as long as this process has the site; then the connection breaks.
    const observe: Operations['observe'] = async ({ signal }) => {
      looking.resolve();
      await once(signal, 'abort');
      broken.resolve();
      throw new Error('Connection terminated unexpectedly');
    };
    await using context = await openTestContext({ ...common, operations: { ...world, observe } });
    const { release } = await startRelease(context, { kit: 'good@2.1', by: 'dora' });
    await wakeRelease(context, release);
    await looking.promise;
    await using session = await connect(cluster.address, AbortSignal.timeout(20_000));
    await session.query("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
    await broken.promise;
    // What would be remembered of it is remembered now.
    await session.query('SELECT pg_sleep(0.2)');
  }
  await using context = await openTestContext({ ...common, operations: world });
  await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  const { gate } = await sign(context, { department: 'warehouse', by: 'wim', word: 'confirm' });
  expect(gate.open).toBe(true);
  expect(await context.ledger.list({ kinds: ['release.ended', 'step.failed'] })).toEqual([]);
});

test('a word reaches a release that waits in another process, and that process acts on it', async () => {
  const folder = await startElsewhere('elsewhere');
  const world = createFileOperations(folder);
  await using context = await openTestContext({
    site: 'elsewhere',
    folder,
    address: cluster.address,
    operations: world,
  });
  await expect(runRefresh(context, { by: 'ben', machine: 'staging' })).rejects.toMatchObject({
    kind: 'locked',
    details: { who: 'dora', pid: child!.pid },
  });
  await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  await sign(context, { department: 'warehouse', by: 'wim', word: 'confirm' });
  await expect.poll(() => world.read().told, { timeout: 20_000 }).toContain('gateOpen');
});
