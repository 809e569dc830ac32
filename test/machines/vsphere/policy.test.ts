import { CustomResource } from '@pulumi/pulumi';
import { createRequire } from 'node:module';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as bindings from '../../../sdks/vsphere/index.ts';
import { policyOptions, policyRefusal } from '../../../src/machines/pulumi/policies.ts';
import { createStaging, destroyStaging, previewStaging } from '../../../src/machines/pulumi/staging.ts';
import { openStack } from '../../../src/machines/pulumi/workspace.ts';
import { openVim } from '../../../src/machines/vsphere/client.ts';
import { ensureAttributes } from '../../../src/machines/vsphere/marks.ts';
import { vsphereStagingArgs } from '../../../src/pipeline/vsphere/site-settings.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { findTestToolchain } from '../../support/toolchain.ts';
import { findVcsim, startVcsim, type Vcsim } from '../../support/vcsim.ts';
import { completeLive, liveName, writeVsphereSite } from '../../support/vsphere-site.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && toolchain.languageHost !== null && findVcsim() !== undefined;
const missing = isHere ? '' : ' (Pulumi, its language host or vcsim is not here, set CLONA_TOOLCHAIN)';
const database = { engine: 'postgres', database: 'erp', user: 'postgres', port: 5432 } as const;
const { Provider, VirtualMachine, VirtualMachineSnapshot, HostPortGroup, getNetworkOutput } = createRequire(
  import.meta.url,
)('@pulumi/vsphere') as typeof bindings;

const noAdapters = { activeNics: [], standbyNics: [] };

/** None of our bindings: a staging stack has no use for it. */
class ResourcePool extends CustomResource {}

describe.skipIf(!isHere)(`the policies of staging, judged by the real engine${missing}`, () => {
  let vcsim: Vcsim;
  let folder: string;
  let facts: { uuid: string; pool: string; store: string; host: string; datacenter: string };
  let keys: Record<string, string>;
  beforeAll(async () => {
    vcsim = await startVcsim();
    completeLive(vcsim);
    // The simulator puts it where the first disk is, and the provider then cannot read the machine.
    vcsim.govc('device.remove', '-vm', liveName, 'cdrom-203');
    vcsim.govc('host.vswitch.add', '-host', 'DC0_H0', 'inward');
    vcsim.govc('dvs.portgroup.add', '-dvs', 'DVS0', 'DVPG1');
    folder = await makeTestFolder();
    const { server, user, password } = vcsim;
    await using vim = await openVim({ server, user, password, allowUnverifiedTls: true }, signal);
    keys = await ensureAttributes(vim, signal);
    const reference = (path: string, property: string): string =>
      vcsim.govc('object.collect', '-s', path, property).trim().split(':').at(-1) ?? '';
    facts = {
      uuid: reference(`/DC0/vm/${liveName}`, 'config.uuid'),
      pool: reference('/DC0/host/DC0_H0', 'resourcePool'),
      store: idOf('/DC0/datastore/LocalDS_0'),
      datacenter: vcsim.govc('find', '-i', '/', '-type', 'd').trim().split(':').at(-1) ?? '',
      host: reference('/DC0/host/DC0_H0', 'host'),
    };
  });
  afterAll(async () => {
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  function idOf(path: string): string {
    return vcsim.govc('ls', '-i', path).trim().split(/[:\s]/)[1] ?? '';
  }

  /** What a program of somebody's own asks for, without any check of clona's component. */
  interface Asked {
    network?: string;
    /** A port group is made on that switch, in place of the network. */
    onSwitch?: string;
    attributes?: Record<string, string>;
    clone?: boolean;
    importId?: string;
    more?: (provider: bindings.Provider) => CustomResource;
    /** Only shown, with all that is refused; a run stops at the first refusal. */
    preview?: boolean;
    /** Others in the same stack, by name. */
    beside?: Record<string, Asked>;
  }

  /** Runs such a program with the policies, and gives what they refuse; then nothing is changed. */
  async function judge(name: string, asked: Asked, isolatedNetworks: string[] = []): Promise<string[]> {
    const options = { folder, name, signal, toolchain, environment: { VSPHERE_PASSWORD: vcsim.password } };
    const { beside = {} } = asked;
    const all = Object.entries({ [name]: asked, ...beside });
    const programs = async (): Promise<Record<string, unknown>> => {
      for (const [own, one] of all) await program(own, one);
      return {};
    };
    const { stack } = await openStack(name, programs, options);
    const policies = await policyOptions({ ...options, policies: { isolatedNetworks } });
    const refused: string[] = [];
    const onEvent = (event: Parameters<typeof policyRefusal>[0]): void => {
      refused.push(...[policyRefusal(event)].filter((one) => one !== undefined));
    };
    const before = vcsim.govc('find', '/');
    const { preview = asked.importId !== undefined } = asked;
    const verb = preview ? stack.preview.bind(stack) : stack.up.bind(stack);
    const ended = await verb({ color: 'never', signal, onEvent, ...policies }).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (refused.length === 0 && ended !== undefined) throw new Error(ended);
    if (refused.length > 0) expect(vcsim.govc('find', '/')).toBe(before);
    else await stack.destroy({ color: 'never', signal });
    return refused;
  }

  async function program(name: string, asked: Asked): Promise<void> {
    const { server, user } = vcsim;
    const provider = new Provider(`vsphere-${name}`, {
      vsphereServer: server,
      user,
      allowUnverifiedSsl: true,
    });
    const { clone = true, network = 'VM Network', importId } = asked;
    const attributes = asked.attributes ?? { expires: '2099-01-01T00:00:00Z', source: `/DC0/vm/${liveName}` };
    if (asked.more !== undefined) {
      asked.more(provider);
      return;
    }
    const group =
      asked.onSwitch === undefined
        ? undefined
        : new HostPortGroup(
            'group',
            {
              name: `${name}-group`,
              hostSystemId: facts.host,
              virtualSwitchName: asked.onSwitch,
              ...noAdapters,
            },
            { provider },
          );
    const networkId =
      group === undefined
        ? idOf(`/DC0/network/${network}`)
        : getNetworkOutput(
            { name: group.name, datacenterId: facts.datacenter, retryTimeout: 60 },
            { provider, dependsOn: group },
          ).id;
    // Named for the engine, which makes it.
    void new VirtualMachine(
      name,
      {
        name: importId === undefined ? name : liveName,
        resourcePoolId: facts.pool,
        datastoreId: facts.store,
        guestId: 'otherGuest',
        numCpus: 1,
        memory: 32,
        ...(clone ? { clone: { templateUuid: facts.uuid } } : {}),
        networkInterfaces: [{ networkId, adapterType: 'e1000' }],
        disks: [{ label: 'disk0', size: 10, unitNumber: 0, controllerType: 'scsi' }],
        scsiType: 'pvscsi',
        customAttributes: Object.fromEntries(
          Object.entries(attributes).map(([mark, value]) => [keys[mark] ?? mark, value]),
        ),
        waitForGuestNetTimeout: 0,
        waitForGuestIpTimeout: 0,
        forcePowerOff: true,
        shutdownWaitTimeout: 1,
      },
      { provider, ...(importId === undefined ? {} : { import: importId }) },
    );
  }

  const snapshotOf = (virtualMachineUuid: string): Asked => ({
    more: (provider) =>
      new VirtualMachineSnapshot(
        'mine',
        { virtualMachineUuid, snapshotName: 'mine', description: '', memory: false, quiesce: false },
        { provider },
      ),
  });
  const groupWith = (activeNics: string[]): Asked => ({
    more: (provider) =>
      new HostPortGroup(
        'group',
        {
          name: 'group',
          hostSystemId: facts.host,
          virtualSwitchName: 'vSwitch0',
          activeNics,
          standbyNics: [],
        },
        { provider },
      ),
  });
  const poolBelow = (provider: bindings.Provider): CustomResource =>
    new ResourcePool(
      'vsphere:index/resourcePool:ResourcePool',
      'pool',
      { parentResourcePoolId: facts.pool },
      { provider },
    );

  test('a clone on a named isolated network, with an expiry, passes', async () => {
    expect(await judge('fine', {}, ['VM Network'])).toEqual([]);
  });

  test('everything that is no staging machine of its own is refused before any change, all at once', async () => {
    const machines: Record<string, Asked> = {
      'no-expiry': { attributes: { source: 'x' } },
      'no-mark': { attributes: { expires: '2099-01-01T00:00:00Z' } },
      'no-clone': { clone: false },
      unknown: { network: 'DVPG1' },
      snapshot: snapshotOf(facts.uuid),
      group: groupWith(['vmnic0']),
      shared: { more: poolBelow },
    };
    const asked: Asked = { network: 'DC0_DVPG0', beside: machines };
    const isolated = ['DC0_DVPG0', 'VM Network'];
    const refused = await judge('outward', { ...asked, preview: true }, isolated);
    for (const reason of [
      "is production's own (staging-isolated)",
      'has no expiry (clona.expires)',
      'nobody would find it to destroy it',
      'it is not made as a clone',
      'whether the network DVPG1 leads anywhere is not known',
      `${liveName} is no clone that clona made: production is never changed (production-untouched)`,
      'a port group of staging has the uplinks vmnic0 (staging-isolated)',
      'is no resource of a staging stack',
    ])
      expect(refused).toContainEqual(expect.stringContaining(reason));
    expect(refused).toHaveLength(8);
    expect(await judge('outward', asked, isolated)).not.toEqual([]);
  });

  test('a snapshot of a clone passes, and a port group without an adapter', async () => {
    const mark = { name: 'clona.source', value: 'x' };
    vcsim.govc('fields.set', mark.name, mark.value, '/DC0/vm/DC0_H0_VM1');
    const uuid = vcsim.govc('object.collect', '-s', '/DC0/vm/DC0_H0_VM1', 'config.uuid').trim();
    expect(await judge('snapshot', { ...snapshotOf(uuid), beside: { group: groupWith([]) } })).toEqual([]);
  });

  test('a network that the stack makes on a switch without uplink needs no name', async () => {
    expect(await judge('inward', { onSwitch: 'inward' })).toEqual([]);
  });

  test('production itself, imported into a stack, is refused by the preview', async () => {
    const refused = await judge('adopted', { importId: `/DC0/vm/${liveName}`, clone: false }, ['VM Network']);
    expect(refused).toContainEqual(expect.stringContaining('it is not made as a clone'));
  });

  test("clona's own component passes them, and one that would not is refused with an exit code of its own", async () => {
    const site = await writeVsphereSite(folder, vcsim);
    const args = await vsphereStagingArgs(site, 'own', database);
    const options = {
      folder,
      name: 'own',
      signal,
      toolchain,
      policies: { isolatedNetworks: ['VM Network'] },
    };
    expect((await createStaging(options, args)).changes).toEqual({ create: 4 });
    expect(await previewStaging(options, args)).toEqual({ same: 4 });
    const endless = { ...args, timeToLiveMs: undefined };
    await expect(createStaging(options, endless)).rejects.toMatchObject({
      kind: 'policyRefused',
      exitCode: 2,
    });
    await destroyStaging(options, args);
  });
});
