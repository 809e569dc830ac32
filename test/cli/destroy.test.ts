import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalMachine } from '../../src/machines/local/create.ts';
import { destroyLocalMachine } from '../../src/machines/local/destroy.ts';
import { listLocalMachines } from '../../src/machines/local/local-machines.ts';
import { createStagingDirect } from '../../src/machines/pulumi/direct.ts';
import { createStaging } from '../../src/machines/pulumi/staging.ts';
import { stagingArgs, stagingOptions } from '../../src/pipeline/local/staging-machine.ts';
import { openSite } from '../../src/pipeline/open-site.ts';
import { findFreeStaging, readSiteState } from '../../src/pipeline/site-state.ts';
import { loadSite } from '../../src/site/load.ts';
import type { Site } from '../../src/site/site.ts';
import { listLeftovers, makeTestFolder } from '../support/machine.ts';
import { findTestToolchain, repository } from '../support/toolchain.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const missing = toolchain === undefined ? ' (Pulumi is not here, set CLONA_TOOLCHAIN)' : '';

const database = { database: 'erp', user: 'postgres' };

describe.skipIf(toolchain === undefined)(`clona destroy${missing}`, () => {
  let folder: string;
  let site: Site;
  const root = (): string => site.machines.root;

  beforeAll(async () => {
    folder = await makeTestFolder();
    await writeFile(
      join(folder, 'clona.yaml'),
      'name: shop\narchive:\n  location: archive\nstaging:\n  timeToLive: 1h\n',
    );
    site = await loadSite(join(folder, 'clona.yaml'));
    await createLocalMachine({ root: root(), name: 'live', role: 'live' }, signal);
  });
  afterAll(async () => {
    for (const { name } of await listLocalMachines({ root: root() })) {
      await destroyLocalMachine({ root: root(), name, force: true }, signal);
    }
    await rm(folder, { recursive: true, force: true });
  });

  const clone = async (name: string): Promise<void> => {
    const step = { signal, onProgress: () => {} };
    const options = { ...(await stagingOptions(site, name, step)), toolchain };
    await createStaging(options, stagingArgs(site, name, database));
  };
  const names = async (): Promise<string[]> =>
    (await listLocalMachines({ root: root() })).map(({ name }) => name);
  const clona = async (
    ...argv: string[]
  ): Promise<{ code: number; json: Record<string, unknown>; said: string }> =>
    new Promise((resolve) => {
      const all = [
        join(repository, 'bin/clona.js'),
        'destroy',
        '--site',
        join(folder, 'clona.yaml'),
        ...argv,
      ];
      const env = { ...process.env, PATH: toolchain?.path };
      execFile(process.execPath, [...all, '--json'], { env }, (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        resolve({ code, json: JSON.parse(stdout || '{}') as Record<string, unknown>, said: stderr });
      });
    });

  test('takes the staging machine of the site away, records it, and does so twice', async () => {
    await clone('staging');
    {
      await using opened = await openSite(site.file, signal);
      const now = new Date();
      const run = 'refresh-1';
      const add = async (kind: string, payload: Record<string, string | number>): Promise<unknown> =>
        opened.ledger.append({ kind, run, key: `${run}/${kind}`, payload }, now);
      await add('refresh.started', {});
      await add('staging.chosen', { machine: 'staging' });
      await add('refresh.ended', { outcome: 'succeeded', grade: 5 });
      expect(findFreeStaging(await readSiteState(opened.ledger))?.machine).toBe('staging');
    }
    expect(await clona('--yes')).toMatchObject({
      code: 0,
      json: { ok: true, destroyed: ['staging'], kept: [] },
    });
    expect(await listLeftovers(root(), 'staging')).toEqual([]);
    expect(await clona('--yes')).toMatchObject({ code: 0 });
    await using opened = await openSite(site.file, signal);
    const records = await opened.ledger.list({ kinds: ['staging.destroyed'] });
    expect(records[0]).toMatchObject({ payload: { machine: 'staging', expired: false } });
    // No release can be installed on what is gone.
    expect(findFreeStaging(await readSiteState(opened.ledger))).toBeNull();
  });

  test('without a confirmation nothing is destroyed', async () => {
    await clone('staging');
    expect(await clona()).toMatchObject({ code: 2, json: { error: { code: 'CLONA-0120' } } });
    expect(await names()).toContain('staging');
  });

  test('a lock that a crash left is explained, and cleared only on request', async () => {
    const locks = join(folder, '.clona/pulumi/.pulumi/locks/organization/clona/staging');
    await mkdir(locks, { recursive: true });
    const lock = {
      pid: 999_999_999,
      username: 'amra',
      hostname: hostname(),
      timestamp: '2026-01-02T03:04:05Z',
    };
    await writeFile(join(locks, 'left.json'), JSON.stringify(lock));
    const refused = await clona('--yes');
    expect(refused.code).toBe(7);
    expect(refused.said).toContain('is locked by process 999999999 of amra on');
    expect(refused.said).toContain('since 2026-01-02T03:04:05Z');
    expect(refused.said).toContain('--break-lock');
    expect(await names()).toContain('staging');
    expect(await clona('--yes', '--break-lock')).toMatchObject({ code: 0, json: { destroyed: ['staging'] } });
    expect(await names()).toEqual(['live']);
  });

  test('a machine whose stack was lost is taken away all the same; production never', async () => {
    await clone('staging');
    await rm(join(folder, '.clona/pulumi'), { recursive: true });
    await createStagingDirect('demo', stagingArgs(site, 'demo', database), signal);
    expect(await clona('staging', 'demo', 'live', '--yes')).toMatchObject({
      code: 3,
      json: {
        ok: false,
        destroyed: ['staging', 'demo'],
        kept: [{ machine: 'live', reason: 'it is production' }],
      },
    });
    expect(await names()).toEqual(['live']);
  });

  test('somebody else’s machine is named and stays', async () => {
    await createLocalMachine(
      { root: root(), name: 'foreign', role: 'staging', owner: 'urn:pulumi:x::other::y' },
      signal,
    );
    const refused = await clona('foreign', '--yes');
    expect(refused).toMatchObject({ code: 6 });
    expect(refused.said).toContain('another stack or program made it');
    expect(await names()).toContain('foreign');
    await destroyLocalMachine({ root: root(), name: 'foreign' }, signal);
  });

  test('by age it finds the expired ones; those that a release holds stay', async () => {
    const past = '2020-01-01T00:00:00.000Z';
    for (const name of ['old', 'held', 'young']) {
      await createStagingDirect(
        name,
        {
          ...stagingArgs(site, name, database),
          timeToLiveMs: undefined,
          expiresAt: name === 'young' ? '2099-01-01T00:00:00.000Z' : past,
        },
        signal,
      );
    }
    {
      await using opened = await openSite(site.file, signal);
      const payload = { initiator: 'amra', source: 'kit', refresh: 'refresh-2', machine: 'held' };
      await opened.ledger.append(
        { kind: 'release.started', run: 'release-1', key: 'release-1/start', payload },
        new Date(),
      );
    }
    expect(await clona('--expired', '--yes')).toMatchObject({
      code: 0,
      json: {
        destroyed: ['old'],
        kept: [{ machine: 'held', reason: 'release release-1 holds it until it ends' }],
      },
    });
    expect(await names()).toEqual(['held', 'live', 'young']);
    expect((await clona('held', '--yes')).code).toBe(3);
  });

  test('names and --expired exclude each other', async () => {
    expect(await clona('staging', '--expired')).toMatchObject({ code: 2 });
  });
});
