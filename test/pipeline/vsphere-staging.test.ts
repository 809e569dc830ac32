import { rm } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openVim } from '../../src/machines/vsphere/client.ts';
import { sumCosts } from '../../src/machines/vsphere/costs.ts';
import { listStagingMachines } from '../../src/machines/vsphere/list.ts';
import { resolveVimAddress } from '../../src/pipeline/vsphere/site-settings.ts';
import { makeVsphereStaging, removeVsphereStaging } from '../../src/pipeline/vsphere/staging-machine.ts';
import { makeTestFolder } from '../support/machine.ts';
import { findTestToolchain } from '../support/toolchain.ts';
import { findVcsim, startVcsim, type Vcsim } from '../support/vcsim.ts';
import { completeLive, writeVsphereSite } from '../support/vsphere-site.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && findVcsim() !== undefined;
const missing = isHere ? '' : ' (Pulumi or vcsim is not here, set CLONA_TOOLCHAIN)';
const database = { engine: 'postgres', database: 'erp', user: 'postgres', port: 5432 } as const;

describe.skipIf(!isHere)(`a staging machine of a site on vSphere${missing}`, () => {
  let vcsim: Vcsim;
  let folder: string;
  const optionsOf = (name: string) => ({ folder, name, signal, toolchain });
  beforeAll(async () => {
    vcsim = await startVcsim(['-pod', '1']);
    completeLive(vcsim);
    folder = await makeTestFolder();
  });
  afterAll(async () => {
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('is waited for until its guest has an address, and costs what vSphere says', async () => {
    const site = await writeVsphereSite(folder, vcsim, ['folder: staging']);
    vcsim.govc('folder.create', '/DC0/vm/staging');
    const steps: string[] = [];
    const making = makeVsphereStaging(
      site,
      { ...optionsOf('erp-1'), onProgress: ({ step }) => void steps.push(step) },
      database,
    );
    while (!steps.includes('wait for erp-1')) await Promise.race([wait(50), making]);
    vcsim.govc('vm.change', '-vm', 'erp-1', '-e', 'SET.guest.ipAddress=127.0.0.9');
    expect(await making).toMatchObject({
      name: 'erp-1',
      power: 'on',
      isolation: 'network',
      guest: { endpoint: { kind: 'tcp', host: '127.0.0.9', port: 22 } },
    });
    await using vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
    const listed = await listStagingMachines(vim, 'erp', signal);
    expect(listed.map(({ name }) => name)).toEqual(['erp-1']);
    expect(sumCosts(listed)).toEqual([
      { site: 'erp', machines: 1, cpus: 1, memoryMb: 32, diskBytes: expect.any(Number) },
    ]);
    expect(await listStagingMachines(vim, 'another', signal)).toEqual([]);
    await removeVsphereStaging(site, optionsOf('erp-1'), database);
    expect(await listStagingMachines(vim, undefined, signal)).toEqual([]);
  });

  test('a guest that never gets an address ends in a clear error, and the machine stays to be looked at', async () => {
    const site = await writeVsphereSite(folder, vcsim);
    await expect(makeVsphereStaging(site, optionsOf('mute'), database, {}, 500)).rejects.toThrow(
      '/DC0/vm/mute reported no address within 1 s',
    );
    await removeVsphereStaging(site, optionsOf('mute'), database);
    expect(vcsim.govc('find', '/', '-type', 'm', '-name', 'mute')).toBe('');
  });
});
