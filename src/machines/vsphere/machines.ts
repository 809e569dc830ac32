import { setTimeout as wait } from 'node:timers/promises';
import type { DatabaseAddress } from '../../databases/database.ts';
import { ClonaError } from '../../errors.ts';
import type { GuestAddress } from '../../guest/guest.ts';
import { silent, type OnProgress } from '../../progress.ts';
import type { MachineFacts, Machines, SnapshotFacts } from '../machines.ts';
import { isFault, type Vim } from './client.ts';
import { findInPath, networkTypes } from './inventory.ts';
import { attributeNames } from './marks.ts';
import { moRef, text, type MoRef, type VimObject } from './soap.ts';
import {
  findVirtualMachine,
  readVirtualMachine,
  type Snapshot,
  type VirtualMachineFacts,
} from './virtual-machine.ts';

/** What vSphere does not know of a machine and the site says. */
export interface VsphereMachine {
  inventoryPath: string;
  role: 'live' | 'staging';
  /** Given the address that VMware Tools report, and the host key that the guest says of itself through them. */
  guestAt: (address: string, hostKey: string | undefined) => GuestAddress;
  databaseAt: (address: string) => DatabaseAddress;
  systemDisk: string;
  dataDisk: string;
  /** Port groups without a way to production, by inventory path: others may have the same name. */
  isolatedNetworks: readonly string[];
}

/** The platform `vsphere`: everything beside create and destroy, which are Pulumi's. */
export function createVsphereMachines(
  vim: Vim,
  find: (name: string) => VsphereMachine,
  onProgress: OnProgress = silent,
): Machines {
  const read = async (name: string, signal: AbortSignal): Promise<VirtualMachineFacts> =>
    readVirtualMachine(vim, await findVirtualMachine(vim, find(name).inventoryPath, signal), signal);
  const run = async (method: string, target: MoRef, args: VimObject, signal: AbortSignal): Promise<void> => {
    const task = moRef((await vim.call(method, target, args, signal))[0]);
    if (task !== undefined) await vim.follow(task, signal, onProgress);
  };
  const findSnapshot = async (
    name: string,
    snapshot: string,
    signal: AbortSignal,
  ): Promise<Snapshot | undefined> =>
    (await read(name, signal)).snapshots.find((one) => one.name === snapshot);

  return {
    platform: 'vsphere',
    async describe(name, signal) {
      const facts = await read(name, signal);
      const reachable = await reachableNetworks(vim, find(name), facts, signal);
      return describe(name, find(name), facts, reachable);
    },
    async powerOn(name, signal) {
      const facts = await read(name, signal);
      if (facts.power !== 'on') await run('PowerOnVM_Task', facts.reference, {}, signal);
    },
    async powerOff(name, graceMs, signal) {
      await shutDown(vim, () => read(name, signal), graceMs, signal);
      const facts = await read(name, signal);
      if (facts.power === 'on') await run('PowerOffVM_Task', facts.reference, {}, signal);
    },
    async createSnapshot(name, snapshot, signal) {
      const facts = await read(name, signal);
      const existing = facts.snapshots.find((one) => one.name === snapshot);
      if (existing === undefined) {
        const args = {
          name: snapshot,
          description: 'made by clona',
          memory: false,
          quiesce: facts.toolsRunning,
        };
        await run('CreateSnapshot_Task', facts.reference, args, signal);
      }
      const made = existing ?? (await findSnapshot(name, snapshot, signal));
      if (made === undefined)
        throw new ClonaError(
          'machineFailed',
          `the snapshot ${snapshot} of ${name} was made and is not there`,
        );
      return snapshotFacts(made, facts);
    },
    async revertSnapshot(name, snapshot, signal) {
      const found = await findSnapshot(name, snapshot, signal);
      if (found === undefined) throw new ClonaError('machineFailed', `${name} has no snapshot ${snapshot}`);
      await run('RevertToSnapshot_Task', found.reference, { suppressPowerOn: true }, signal);
      const facts = await read(name, signal);
      if (facts.power === 'on') await run('PowerOffVM_Task', facts.reference, {}, signal);
    },
    async removeSnapshot(name, snapshot, signal) {
      const found = await findSnapshot(name, snapshot, signal);
      if (found === undefined) return;
      await run('RemoveSnapshot_Task', found.reference, { removeChildren: false, consolidate: true }, signal);
    },
    async listSnapshots(name, signal) {
      const facts = await read(name, signal);
      return facts.snapshots.map((one) => snapshotFacts(one, facts));
    },
    async probeIsolation(name, signal) {
      return reachableNetworks(vim, find(name), await read(name, signal), signal);
    },
  };
}

/** Networks with a connected card that the site does not call isolated (R21). */
async function reachableNetworks(
  vim: Vim,
  { isolatedNetworks }: VsphereMachine,
  facts: VirtualMachineFacts,
  signal: AbortSignal,
): Promise<string[]> {
  const cards = facts.networkCards.filter(({ connected }) => connected);
  const isolated = await Promise.all(
    isolatedNetworks.map(async (path) => (await findInPath(vim, path, networkTypes, signal))?.moref),
  );
  const reachable = cards.filter(({ network, reference }) => !isolated.includes(reference ?? network));
  return Promise.all(
    reachable.map(async ({ label, network }) => `${label} on ${await networkName(vim, network, signal)}`),
  );
}

/** A card on a distributed switch knows only the key of its port group, which is the group's reference. */
async function networkName(vim: Vim, network: string, signal: AbortSignal): Promise<string> {
  if (!/^dvportgroup-\d+$/.test(network)) return network;
  const group = { type: 'DistributedVirtualPortgroup', moref: network };
  return text((await vim.read(group, ['name'], signal)).get('name'));
}

/** What a guest writes of itself: vmware-rpctool "info-set guestinfo.clona.hostKey SHA256:…". */
const hostKeySetting = 'guestinfo.clona.hostKey';

function describe(
  name: string,
  machine: VsphereMachine,
  facts: VirtualMachineFacts,
  reachable: readonly string[],
): MachineFacts {
  if (facts.address === null && facts.power === 'on') {
    throw new ClonaError('machineFailed', `${name} reports no address`, {
      hint: 'VMware Tools must run in it; after a boot this takes a while',
    });
  }
  // Powered off it has none, and nobody can reach it anyway.
  const address = facts.address ?? facts.name;
  return {
    name,
    platform: 'vsphere',
    role: machine.role,
    power: facts.power === 'on' ? 'on' : 'off',
    guest: machine.guestAt(address, facts.extraConfig.get(hostKeySetting)),
    database: machine.databaseAt(address),
    isolation: machine.role === 'live' ? 'none' : reachable.length === 0 ? 'network' : 'configuration',
    createdAt: facts.attributes.get(attributeNames.created) ?? facts.createdAt ?? '',
    expiresAt: facts.attributes.get(attributeNames.expires) ?? null,
    systemDisk: machine.systemDisk,
    dataDisk: machine.dataDisk,
    macs: facts.networkCards.map(({ mac }) => mac),
  };
}

function snapshotFacts(snapshot: Snapshot, facts: VirtualMachineFacts): SnapshotFacts {
  return { name: snapshot.name, createdAt: snapshot.createdAt, escapes: nameEscapes(facts) };
}

/** What no snapshot of the machine holds: independent disks, raw device mappings, shared buses. */
function nameEscapes({ disks }: VirtualMachineFacts): string[] {
  return disks.flatMap(({ label, escapes }) => (escapes === null ? [] : [`${label}: ${escapes}`]));
}

/**
 * The same before a snapshot is taken, for the promotion to refuse: a revert would bring back only a part of the
 * machine. Empty: a snapshot holds everything.
 */
export async function findSnapshotEscapes(
  vim: Vim,
  inventoryPath: string,
  signal: AbortSignal,
): Promise<string[]> {
  return nameEscapes(
    await readVirtualMachine(vim, await findVirtualMachine(vim, inventoryPath, signal), signal),
  );
}

/** Asks the guest to shut down and waits until it is off or the grace is over; without Tools nobody can be asked. */
async function shutDown(
  vim: Vim,
  read: () => Promise<VirtualMachineFacts>,
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const facts = await read();
  if (facts.power !== 'on' || !facts.toolsRunning) return;
  try {
    await vim.call('ShutdownGuest', facts.reference, {}, signal);
  } catch (error) {
    if (isFault(error, 'ToolsUnavailable') || isFault(error, 'InvalidPowerState')) return;
    throw error;
  }
  for (const until = Date.now() + graceMs; Date.now() < until; await wait(500, undefined, { signal })) {
    if ((await read()).power !== 'on') return;
  }
}

/** Waits until VMware Tools report an address (the provider's own guest waiters time out in the field). */
export async function waitForAddress(
  vim: Vim,
  inventoryPath: string,
  limitMs: number,
  signal: AbortSignal,
  onProgress: OnProgress = silent,
): Promise<string> {
  const reference = await findVirtualMachine(vim, inventoryPath, signal);
  for (const until = Date.now() + limitMs; Date.now() < until; await wait(250, undefined, { signal })) {
    const facts = await readVirtualMachine(vim, reference, signal);
    if (facts.address !== null) return facts.address;
    onProgress({
      step: `wait for ${facts.name}`,
      state: 'running',
      detail: facts.toolsRunning ? 'Tools run' : 'Tools do not run yet',
    });
  }
  throw new ClonaError(
    'machineFailed',
    `${inventoryPath} reported no address within ${Math.round(limitMs / 1000)} s`,
    {
      hint: 'see in its console whether it boots and whether VMware Tools run',
    },
  );
}

/** Connects or disconnects every network card (VirtualDeviceConnectInfo). */
export async function setNetworkConnected(
  vim: Vim,
  inventoryPath: string,
  connected: boolean,
  signal: AbortSignal,
): Promise<void> {
  const facts = await readVirtualMachine(vim, await findVirtualMachine(vim, inventoryPath, signal), signal);
  const deviceChange = facts.networkCards.map((card) => ({
    operation: 'edit',
    device: withConnection(card.definition, connected),
  }));
  const [task] = await vim.call('ReconfigVM_Task', facts.reference, { spec: { deviceChange } }, signal);
  const reference = moRef(task);
  if (reference !== undefined) await vim.follow(reference, signal);
}

/** The API checks the order of members: `connectable` stands right behind `backing`. */
function withConnection(definition: VimObject, connected: boolean): VimObject {
  const { $type, key, backing, ...rest } = definition;
  const connectable = { startConnected: connected, allowGuestControl: true, connected };
  return { ...($type === undefined ? {} : { $type }), key, backing, connectable, ...rest };
}
