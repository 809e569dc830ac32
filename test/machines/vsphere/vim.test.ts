import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFault, openVim, type Vim } from '../../../src/machines/vsphere/client.ts';
import {
  createVsphereMachines,
  setNetworkConnected,
  waitForAddress,
  type VsphereMachine,
} from '../../../src/machines/vsphere/machines.ts';
import { moRef } from '../../../src/machines/vsphere/soap.ts';
import { readDatastore } from '../../../src/machines/vsphere/storage.ts';
import { findVirtualMachine, readVirtualMachine } from '../../../src/machines/vsphere/virtual-machine.ts';
import { findVcsim, startVcsim, type Vcsim } from '../../support/vcsim.ts';

const { signal } = new AbortController();

describe.skipIf(findVcsim() === undefined)('the vSphere API client against vcsim', () => {
  let vcsim: Vcsim;
  let vim: Vim;
  const address = () => ({
    server: vcsim.server,
    user: vcsim.user,
    password: vcsim.password,
    allowUnverifiedTls: true,
  });

  beforeAll(async () => {
    vcsim = await startVcsim();
    vim = await openVim(address(), signal);
  });
  afterAll(async () => {
    await vim?.[Symbol.asyncDispose]();
    await vcsim?.[Symbol.asyncDispose]();
  });

  test('a machine that is not there is named', async () => {
    await expect(findVirtualMachine(vim, '/DC0/vm/NOBODY', signal)).rejects.toThrow(
      'there is no virtual machine /DC0/vm/NOBODY',
    );
  });

  test('a certificate nobody vouches for is refused unless the site allows it', async () => {
    await expect(openVim({ ...address(), allowUnverifiedTls: false }, signal)).rejects.toMatchObject({
      code: 'CLONA-0501',
      message: `cannot talk to the vSphere server ${vcsim.server}`,
    });
  });

  test('a fault of a call carries its kind', async () => {
    const gone = { type: 'VirtualMachine', moref: 'vm-99999' };
    const failed = await vim.call('PowerOnVM_Task', gone, {}, signal).catch((error: unknown) => error);
    expect(isFault(failed, 'ManagedObjectNotFound')).toBe(true);
  });

  test('a fault of a task carries its kind', async () => {
    const reference = await findVirtualMachine(vim, '/DC0/vm/DC0_H0_VM1', signal);
    const [task] = await vim.call('PowerOnVM_Task', reference, {}, signal);
    const failed = await vim.follow(moRef(task)!, signal).catch((error: unknown) => error);
    expect(isFault(failed, 'InvalidPowerState')).toBe(true);
  });

  test('a session that ended on the server is renewed by the next call', async () => {
    await using other = await openVim(address(), signal);
    await other.call('Logout', other.content.sessionManager, {}, signal);
    const name = (await other.read(other.content.rootFolder, ['name'], signal)).get('name');
    expect(JSON.stringify(name)).toContain('Datacenters');
  });

  test('power, snapshots and revert can be repeated', async () => {
    const machines = createVsphereMachines(vim, () => machine('/DC0/vm/DC0_H0_VM0'));
    await machines.powerOn('live', signal);
    await machines.createSnapshot('live', 'guard', signal);
    const again = await machines.createSnapshot('live', 'guard', signal);
    expect((await machines.listSnapshots('live', signal)).map((one) => one.name)).toEqual(['guard']);
    expect(again.escapes).toEqual([]);
    await machines.revertSnapshot('live', 'guard', signal);
    const facts = await readVirtualMachine(
      vim,
      await findVirtualMachine(vim, '/DC0/vm/DC0_H0_VM0', signal),
      signal,
    );
    expect(facts.power).toBe('off');
    await machines.powerOff('live', 1000, signal);
    await machines.powerOn('live', signal);
    await machines.removeSnapshot('live', 'guard', signal);
    await machines.removeSnapshot('live', 'guard', signal);
    expect(await machines.listSnapshots('live', signal)).toEqual([]);
    await expect(machines.revertSnapshot('live', 'guard', signal)).rejects.toThrow(
      'live has no snapshot guard',
    );
  });

  test('a connected card on a network that is not isolated is told, a disconnected one is not', async () => {
    const path = '/DC0/vm/DC0_C0_RP0_VM0';
    const machines = createVsphereMachines(vim, () => machine(path));
    expect(await machines.probeIsolation('staging', signal)).toEqual(['ethernet-0 on DC0_DVPG0']);
    await setNetworkConnected(vim, path, false, signal);
    expect(await machines.probeIsolation('staging', signal)).toEqual([]);
    await setNetworkConnected(vim, path, true, signal);
    const [card] = await machines.probeIsolation('staging', signal);
    const network = `/DC0/network/${card!.replace(/^.* on /, '')}`;
    const isolated = createVsphereMachines(vim, () => machine(path, [network]));
    expect(await isolated.probeIsolation('staging', signal)).toEqual([]);
  });

  test('a network of the same name elsewhere is another one', async () => {
    const name = 'DC0_DVPG0';
    const path = '/DC0/vm/DC0_C0_RP0_VM0';
    const elsewhere = createVsphereMachines(vim, () => machine(path, [`/DC0/network/apart/${name}`]));
    expect(await elsewhere.probeIsolation('staging', signal)).toEqual([
      expect.stringMatching(new RegExp(` on ${name}$`)),
    ]);
  });

  test('the address of a guest is waited for and comes from VMware Tools', async () => {
    const path = '/DC0/vm/DC0_C0_RP0_VM1';
    const seen: string[] = [];
    const waiting = waitForAddress(vim, path, 60_000, signal, (event) => {
      if (seen.length === 0)
        vcsim.govc('vm.change', '-vm', 'DC0_C0_RP0_VM1', '-e', 'SET.guest.ipAddress=127.0.0.2');
      seen.push(event.step);
    });
    expect(await waiting).toBe('127.0.0.2');
    expect(seen).toContain('wait for DC0_C0_RP0_VM1');
    const machines = createVsphereMachines(vim, () => machine(path));
    expect(await machines.describe('live', signal)).toMatchObject({
      power: 'on',
      guest: { endpoint: { host: '127.0.0.2' } },
    });
  });

  test('a guest that never reports an address ends in a clear error', async () => {
    await expect(waitForAddress(vim, '/DC0/vm/DC0_H0_VM1', 600, signal)).rejects.toThrow(
      '/DC0/vm/DC0_H0_VM1 reported no address',
    );
  });

  test('disks that escape a snapshot are named', async () => {
    vcsim.govc(
      'vm.disk.create',
      '-vm',
      'DC0_H0_VM1',
      '-name',
      'apart',
      '-size',
      '1M',
      '-mode',
      'independent_persistent',
    );
    const facts = await readVirtualMachine(
      vim,
      await findVirtualMachine(vim, '/DC0/vm/DC0_H0_VM1', signal),
      signal,
    );
    expect(facts.disks.map((disk) => disk.escapes).filter(Boolean)).toEqual([
      'disk mode independent_persistent',
    ]);
  });

  test('what lies behind a datastore and what it has free is read', async () => {
    const facts = await readVirtualMachine(
      vim,
      await findVirtualMachine(vim, '/DC0/vm/DC0_H0_VM1', signal),
      signal,
    );
    const store = await readDatastore(vim, facts.datastores[0]!, signal);
    expect(store.name).toBe('LocalDS_0');
    expect(store.devices).toHaveLength(1);
    expect(store.freeBytes).toBeGreaterThan(0);
  });
});

function machine(inventoryPath: string, isolatedNetworks: string[] = []): VsphereMachine {
  return {
    inventoryPath,
    role: 'live',
    guestAt: (host) => ({
      endpoint: { kind: 'tcp', host, port: 22 },
      user: 'erp',
      privateKeyFile: 'key',
      hostKey: 'SHA256:none',
      platform: 'linux',
    }),
    databaseAt: (host) => ({ engine: 'postgres', host, port: 5432, database: 'erp', user: 'postgres' }),
    systemDisk: '/opt/erp',
    dataDisk: '/data',
    isolatedNetworks,
  };
}
