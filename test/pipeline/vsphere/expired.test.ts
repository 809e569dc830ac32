import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import { createStaging, destroyStaging } from '../../../src/machines/pulumi/staging.ts';
import { stagingOptions } from '../../../src/pipeline/local/staging-machine.ts';
import { openSite } from '../../../src/pipeline/open-site.ts';
import { vsphereStagingArgs } from '../../../src/pipeline/vsphere/site-settings.ts';
import { listJobs } from '../../../src/schedule/jobs.ts';
import { runVerb, type VerbOutcome } from '../../../src/serve/run-verb.ts';
import { loadSite } from '../../../src/site/load.ts';
import type { Site } from '../../../src/site/site.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { findTestToolchain, repository } from '../../support/toolchain.ts';
import { findVcsim, startVcsim, type Vcsim } from '../../support/vcsim.ts';
import { completeLive, writeVsphereSite } from '../../support/vsphere-site.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && findVcsim() !== undefined;
const missing = isHere ? '' : ' (Pulumi or vcsim is not here, set CLONA_TOOLCHAIN)';
const database = { engine: 'postgres', database: 'postgres', user: 'postgres', port: 5432 } as const;
const [past, future] = ['2020-01-01T00:00:00.000Z', '2099-01-01T00:00:00.000Z'];

describe.skipIf(!isHere)(`staging machines on vSphere whose time has passed${missing}`, () => {
  let vcsim: Vcsim;
  let folder: string;
  let site: Site;

  const settings = async (name: string, more: Partial<LiveStagingArgs>) => {
    const step = { signal, onProgress: () => {} };
    const options = { ...(await stagingOptions(site, name, step)), toolchain };
    const args = await vsphereStagingArgs(site, name, database);
    return { options, args: { ...args, timeToLiveMs: undefined, ...more } };
  };
  /** As `clona serve` and the timers call it: the same command, in a process of its own. */
  const clona = async (args: readonly string[]): Promise<VerbOutcome> => {
    const command = [
      '/usr/bin/env',
      `PATH=${dirname(process.execPath)}:${toolchain?.path}`,
      process.execPath,
      join(repository, 'bin/clona.js'),
    ];
    return runVerb({ command, siteFile: site.file, folder }, args, signal);
  };
  const machines = (): string[] =>
    vcsim
      .govc('find', '/DC0/vm', '-type', 'm')
      .trim()
      .split('\n')
      .map((path) => path.split('/').at(-1) ?? '')
      .toSorted();

  beforeAll(async () => {
    vcsim = await startVcsim();
    completeLive(vcsim);
    folder = await makeTestFolder();
    const { file } = await writeVsphereSite(folder, vcsim);
    await writeFile(file, `${await readFile(file, 'utf8')}\nschedule: { destroy: '0 6 * * *' }\n`);
    site = await loadSite(file);
    // One by one: without a delay of its own the simulator now and then loses the end of one of several tasks at once.
    for (const [name, more] of [
      ['old', { expiresAt: past }],
      ['guarded', { expiresAt: past, protect: true }],
      ['held', { expiresAt: past }],
      ['young', { expiresAt: future }],
      // Of another site on the same vCenter: none of our business.
      ['theirs', { expiresAt: past, labels: { site: 'shop' } }],
    ] as const) {
      const { options, args } = await settings(name, more);
      await createStaging(options, args);
    }
    await using opened = await openSite(file, signal);
    const payload = { initiator: 'amra', source: 'kit', refresh: 'refresh-2', machine: 'held' };
    const key = 'release-1/start';
    await opened.ledger.append({ kind: 'release.started', run: 'release-1', key, payload }, new Date());
  });
  afterAll(async () => {
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('cost what status says, by site', async () => {
    const { exitCode, answer, said } = await clona(['status']);
    expect({ exitCode, said }).toMatchObject({ exitCode: 0 });
    expect((answer as { costs: unknown[] }).costs).toEqual([
      { site: 'erp', machines: 4, cpus: 4, memoryMb: 128, diskBytes: expect.any(Number) },
      { site: 'shop', machines: 1, cpus: 1, memoryMb: 32, diskBytes: expect.any(Number) },
    ]);
  });

  test('are destroyed by the schedule; protected ones stay, and those that a release holds', async () => {
    const before = machines();
    const job = listJobs(site).find(({ name }) => name === 'destroy');
    expect(job).toMatchObject({ cron: '0 6 * * *', args: ['destroy', '--expired', '--yes'] });
    const { exitCode, answer, said } = await clona(job?.args ?? []);
    expect({ exitCode, said }).toMatchObject({ exitCode: 0 });
    expect(answer).toEqual({
      ok: false,
      destroyed: before.includes('old') ? ['old'] : [],
      kept: [
        { machine: 'held', reason: 'release release-1 holds it until it ends' },
        { machine: 'guarded', reason: 'it is protected' },
      ],
    });
    expect(machines()).toEqual(before.filter((name) => name !== 'old'));
    await using opened = await openSite(site.file, signal);
    const records = await opened.ledger.list({ kinds: ['staging.destroyed'] });
    expect(records.map(({ payload }) => payload)).toEqual([
      expect.objectContaining({ machine: 'old', expired: true }),
    ]);
  });

  test('one that another state made is named, and does not keep the others', async () => {
    const elsewhere = await settings('foreign', { expiresAt: past });
    const other = { ...elsewhere.options, stateFolder: join(folder, 'laptop') };
    await createStaging(other, elsewhere.args);
    const again = await settings('second', { expiresAt: past });
    await createStaging(again.options, again.args);
    const { exitCode, said } = await clona(['destroy', '--expired', '--yes']);
    expect(exitCode).toBe(6);
    expect(said).toContain('machine "foreign" is still there: another stack or program made it');
    expect(machines()).toContain('foreign');
    expect(machines()).not.toContain('second');
    await destroyStaging(other, elsewhere.args);
  });

  test('production is never among them, not even with marks of staging on it', async () => {
    for (const [name, value] of [
      ['clona.site', 'erp'],
      ['clona.source', 'x'],
      ['clona.expires', past],
    ] as const) {
      vcsim.govc('fields.set', name, value, '/DC0/vm/DC0_H0_VM0');
    }
    const { answer } = await clona(['destroy', '--expired', '--yes']);
    expect(JSON.stringify(answer)).toContain('{"machine":"DC0_H0_VM0","reason":"it is production"}');
    expect(machines()).toContain('DC0_H0_VM0');
  });
});
