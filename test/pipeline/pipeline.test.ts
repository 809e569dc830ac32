import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLines, writeExport } from '../../src/control/ledger-export.ts';
import { verifyExport } from '../../src/control/ledger-verify.ts';
import { ClonaError } from '../../src/errors.ts';
import { closedConditions } from '../../src/gate/gate.ts';
import { becomeWorker, closeWorker, type Context } from '../../src/pipeline/context.ts';
import {
  promoteRelease,
  refuseUnnamedLosses,
  rollBackRelease,
  runRefresh,
  startRelease,
} from '../../src/pipeline/runs.ts';
import { abandonRelease, sign, tickChecklist } from '../../src/pipeline/signing.ts';
import { readSiteState } from '../../src/pipeline/site-state.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';
import { createFileOperations, type FileOperations } from './file-operations.ts';
import { openTestContext, type TestContextOptions } from './test-context.ts';

let cluster: TestCluster;
let root: string;
let count = 0;

beforeAll(async () => {
  cluster = await createTestCluster();
  root = await mkdtemp(join(tmpdir(), 'clona-pipeline-'));
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

/** A site of its own: world, ledger, workflows. */
async function freshSite(
  changes: Partial<TestContextOptions> = {},
): Promise<{ context: Context; world: FileOperations; folder: string }> {
  count += 1;
  const folder = join(root, `site-${count}`);
  const world = createFileOperations(folder);
  const options = { site: `site-${count}`, folder, address: cluster.address, operations: world, ...changes };
  return { context: await openTestContext(options), world, folder };
}

const dora = { by: 'dora' };

async function releaseToWords(context: Context, kit: string): Promise<string> {
  await runRefresh(context, { ...dora, machine: 'staging' });
  const { release, ended } = await startRelease(context, { ...dora, kit });
  expect(ended).toBeNull();
  await tickChecklist(context, dora);
  return release;
}

async function confirmAll(context: Context): Promise<void> {
  await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  await sign(context, { department: 'warehouse', by: 'wim', word: 'confirm' });
}

describe('a refresh', () => {
  test('waits while the guard of the zones holds refreshes, and goes on when it lets them', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    const note = async (kind: string, zone: string): Promise<unknown> =>
      context.ledger.append({ kind, run: null, key: null, payload: { zone, action: null } }, new Date());
    await note('zone.changed', 'yellow');
    await note('zone.hold-refreshes', 'yellow');
    await expect(runRefresh(context, { ...dora, machine: 'staging' })).rejects.toMatchObject({
      kind: 'locked',
      message: 'refreshes wait: the yellow zone of the archive or log area is reached',
    });
    expect(Object.keys(world.read().machines)).toEqual(['live']);
    await note('zone.release-refreshes', 'green');
    const { outcome } = await runRefresh(context, { ...dora, machine: 'staging' });
    expect(outcome).toBe('succeeded');
  });
});

describe('a release', () => {
  test('goes from a fresh staging over words to LIVE, and all of it is evidence that verifies', async () => {
    const { context, world, folder } = await freshSite();
    await using _ = context;
    const release = await releaseToWords(context, 'good@2.1');
    await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
    const { gate } = await sign(context, {
      department: 'warehouse',
      by: 'dora',
      onBehalfOf: 'wanda',
      word: 'confirm',
    });
    expect(closedConditions(gate)).toEqual([]);
    const result = await promoteRelease(context, dora);
    expect(result).toMatchObject({ outcome: 'promoted', release });
    expect(world.read()).toMatchObject({
      isOpenForUsers: true,
      machines: { live: { version: '2.1', orders: 100 } },
      told: ['signoffWanted', 'gateOpen', 'promoted'],
    });
    expect((await readSiteState(context.ledger)).releases).toMatchObject([
      { id: release, state: 'promoted' },
    ]);
    const path = join(folder, 'evidence.jsonl');
    await writeExport(path, context.ledger.read(), await context.ledger.head(), context.signal);
    expect(await verifyExport(readLines(path, context.signal))).toMatchObject({ ok: true });
  });

  test('of a kit that breaks something on staging ends there, and LIVE is untouched', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    for (const [kit, closes] of [
      ['breaks-sql@2.0', 'upgradeSucceeded'],
      ['breaks-invariant@2.0', 'smokePassed'],
    ] as const) {
      await runRefresh(context, { ...dora, machine: 'staging' });
      const { ended } = await startRelease(context, { ...dora, kit });
      expect(ended).toMatchObject({ state: 'failed', gate: { open: false } });
      expect(closedConditions(ended!.gate!).map(({ name }) => name)).toContain(closes);
      await expect(promoteRelease(context, dora)).rejects.toMatchObject({ kind: 'usage' });
    }
    expect(world.read().effects.filter((effect) => /live|close/.test(effect))).toEqual([]);
  });

  test('of a kit that is refused as it comes leaves staging fresh for the mended one', async () => {
    const { context, world, folder } = await freshSite();
    await using _ = context;
    await runRefresh(context, { ...dora, machine: 'staging' });
    const inOrder = createFileOperations(folder);
    world.readKit = async () => {
      throw new ClonaError('kitInvalid', 'kit.yaml has no version');
    };
    expect((await startRelease(context, { ...dora, kit: 'good@2.1' })).ended).toMatchObject({
      state: 'failed',
      error: { kind: 'kitInvalid' },
    });
    world.readKit = async (step, source) => inOrder.readKit(step, source);
    expect((await startRelease(context, { ...dora, kit: 'good@2.1' })).ended).toBeNull();
  });

  test('waits for nothing that the gate does not ask, and is refused while a condition is closed', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    await releaseToWords(context, 'good@2.1');
    const result = await promoteRelease(context, dora);
    expect(result.outcome).toBe('refused');
    expect(closedConditions(result.gate!).map(({ name }) => name)).toEqual(['departmentsConfirmed']);
    expect(world.read().effects).not.toContain('close');
    await confirmAll(context);
    expect((await promoteRelease(context, dora)).outcome).toBe('promoted');
  });

  test('takes no word from who may not give it, none before the request, none about something else', async () => {
    const { context, folder } = await freshSite();
    await using _ = context;
    await runRefresh(context, { ...dora, machine: 'staging' });
    await startRelease(context, { ...dora, kit: 'good@2.1' });
    const anna = { department: 'accounting', by: 'anna', word: 'confirm' } as const;
    await expect(sign(context, anna)).rejects.toThrow('were not asked yet');
    await expect(tickChecklist(context, { by: 'mallory' })).rejects.toMatchObject({ kind: 'signoffRefused' });
    await tickChecklist(context, dora);
    await expect(sign(context, { ...anna, by: 'dora' })).rejects.toMatchObject({ kind: 'signoffRefused' });
    await expect(sign(context, { ...anna, by: 'wim' })).rejects.toMatchObject({ kind: 'signoffRefused' });
    await sign(context, anna);
    await writeFile(join(folder, 'kit-changed'), '');
    await expect(sign(context, { ...anna, department: 'warehouse', by: 'wim' })).rejects.toThrow(
      'the kit changed',
    );
    const { gate } = await promoteRelease(context, dora);
    expect(closedConditions(gate!).map(({ name }) => name)).toContain('kitUnchanged');
  });

  test('is closed by a refusal, and by LIVE having changed since', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    await releaseToWords(context, 'good@2.1');
    await confirmAll(context);
    await sign(context, { department: 'warehouse', by: 'wanda', word: 'refuse', comment: 'labels are cut' });
    const refused = await promoteRelease(context, dora);
    expect(closedConditions(refused.gate!)).toMatchObject([
      { name: 'nobodyRefused', reason: expect.stringContaining('labels are cut') },
    ]);
    await sign(context, { department: 'warehouse', by: 'wanda', word: 'confirm' });
    world.meddle(({ machines }) => (machines['live']!.schema = 'patched'));
    const drifted = await promoteRelease(context, dora);
    expect(drifted.outcome).toBe('refused');
    expect(closedConditions(drifted.gate!).map(({ name }) => name)).toEqual(['liveUnchanged']);
  });

  test('holds its staging machine: a refresh takes another and says so, until the release is given up', async () => {
    const { context } = await freshSite();
    await using _ = context;
    const release = await releaseToWords(context, 'good@2.1');
    const other = await runRefresh(context, { ...dora, machine: 'staging' });
    expect(other).toMatchObject({ machine: 'staging-2', insteadOf: `staging is held by release ${release}` });
    await abandonRelease(context, dora);
    expect((await runRefresh(context, { ...dora, machine: 'staging' })).machine).toBe('staging');
  });
});

describe('a promotion that fails', () => {
  test.each(['fails-on-live@2.2', 'smoke-fails-on-live@2.9'])(
    'with %s takes LIVE back to P on a new incarnation and opens it',
    async (kit) => {
      const { context, world } = await freshSite();
      await using _ = context;
      await releaseToWords(context, kit);
      await confirmAll(context);
      world.meddle(({ machines }) => (machines['live']!.orders += 7));
      const result = await promoteRelease(context, dora);
      expect(result).toMatchObject({
        outcome: 'rolledBack',
        takenBack: { incarnation: 2, back: { counts: true, version: true, fingerprint: true } },
      });
      expect(world.read()).toMatchObject({
        isOpenForUsers: true,
        machines: { live: { version: '2.0', orders: 107, incarnation: 2, snapshots: {} } },
      });
      expect((await readSiteState(context.ledger)).held.size).toBe(0);
    },
  );

  test('before the first change opens LIVE as it was', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    await releaseToWords(context, 'good@2.1');
    await confirmAll(context);
    const broken = { ...world, drain: async () => Promise.reject(new Error('somebody prints')) };
    context.operations = broken;
    await closeWorker(context);
    const result = await promoteRelease(context, dora);
    expect(result).toMatchObject({ outcome: 'withdrawn', error: { message: 'somebody prints' } });
    expect(world.read()).toMatchObject({
      isOpenForUsers: true,
      machines: { live: { version: '2.0', incarnation: 1 } },
    });
    context.operations = world;
    await closeWorker(context);
    expect((await promoteRelease(context, dora)).outcome).toBe('promoted');
  });

  test('and cannot be proven back leaves LIVE closed, until a rollback proves it', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    await releaseToWords(context, 'fails-on-live@2.2');
    await confirmAll(context);
    context.operations = {
      ...world,
      revert: async (step, name, snapshot) => {
        await world.revert(step, name, snapshot);
        if (name === 'live') world.meddle(({ machines }) => (machines['live']!.orders -= 1));
      },
    };
    await closeWorker(context);
    const result = await promoteRelease(context, dora);
    expect(result).toMatchObject({ outcome: 'failed', error: { kind: 'promotionRolledBack' } });
    expect(world.read().isOpenForUsers).toBe(false);
    context.operations = world;
    await closeWorker(context);
    expect(await rollBackRelease(context, dora)).toMatchObject({ outcome: 'rolledBack' });
    expect(world.read()).toMatchObject({ isOpenForUsers: true, machines: { live: { orders: 100 } } });
  });
});

test('a release waits on while its process gives the site away and takes it again', async () => {
  const { context } = await freshSite();
  await using _ = context;
  await releaseToWords(context, 'good@2.1');
  for (let round = 0; round < 8; round += 1) {
    await closeWorker(context);
    await becomeWorker(context, { who: 'dora', what: 'signoff' });
  }
  const kinds = (await context.ledger.list()).map(({ kind }) => kind);
  expect(kinds).not.toContain('release.ended');
  expect(kinds).not.toContain('step.failed');
  await confirmAll(context);
  expect((await promoteRelease(context, dora)).outcome).toBe('promoted');
});

describe('an interrupted promotion', () => {
  test.each([
    ['before the first change opens LIVE as it was', 'drain', 'withdrawn', '2.0', 1],
    ['after the first change takes LIVE back', 'applyKit', 'rolledBack', '2.0', 2],
  ] as const)('%s', async (_how, at, outcome, version, incarnation) => {
    const stop = new AbortController();
    const { context, world } = await freshSite({ signal: stop.signal });
    await using _ = context;
    await releaseToWords(context, 'good@2.1');
    await confirmAll(context);
    await closeWorker(context);
    const interrupt = async (): Promise<never> => {
      stop.abort(new ClonaError('interrupted', 'interrupted'));
      throw new Error('the connection was closed');
    };
    context.operations = { ...world, [at]: interrupt };
    const result = await promoteRelease(context, dora);
    expect(result).toMatchObject({ outcome, error: { kind: 'interrupted' } });
    expect(world.read()).toMatchObject({
      isOpenForUsers: true,
      machines: { live: { version, incarnation } },
    });
  });
});

describe('a rollback after the opening', () => {
  test('is refused unless the position whose changes are lost is named', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    await releaseToWords(context, 'good@2.1');
    await confirmAll(context);
    const { bearing } = await promoteRelease(context, dora);
    world.meddle(({ machines }) => (machines['live']!.orders += 5));
    for (const loseChangesSince of [undefined, '1']) {
      await expect(rollBackRelease(context, { ...dora, loseChangesSince })).rejects.toMatchObject({
        kind: 'gateClosed',
        details: { losses: { transactions: '5' } },
      });
    }
    // The same answer without the site: somebody only wants to know.
    await expect(refuseUnnamedLosses(context, undefined)).rejects.toMatchObject({
      kind: 'gateClosed',
      hint: expect.stringContaining(`--lose-changes-since ${bearing!.position}`),
    });
    const result = await rollBackRelease(context, { ...dora, loseChangesSince: bearing!.position });
    expect(result).toMatchObject({ outcome: 'rolledBack', losses: { transactions: '5' } });
    await expect(refuseUnnamedLosses(context, undefined)).rejects.toThrow('no release was promoted');
    expect(world.read()).toMatchObject({
      machines: { live: { version: '2.0', orders: 100, incarnation: 2 } },
    });
    expect((await readSiteState(context.ledger)).releases.at(-1)?.state).toBe('rolledBack');
  });

  test('closes nothing when the snapshot to go back to is gone', async () => {
    const { context, world } = await freshSite();
    await using _ = context;
    await releaseToWords(context, 'good@2.1');
    await confirmAll(context);
    const { bearing } = await promoteRelease(context, dora);
    world.meddle(({ machines }) => (machines['live']!.snapshots = {}));
    const rollback = rollBackRelease(context, { ...dora, loseChangesSince: bearing!.position });
    await expect(rollback).rejects.toThrow('is gone');
    expect(world.read().isOpenForUsers).toBe(true);
  });
});
