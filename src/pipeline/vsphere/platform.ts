import { lookup } from 'node:dns/promises';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresBinaries } from '../../databases/postgres/server-binaries.ts';
import { ClonaError } from '../../errors.ts';
import { openGuest } from '../../guest/open.ts';
import { openVim, type Vim } from '../../machines/vsphere/client.ts';
import { machinePath } from '../../machines/vsphere/inventory.ts';
import {
  createVsphereMachines,
  findSnapshotEscapes,
  waitForAddress,
} from '../../machines/vsphere/machines.ts';
import type { Machines } from '../../machines/machines.ts';
import { findPromotionLacks } from '../../machines/vsphere/privilege-objects.ts';
import { probeRoutes, type ForbiddenPlace } from '../../machines/vsphere/probe-routes.ts';
import { resolveDatabaseAddress } from '../../site/address.ts';
import type { Site } from '../../site/site.ts';
import { stagingOptions } from '../local/staging-machine.ts';
import type { Platform, Work } from '../machine/platform.ts';
import { clearOracle } from '../oracle/clear.ts';
import { clearDatabase } from './clear-database.ts';
import { openVsphereDoor, requireMachine } from './door.ts';
import { openOracleDoor } from './oracle-door.ts';
import {
  inventoryPlaces,
  nameDatabase,
  resolveVimAddress,
  vsphereMachine,
  vsphereSettings,
} from './site-settings.ts';
import { makeVsphereStaging, removeVsphereStaging } from './staging-machine.ts';
import { waitForGuest } from './wait-for-guest.ts';

type Purpose = 'clone' | 'promotion';
type WithVim = <Result>(
  purpose: Purpose,
  signal: AbortSignal,
  work: (vim: Vim) => Promise<Result>,
) => Promise<Result>;

/** Virtual machines of a vCenter: reached by SSH alone, the vCenter by Pulumi and its own API. */
export function openVspherePlatform(site: Site): Platform {
  const live = site.machines.live.name;
  const { bootTimeout } = vsphereSettings(site);
  const isOracle = site.database.engine === 'oracle';
  const withVim: WithVim = async (purpose, signal, work) => {
    await using vim = await openVim(await resolveVimAddress(site, purpose), signal);
    return await work(vim);
  };
  const machines = machinesBySession(site, withVim);
  const binaries = new Map<string, PostgresBinaries>();
  const start = async (name: string, work: Work): Promise<void> => {
    await machines.powerOn(name, work.signal);
    const { inventoryPath } = vsphereMachine(site, name, await nameDatabase(site));
    await withVim('clone', work.signal, async (vim) =>
      waitForAddress(vim, inventoryPath, bootTimeout, work.signal, work.onProgress),
    );
    await waitForGuest(async () => machines.describe(name, work.signal), name, bootTimeout, work);
  };
  const findRoutes: Platform['findRoutes'] = async (name, guest, signal) => {
    const places = await forbiddenPlaces(site, machines, name, signal);
    return probeRoutes(guest, places, signal);
  };
  return {
    machines,
    start,
    openDoor: async (facts, signal) =>
      isOracle
        ? openOracleDoor(site, facts, signal)
        : openVsphereDoor({ site, facts, known: binaries, signal }),
    findRoutes,
    bootsDatabase: true,
    holdsDatabase: async ({ guest }, { host }) => {
      if (guest.endpoint.kind !== 'tcp') return false;
      return (await addressesOf(host)).includes(guest.endpoint.host);
    },
    requireWholeSnapshot: async (name, signal) => {
      const { inventoryPath } = vsphereMachine(site, name, await nameDatabase(site));
      await withVim(name === live ? 'promotion' : 'clone', signal, async (vim) => {
        const escapes = await findSnapshotEscapes(vim, inventoryPath, signal);
        if (escapes.length > 0) throw partialSnapshot(name, escapes);
        if (name !== live) return;
        const { user, lacks } = await findPromotionLacks(vim, inventoryPath, signal);
        if (lacks.length > 0) throw lackingPrivileges(user, lacks);
      });
    },
    makeStaging: async (name, _database, work) => {
      const options = await stagingOptions(site, name, work);
      const database = await nameDatabase(site);
      const { isolation } = await makeVsphereStaging(site, options, database, {}, bootTimeout);
      await start(name, work);
      const facts = await machines.describe(name, work.signal);
      await using guest = await openGuest(facts.guest, work.signal);
      await requireMachine(guest, facts, work.signal);
      const routes = await findRoutes(name, guest, work.signal);
      if (routes.length > 0) throw openRoute(name, routes);
      return { isolation, engine: 'pulumi' };
    },
    removeStaging: async (name, work) => {
      binaries.delete(name);
      // Asking the engine takes seconds: for a machine that never was nobody asks.
      if (name === live || !(await mayBeThere(site, name, withVim, work.signal))) return;
      await removeVsphereStaging(site, await stagingOptions(site, name, work), await nameDatabase(site));
    },
    clearForRestore: async (facts, door, guest, key, signal) =>
      isOracle
        ? clearOracle(site, facts, guest, key, signal)
        : clearDatabase(facts, door, guest, key, signal),
  };
}

/** A session for each call: who promotes may be somebody else than who clones, and nothing stays open between steps. */
function machinesBySession(site: Site, withVim: WithVim): Machines {
  const { name: live } = site.machines.live;
  const call = async <Result>(
    name: string,
    changes: boolean,
    signal: AbortSignal,
    work: (machines: Machines) => Promise<Result>,
  ): Promise<Result> => {
    const database = await nameDatabase(site);
    return withVim(changes && name === live ? 'promotion' : 'clone', signal, async (vim) =>
      work(createVsphereMachines(vim, (one) => vsphereMachine(site, one, database))),
    );
  };
  return {
    platform: 'vsphere',
    describe: async (name, signal) => call(name, false, signal, async (vm) => vm.describe(name, signal)),
    powerOn: async (name, signal) => call(name, true, signal, async (vm) => vm.powerOn(name, signal)),
    powerOff: async (name, graceMs, signal) =>
      call(name, true, signal, async (vm) => vm.powerOff(name, graceMs, signal)),
    createSnapshot: async (name, snapshot, signal) =>
      call(name, true, signal, async (vm) => vm.createSnapshot(name, snapshot, signal)),
    revertSnapshot: async (name, snapshot, signal) =>
      call(name, true, signal, async (vm) => vm.revertSnapshot(name, snapshot, signal)),
    removeSnapshot: async (name, snapshot, signal) =>
      call(name, true, signal, async (vm) => vm.removeSnapshot(name, snapshot, signal)),
    listSnapshots: async (name, signal) =>
      call(name, false, signal, async (vm) => vm.listSnapshots(name, signal)),
    probeIsolation: async (name, signal) =>
      call(name, false, signal, async (vm) => vm.probeIsolation(name, signal)),
  };
}

/** Where production answers: its guest, and its database where the site file says that it is reached over a network. */
async function forbiddenPlaces(
  site: Site,
  machines: Machines,
  staging: string,
  signal: AbortSignal,
): Promise<ForbiddenPlace[]> {
  const [live, clone] = await Promise.all([
    machines.describe(site.machines.live.name, signal),
    machines.describe(staging, signal),
  ]);
  const given = await resolveDatabaseAddress(site.database);
  const places: ForbiddenPlace[] = [];
  if (live.guest.endpoint.kind === 'tcp') {
    const { host, port } = live.guest.endpoint;
    places.push({ name: "LIVE's guest", host, port });
    places.push({ name: "LIVE's database", host, port: live.database.port });
  }
  if (given !== undefined) {
    for (const host of await addressesOf(given.host))
      places.push({ name: "LIVE's database", host, port: given.port });
  }
  // A clone may keep production's address: on its own network that is the clone itself.
  const own = clone.guest.endpoint.kind === 'tcp' ? clone.guest.endpoint.host : '';
  return places.filter(({ host }) => host !== own);
}

/** A name as the addresses it stands for: an isolated guest has nobody to ask. A socket's folder has none. */
async function addressesOf(host: string): Promise<string[]> {
  if (host.startsWith('/')) return [];
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.map(({ address }) => address);
}

async function mayBeThere(site: Site, name: string, withVim: WithVim, signal: AbortSignal): Promise<boolean> {
  const hasStack = await stat(join(site.control.directory, 'pulumi', 'work', name)).then(
    () => true,
    () => false,
  );
  if (hasStack) return true;
  const inventoryPath = machinePath(inventoryPlaces(vsphereSettings(site)), name);
  return withVim('clone', signal, async (vim) => {
    const [found] = await vim.call('FindByInventoryPath', vim.content.searchIndex, { inventoryPath }, signal);
    return found !== undefined && found !== '';
  });
}

function partialSnapshot(name: string, escapes: readonly string[]): ClonaError {
  return new ClonaError(
    'machineFailed',
    `a snapshot of ${name} would not hold all of it: ${escapes.join('; ')}`,
    {
      hint: 'a revert would bring back a part only: change these disks, or promote without clona',
      details: { escapes },
    },
  );
}

function lackingPrivileges(user: string, lacks: readonly string[]): ClonaError {
  return new ClonaError('machineFailed', `${user}, who promotes, lacks ${lacks.join(', ')}`, {
    hint: 'add it to the role of that user there; clona doctor lists all that is needed',
    details: { lacks },
  });
}

function openRoute(name: string, routes: readonly string[]): ClonaError {
  return new ClonaError('fenceFailed', `${name} reaches production: ${routes.join(', ')}`, {
    hint: 'its network is not isolated, or the jump host forwards packets: nothing is restored into it',
    details: { part: 'network', holes: routes },
  });
}
