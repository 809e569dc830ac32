import { rm } from 'node:fs/promises';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findExpired } from '../../../src/machines/expiry.ts';
import type { Machines } from '../../../src/machines/machines.ts';
import { createStaging, destroyStaging } from '../../../src/machines/pulumi/staging.ts';
import { openVim } from '../../../src/machines/vsphere/client.ts';
import { createVsphereMachines, waitForAddress } from '../../../src/machines/vsphere/machines.ts';
import { listStagingMachines } from '../../../src/machines/vsphere/list.ts';
import {
  resolveVimAddress,
  vsphereMachine,
  vsphereStagingArgs,
} from '../../../src/pipeline/vsphere/site-settings.ts';
import { testMachinesContract, type PlatformUnderTest } from '../../contracts/machines.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { startSimulatedGuests, type SimulatedGuests } from '../../support/simulated-guests.ts';
import { findTestToolchain } from '../../support/toolchain.ts';
import { findVcsim, startVcsim } from '../../support/vcsim.ts';
import { completeLive, liveName, writeVsphereSite } from '../../support/vsphere-site.ts';

const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && findVcsim() !== undefined;

testMachinesContract(
  'vsphere',
  startPlatform,
  isHere ? undefined : 'Pulumi or vcsim is not here, set CLONA_TOOLCHAIN',
);

async function startPlatform(): Promise<PlatformUnderTest> {
  const vcsim = await startVcsim();
  const folder = await makeTestFolder();
  const guests = await startSimulatedGuests(folder);
  completeLive(vcsim);
  const boot = async (name: string, source?: string): Promise<string> => {
    const { address, hostKey } = await guests.make(name, source);
    vcsim.govc('vm.change', '-vm', name, '-e', `SET.guest.ipAddress=${address}`);
    vcsim.govc('vm.change', '-vm', name, '-e', `guestinfo.clona.hostKey=${hostKey}`);
    return hostKey;
  };
  const hostKey = await boot(liveName);
  await writeFile(join(guests.folder(liveName), 'disks/system/source.txt'), 'from production');
  const site = await writeVsphereSite(folder, vcsim, ['systemDisk: system', 'dataDisk: data'], {
    hostKey,
    port: guests.port,
  });
  const database = { engine: 'postgres', database: 'erp', user: 'postgres', port: 5432 } as const;
  const vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
  const machines = withGuests(
    createVsphereMachines(vim, (name) => vsphereMachine(site, name, database)),
    guests,
  );
  const options = { folder, signal, toolchain };
  const destroy = async (name: string): Promise<void> => {
    await destroyStaging({ ...options, name }, await vsphereStagingArgs(site, name, database));
    await guests.remove(name);
  };
  return {
    machines,
    live: await machines.describe(liveName, signal),
    clone: async (name, expiresAt) => {
      const args = await vsphereStagingArgs(site, name, database);
      await createStaging(
        { ...options, name },
        { ...args, timeToLiveMs: undefined, expiresAt: expiresAt ?? undefined },
      );
      await boot(name, liveName);
      await waitForAddress(vim, `/DC0/vm/${name}`, 10_000, signal);
      return machines.describe(name, signal);
    },
    destroy,
    leftovers: async (name) =>
      vcsim.govc('find', '/', '-name', `*${name}*`).trim().split('\n').filter(Boolean),
    expired: async (now) =>
      findExpired(await listStagingMachines(vim, site.name, signal), new Date(now)).map(({ name }) => name),
    [Symbol.asyncDispose]: async () => {
      await vim[Symbol.asyncDispose]();
      await guests[Symbol.asyncDispose]();
      await vcsim[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The simulator has no disks and boots nothing: what happens to a VM happens to the guest behind it. */
function withGuests(machines: Machines, guests: SimulatedGuests): Machines {
  return {
    ...machines,
    async powerOn(name, abort) {
      await machines.powerOn(name, abort);
      await guests.powerOn(name);
    },
    async powerOff(name, graceMs, abort) {
      await machines.powerOff(name, graceMs, abort);
      await guests.powerOff(name);
    },
    async createSnapshot(name, snapshot, abort) {
      const made = await machines.createSnapshot(name, snapshot, abort);
      await guests.snapshot(name, snapshot);
      return made;
    },
    async revertSnapshot(name, snapshot, abort) {
      await machines.revertSnapshot(name, snapshot, abort);
      await guests.revert(name, snapshot);
    },
  };
}
