import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import {
  createStaging,
  destroyStaging,
  previewStaging,
  readStaging,
} from '../../../src/machines/pulumi/staging.ts';
import type { StagingOptions } from '../../../src/machines/pulumi/staging-options.ts';
import type { VimAddress } from '../../../src/machines/vsphere/client.ts';
import { vsphereStagingArgs } from '../../../src/pipeline/vsphere/site-settings.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { findTestToolchain } from '../../support/toolchain.ts';
import { findVcsim, startVcsim, type Vcsim } from '../../support/vcsim.ts';
import { completeLive, liveName, writeVsphereSite } from '../../support/vsphere-site.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && findVcsim() !== undefined;
const missing = isHere ? '' : ' (Pulumi or vcsim is not here, set CLONA_TOOLCHAIN)';

/** The simulator signs its certificate itself. */
async function readCertificate(server: string): Promise<string> {
  const [host, port] = server.split(':');
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  const lines = raw.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

describe.skipIf(!isHere)(`LiveStaging on vSphere through the real engine and provider${missing}`, () => {
  let vcsim: Vcsim;
  let folder: string;
  let options: StagingOptions;
  let args: LiveStagingArgs;
  const database = { engine: 'postgres', database: 'erp', user: 'postgres', port: 5432 } as const;
  const argsWith = async (...more: string[]): Promise<LiveStagingArgs> =>
    vsphereStagingArgs(await writeVsphereSite(folder, vcsim, more), 'staging', database, { archive: 'B7' });

  beforeAll(async () => {
    vcsim = await startVcsim(['-pod', '1']);
    completeLive(vcsim);
    folder = await makeTestFolder();
    options = { folder, name: 'staging', signal, toolchain };
    args = await argsWith();
  });
  afterAll(async () => {
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('is a clone that runs on the isolated network with another MAC, and says what it is', async () => {
    const { machine, changes } = await createStaging(options, args);
    expect(changes).toEqual({ create: 4 });
    expect(machine).toMatchObject({ name: 'staging', platform: 'vsphere', role: 'staging', power: 'on' });
    expect(Date.parse(machine.expiresAt ?? '') - Date.parse(machine.createdAt)).toBe(7 * 86_400_000);
    const clone = readMachine('staging');
    const live = readMachine(liveName);
    expect(clone.power).toBe('poweredOn');
    expect(clone.networks).toEqual(['VM Network']);
    expect(clone.macs).not.toEqual(live.macs);
    expect(clone.tags).toEqual(['clona:staging']);
    expect(clone.attributes).toMatchObject({
      'clona.site': 'erp',
      'clona.source': `/DC0/vm/${liveName}`,
      'clona.archive': 'B7',
      'clona.created': machine.createdAt,
      'clona.expires': machine.expiresAt,
    });
    expect(await readStaging(options)).toEqual(machine);
    // Its card was moved by a reconfiguration, and nothing starts before that one.
    const events = vcsim.govc('events', '/DC0/vm/staging');
    expect(events.indexOf('is starting')).toBeGreaterThan(events.lastIndexOf('Reconfigured'));
    expect(events.lastIndexOf('Reconfigured')).toBeGreaterThan(events.indexOf('Clone of'));
  });

  test('a second preview and a second run change nothing', async () => {
    expect(await previewStaging(options, args)).toEqual({ same: 4 });
    expect((await createStaging(options, args)).changes).toEqual({ same: 4 });
  });

  test("production's disks and CPUs may change without a change of the clone", async () => {
    vcsim.govc('vm.change', '-vm', liveName, '-c', '4', '-m', '64');
    vcsim.govc('vm.disk.create', '-vm', liveName, '-name', 'more', '-size', '1G');
    expect(await previewStaging(options, args)).toEqual({ same: 4 });
    expect((await createStaging(options, args)).changes).toEqual({ same: 4 });
  });

  test('a size of its own that is asked for is changed in place', async () => {
    const asked = await argsWith('cpus: 2', 'memory: 1GiB');
    expect(await previewStaging(options, asked)).toEqual({ same: 3, update: 1 });
    expect((await createStaging(options, asked)).changes).toEqual({ same: 3, update: 1 });
    expect(readMachine('staging')).toMatchObject({ power: 'poweredOn', cpus: 2, memoryMb: 1024 });
    expect(await previewStaging(options, asked)).toEqual({ same: 4 });
  });

  test('deleted by hand, it is made again, in the shape that production has now', async () => {
    vcsim.govc('vm.destroy', 'staging');
    const { changes } = await createStaging(options, args);
    expect(changes).toEqual({ create: 1, same: 3 });
    expect(readMachine('staging')).toMatchObject({ cpus: 4, memoryMb: 64, disks: 2 });
    expect(await previewStaging(options, args)).toEqual({ same: 4 });
  });

  test('a network of its own is made on a switch without uplink, and goes with it', async () => {
    const own = { ...options, name: 'apart' };
    const apart = { ...(await argsWith('host: DC0_H0')), name: 'apart' };
    expect((await createStaging(own, apart)).changes).toEqual({ create: 5 });
    expect(readMachine('apart').networks).toEqual(['clona-apart']);
    const { vswitch } = JSON.parse(vcsim.govc('host.vswitch.info', '-json', '-host', 'DC0_H0'));
    const made = vswitch.find((one: { name: string }) => one.name === 'clona-isolated');
    expect(made.pnic ?? []).toEqual([]);
    expect(await previewStaging(own, apart)).toEqual({ same: 5 });
    await destroyStaging(own, apart);
    expect(vcsim.govc('find', '/', '-type', 'n', '-name', 'clona-*')).toBe('');
  });

  test("a site's own authority is trusted by clona and by the provider, and nobody else", async () => {
    const own = { ...options, name: 'trusted' };
    const trusting = { ...(await argsWith()), name: 'trusted' };
    const address = { ...trusting.vsphere?.address, allowUnverifiedTls: false } as VimAddress; // as above
    const withAddress = (more: Partial<VimAddress>): LiveStagingArgs => ({
      ...trusting,
      ...(trusting.vsphere === undefined
        ? {}
        : { vsphere: { ...trusting.vsphere, address: { ...address, ...more } } }),
    });
    await expect(createStaging(own, withAddress({}))).rejects.toThrow('cannot talk to the vSphere server');
    const known = withAddress({ authority: await readCertificate(vcsim.server) });
    expect((await createStaging(own, known)).changes).toEqual({ create: 4 });
    await destroyStaging(own, known);
  });

  test('a customization specification of the vCenter is used where one is named', async () => {
    const own = { ...options, name: 'custom' };
    const custom = { ...(await argsWith('customization: vcsim-linux')), name: 'custom' };
    expect((await createStaging(own, custom)).changes).toEqual({ create: 4 });
    expect(await previewStaging(own, custom)).toEqual({ same: 4 });
    await destroyStaging(own, custom);
    const lost = { ...(await argsWith('customization: nowhere')), name: 'custom' };
    await expect(createStaging(own, lost)).rejects.toThrow(
      'the vCenter has no customization specification nowhere',
    );
  });

  test('a datastore cluster takes it in place of a datastore', async () => {
    // As far as a preview goes: the simulator's Storage DRS recommends nothing for a clone.
    const pooled = { ...(await argsWith('datastoreCluster: DC0_POD0')), name: 'pooled' };
    expect(await previewStaging({ ...options, name: 'pooled' }, pooled)).toEqual({ create: 4 });
    await destroyStaging({ ...options, name: 'pooled' }, pooled);
  });

  test('names that vSphere does not have are all said at once', async () => {
    const wrong = await argsWith('datastore: nowhere', 'folder: none');
    await expect(createStaging({ ...options, name: 'lost' }, { ...wrong, name: 'lost' })).rejects.toThrow(
      /vSphere has no datastore \/DC0\/datastore\/nowhere, no folder \/DC0\/vm\/none/,
    );
  });

  test('a protected machine is not destroyed', async () => {
    await createStaging(options, { ...args, protect: true });
    await expect(destroyStaging(options, args)).rejects.toMatchObject({
      kind: 'pulumiFailed',
      hint: 'the machine is protected: take the protection away first',
    });
    expect(readMachine('staging').power).toBe('poweredOn');
    await createStaging(options, args);
  });

  test('the network that production is on is refused before any change', async () => {
    const wrong = await argsWith('isolatedPortGroup: DC0_DVPG0');
    await expect(createStaging({ ...options, name: 'wrong' }, { ...wrong, name: 'wrong' })).rejects.toThrow(
      `the port group DC0_DVPG0 is production's own: ${liveName} is on it`,
    );
    expect(vcsim.govc('find', '/', '-type', 'm', '-name', 'wrong')).toBe('');
  });

  test('a machine of that name that clona did not make is left alone', async () => {
    const other = { ...options, name: 'DC0_H0_VM1' };
    await expect(createStaging(other, { ...args, name: 'DC0_H0_VM1' })).rejects.toThrow(
      'there is a machine /DC0/vm/DC0_H0_VM1 already, and clona did not make it',
    );
    await expect(createStaging(other, { ...args, name: liveName })).rejects.toThrow(
      'is the production machine',
    );
  });

  test('destroying it leaves the inventory as it was, twice', async () => {
    await destroyStaging(options, args);
    await destroyStaging(options, args);
    expect(vcsim.govc('find', '/', '-type', 'm').trim().split('\n').toSorted()).toEqual([
      '/DC0/vm/DC0_C0_RP0_VM0',
      '/DC0/vm/DC0_C0_RP0_VM1',
      '/DC0/vm/DC0_H0_VM0',
      '/DC0/vm/DC0_H0_VM1',
    ]);
  });

  /** What vSphere itself says of a machine. */
  function readMachine(name: string) {
    const { virtualMachines } = JSON.parse(vcsim.govc('vm.info', '-json', name));
    const [{ config, runtime, network }] = virtualMachines;
    const cards = config.hardware.device.filter((device: { macAddress?: string }) => device.macAddress);
    return {
      power: runtime.powerState,
      cpus: config.hardware.numCPU,
      memoryMb: config.hardware.memoryMB,
      disks: config.hardware.device.filter((device: { capacityInKB?: number }) => device.capacityInKB).length,
      macs: cards.map((card: { macAddress: string }) => card.macAddress),
      networks: network.map((one: { type: string; value: string }) =>
        vcsim.govc('object.collect', '-s', `${one.type}:${one.value}`, 'name').trim(),
      ),
      tags: vcsim.govc('tags.attached.ls', '-r', `/DC0/vm/${name}`).trim().split('\n').filter(Boolean),
      attributes: Object.fromEntries(
        Array.from(
          vcsim.govc('fields.info', `/DC0/vm/${name}`).matchAll(/^\S+ +(\S+) +(.*)$/gm),
          ([, key, value]) => [key, value],
        ),
      ),
    };
  }
});
