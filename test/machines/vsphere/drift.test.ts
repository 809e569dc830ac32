import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import { createStaging, destroyStaging, previewStaging } from '../../../src/machines/pulumi/staging.ts';
import type { StagingOptions } from '../../../src/machines/pulumi/staging-options.ts';
import { openStack } from '../../../src/machines/pulumi/workspace.ts';
import { vsphereStagingArgs } from '../../../src/pipeline/vsphere/site-settings.ts';
import { startCuttableProxy, type CuttableProxy } from '../../support/cuttable-proxy.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { findTestToolchain } from '../../support/toolchain.ts';
import { findVcsim, startVcsim, type Vcsim } from '../../support/vcsim.ts';
import { completeLive, liveName, writeVsphereSite } from '../../support/vsphere-site.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && findVcsim() !== undefined;
const missing = isHere ? '' : ' (Pulumi or vcsim is not here, set CLONA_TOOLCHAIN)';
/** Fifteen seconds, much like the test before it: with CLONA_LONG_TESTS=1 alone. */
const long = process.env['CLONA_LONG_TESTS'] !== undefined;
interface Resource {
  type: string;
}
const database = { engine: 'postgres', database: 'erp', user: 'postgres', port: 5432 } as const;

describe.skipIf(!isHere)(`a staging machine that people work on in vCenter${missing}`, () => {
  let vcsim: Vcsim;
  let proxy: CuttableProxy;
  let folder: string;
  let options: StagingOptions;
  let args: LiveStagingArgs;
  /** A repeated test finds no folder of the first try. */
  let tries = 0;
  beforeAll(async () => {
    vcsim = await startVcsim();
    completeLive(vcsim);
    // A second controller of the same kind, and one of another kind, each with a disk.
    for (const [add, kind] of [
      [['device.scsi.add', '-type', 'pvscsi'], 'pvscsi'],
      [['device.sata.add'], 'ahci'],
    ] as const) {
      const [verb = '', ...rest] = add;
      vcsim.govc(verb, '-vm', liveName, ...rest);
      const controller = devices(liveName, `${kind}-\\d+`).at(-1) ?? '';
      const disk = ['-name', `${liveName}/${kind}`, '-size', '1G', '-controller', controller];
      vcsim.govc('vm.disk.create', '-vm', liveName, ...disk);
    }
    proxy = await startCuttableProxy(vcsim.server);
    folder = await makeTestFolder();
    options = { folder, name: 'staging', signal, toolchain };
    const site = await writeVsphereSite(folder, { ...vcsim, server: proxy.server });
    args = await vsphereStagingArgs(site, 'staging', database);
  });
  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  function devices(machine: string, pattern: string): string[] {
    const listed = vcsim.govc('device.ls', '-vm', machine);
    return Array.from(listed.matchAll(new RegExp(`^${pattern}`, 'gm')), ([name]) => name);
  }
  const networks = (): string[] =>
    Array.from(
      vcsim.govc('device.ls', '-vm', 'staging').matchAll(/^ethernet-\S+ +\S+ +(.*)$/gm),
      ([, name = '']) => name,
    );
  const places = (): string[] =>
    vcsim
      .govc('find', '/DC0/vm', '-type', 'm')
      .trim()
      .split('\n')
      .filter((path) => !path.includes('/DC0_'));

  test('has the disks of production on the controllers of production, and is the same at a second look', async () => {
    await createStaging(options, args);
    expect(devices('staging', 'disk-\\S+')).toEqual(devices(liveName, 'disk-\\S+'));
    expect(devices('staging', '(?:pvscsi|ahci)-\\d+')).toEqual(devices(liveName, '(?:pvscsi|ahci)-\\d+'));
    expect(await previewStaging(options, args)).toEqual({ same: 4 });
  });

  test('with its card moved onto the network of production, and given a second one there, it is isolated again', async () => {
    await createStaging(options, args);
    vcsim.govc(
      'vm.network.change',
      '-vm',
      'staging',
      '-net',
      'DC0_DVPG0',
      ...devices('staging', 'ethernet-\\S+'),
    );
    vcsim.govc('vm.network.add', '-vm', 'staging', '-net', 'DC0_DVPG0');
    expect(networks()).toEqual([expect.stringContaining('DVSwitch'), expect.stringContaining('DVSwitch')]);
    expect((await createStaging(options, args)).changes).toMatchObject({ update: 1 });
    expect(new Set(networks())).toEqual(new Set(['VM Network']));
  });

  test.skipIf(!long)(
    'renamed and moved into another folder, it is the same machine and no second one is made',
    async () => {
      await createStaging(options, args);
      const uuid = vcsim.govc('object.collect', '-s', '/DC0/vm/staging', 'config.uuid');
      tries += 1;
      vcsim.govc('folder.create', `/DC0/vm/away-${tries}`);
      vcsim.govc('vm.change', '-vm', 'staging', '-name', 'renamed');
      vcsim.govc('object.mv', '/DC0/vm/renamed', `/DC0/vm/away-${tries}`);
      await createStaging(options, args);
      expect(places()).toEqual(['/DC0/vm/staging']);
      expect(vcsim.govc('object.collect', '-s', '/DC0/vm/staging', 'config.uuid')).toBe(uuid);
    },
  );

  test('gets its marks back when somebody deleted the tag and the attributes from the vCenter', async () => {
    await createStaging(options, args);
    vcsim.govc('tags.category.rm', '-f', 'clona');
    vcsim.govc('fields.rm', 'clona.expires');
    expect((await createStaging(options, args)).changes).toMatchObject({ update: 1 });
    expect(vcsim.govc('fields.info', '-n', 'clona.expires', '/DC0/vm/staging')).toMatch(/clona\.expires +20/);
    expect(vcsim.govc('tags.attached.ls', '-r', '/DC0/vm/staging').trim()).toBe('clona:staging');
    expect(await previewStaging(options, args)).toEqual({ same: 4 });
  });

  test('a state into which somebody put production changes nothing and deletes nothing', async () => {
    await createStaging(options, args);
    const environment = { VSPHERE_PASSWORD: vcsim.password };
    const { stack } = await openStack('staging', async () => {}, { ...options, environment });
    const own = await stack.exportStack();
    // Another try begins with the state as it was.
    await using _ = { [Symbol.asyncDispose]: async () => stack.importStack(own) };
    const uuidOf = (name: string): string =>
      vcsim.govc('object.collect', '-s', `/DC0/vm/${name}`, 'config.uuid').trim();
    for (const [victim, what] of [
      [liveName, 'which is production'],
      ['DC0_H0_VM1', 'which clona did not make'],
    ] as const) {
      const text = JSON.stringify(own.deployment).replaceAll(uuidOf('staging'), uuidOf(victim));
      await stack.importStack({ ...own, deployment: JSON.parse(text) });
      const before = vcsim.govc('vm.info', '-json', victim);
      const refused = { exitCode: 6, message: `the stack "staging" holds the machine ${victim}, ${what}` };
      for (const run of victim === liveName
        ? [createStaging, previewStaging, destroyStaging]
        : [createStaging])
        await expect(run(options, args)).rejects.toMatchObject(refused);
      // By hand no policy is asked: the mark in the state is what the engine itself heeds.
      await expect(stack.destroy()).rejects.toThrow(/cannot be deleted.*protected|protected/s);
      expect(vcsim.govc('vm.info', '-json', victim)).toBe(before);
    }
    // Beside the clone, as `pulumi import` puts it, and what is no machine at all.
    const [clone] = own.deployment.resources.filter(({ type }: Resource) => type.endsWith(':VirtualMachine'));
    for (const [resource, what] of [
      [{ ...clone, id: uuidOf(liveName) }, `the machine ${liveName}, which is production`],
      [{ ...clone, type: 'vsphere:index/folder:Folder', id: 'group-v3' }, 'which clona did not make'],
    ] as const) {
      const urn = `urn:pulumi:staging::clona::${resource.type}::theirs`;
      const resources = [...own.deployment.resources, { ...resource, urn, parent: undefined }];
      await stack.importStack({ ...own, deployment: { ...own.deployment, resources } });
      const before = vcsim.govc('find', '/');
      await expect(destroyStaging(options, args)).rejects.toThrow(what);
      const { deployment } = await stack.exportStack();
      expect(deployment.resources).toContainEqual(expect.objectContaining({ urn, protect: true }));
      expect(vcsim.govc('find', '/')).toBe(before);
    }
    await stack.importStack(own);
    expect(await previewStaging(options, args)).toEqual({ same: 4 });
  });

  test('a vCenter that does not answer is said by destroy, which does the rest later', async () => {
    await createStaging(options, args);
    proxy.cut();
    await expect(destroyStaging(options, args)).rejects.toMatchObject({
      exitCode: 6,
      message: expect.stringContaining('cannot talk to the vSphere server'),
    });
    proxy.heal();
    expect(places()).toEqual(['/DC0/vm/staging']);
    await destroyStaging(options, args);
    expect(places()).toEqual([]);
  });
});
