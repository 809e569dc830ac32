import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import { createStaging, destroyStaging, previewStaging } from '../../../src/machines/pulumi/staging.ts';
import { warnOfBase } from '../../../src/machines/vsphere/base-snapshot.ts';
import { vsphereStagingArgs } from '../../../src/pipeline/vsphere/site-settings.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { findTestToolchain } from '../../support/toolchain.ts';
import { findVcsim, startVcsim, type Vcsim } from '../../support/vcsim.ts';
import { completeLive, liveName, writeVsphereSite } from '../../support/vsphere-site.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && findVcsim() !== undefined;
const missing = isHere ? '' : ' (Pulumi or vcsim is not here, set CLONA_TOOLCHAIN)';

describe.skipIf(!isHere)(`linked clones on vSphere${missing}`, () => {
  let vcsim: Vcsim;
  let folder: string;
  const database = { engine: 'postgres', database: 'erp', user: 'postgres', port: 5432 } as const;
  const optionsOf = (name: string) => ({ folder, name, signal, toolchain });
  const argsOf = async (name: string, clone = 'linked'): Promise<LiveStagingArgs> =>
    vsphereStagingArgs(await writeVsphereSite(folder, vcsim, [`clone: ${clone}`]), name, database);
  const snapshots = (): string[] =>
    Array.from(vcsim.govc('snapshot.tree', '-vm', liveName).matchAll(/[\w-]+/g), ([name]) => name);

  beforeAll(async () => {
    vcsim = await startVcsim();
    completeLive(vcsim);
    folder = await makeTestFolder();
  });
  afterAll(async () => {
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('a source with a snapshot of its own is refused before any change', async () => {
    vcsim.govc('snapshot.create', '-vm', liveName, 'theirs');
    await expect(createStaging(optionsOf('one'), await argsOf('one'))).rejects.toThrow(
      `${liveName} cannot be cloned: a linked clone needs "clona-base" to be its only snapshot, it also has "theirs"`,
    );
    expect(snapshots()).toEqual(['theirs']);
    vcsim.govc('snapshot.remove', '-vm', liveName, 'theirs');
  });

  test('several share one base snapshot, which the last of them takes with it', async () => {
    const [one, two] = [await argsOf('one'), await argsOf('two')];
    expect(await previewStaging(optionsOf('one'), one)).toEqual({ create: 4 });
    expect(snapshots()).toEqual([]);
    await createStaging(optionsOf('one'), one);
    await createStaging(optionsOf('two'), two);
    expect(snapshots()).toEqual(['clona-base']);
    expect(vcsim.govc('fields.info', '-n', 'clona.base', 'vm/one')).toContain('snapshot-');
    expect(await previewStaging(optionsOf('two'), two)).toEqual({ same: 4 });
    await destroyStaging(optionsOf('one'), one);
    expect(snapshots()).toEqual(['clona-base']);
    // Whatever the site says by then.
    await destroyStaging(optionsOf('two'), await argsOf('two', 'full'));
    expect(snapshots()).toEqual([]);
  });

  test('the base deleted by hand: the clone that is there goes on, the next one gets a new base', async () => {
    const [three, four] = [await argsOf('three'), await argsOf('four')];
    await createStaging(optionsOf('three'), three);
    vcsim.govc('snapshot.remove', '-vm', liveName, 'clona-base');
    expect(await previewStaging(optionsOf('three'), three)).toEqual({ same: 4 });
    expect((await createStaging(optionsOf('three'), three)).changes).toEqual({ same: 4 });
    expect(snapshots()).toEqual([]);
    await createStaging(optionsOf('four'), four);
    expect(snapshots()).toEqual(['clona-base']);
    const full = await argsOf('four', 'full');
    expect((await createStaging(optionsOf('four'), full)).changes).toMatchObject({ replace: 1 });
    expect(snapshots()).toEqual([]);
    await destroyStaging(optionsOf('four'), full);
    await destroyStaging(optionsOf('three'), three);
    expect(snapshots()).toEqual([]);
  });
});

test('a base snapshot is warned of once it is 72 hours old', () => {
  const base = { id: 'snapshot-1', createdAt: '2026-01-01T00:00:00Z' };
  expect(warnOfBase(base, 'erp', new Date('2026-01-03T23:59:59Z'))).toBeUndefined();
  expect(warnOfBase(base, 'erp', new Date('2026-01-04T00:00:00Z'))).toContain('of erp is 72 hours old');
});
