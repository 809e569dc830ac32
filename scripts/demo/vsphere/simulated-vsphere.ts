import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openVim, type Vim } from '../../../src/machines/vsphere/client.ts';
import { text } from '../../../src/machines/vsphere/soap.ts';
import { findVirtualMachine, readVirtualMachine } from '../../../src/machines/vsphere/virtual-machine.ts';
import type { GuestMount, GuestNetwork } from './guest-process.ts';
import { openGuestHost, type GuestHost, type GuestHostOptions } from './guests.ts';
import { openVcenterFront, type VimCall } from './vcenter-front.ts';
import { startVcsim } from './vcsim.ts';

const execute = promisify(execFile);

/** A simulated vCenter whose virtual machines are real ones of this host. */
export interface SimulatedVsphere extends AsyncDisposable {
  /** host:port of the vCenter; user and password are what the simulator takes. */
  server: string;
  user: string;
  password: string;
  guests: GuestHost;
  /** What stands behind a VM of the inventory. */
  guestOf: (vm: string) => Promise<string>;
  /** govc against it, so that what is done by hand has its effect, too. */
  govc: (...args: string[]) => Promise<string>;
  /** Straight at the simulator: what people see of a VM may be arranged. */
  arrange: (...args: string[]) => string;
  settings: SimulationSettings;
}

export interface SimulationSettings {
  /** False: VMware Tools never tell an address. */
  tellsAddress: (vm: string) => boolean;
  /** What Tools tell instead of the real address. */
  address: (vm: string, real: string) => string;
  /** A clone makes itself a new host key at its first boot. */
  renewsHostKey: boolean;
  /** Who alone may change production, as a vCenter's permissions say it; undefined: everybody may do everything. */
  director: string | undefined;
  /** Of clones. `open`: their port group leads to this host's own network, and so to production. */
  network: GuestNetwork;
  /** What a machine sees of this host. */
  mounts: (vm: string) => readonly GuestMount[];
}

/** Production in the simulator's own inventory. */
const firstMachine = 'DC0_H0_VM0';
const methods = new Set([
  'CloneVM_Task',
  'PowerOnVM_Task',
  'PowerOnMultiVM_Task',
  'PowerOffVM_Task',
  'ShutdownGuest',
  'CreateSnapshot_Task',
  'RevertToSnapshot_Task',
  'RemoveSnapshot_Task',
  'Destroy_Task',
]);

/** Starts it with production powered on, with empty disks. */
export async function startSimulatedVsphere(
  folder: string,
  live: string = firstMachine,
  guestOptions: GuestHostOptions = {},
  given: Partial<SimulationSettings> = {},
): Promise<SimulatedVsphere> {
  await using opened = new AsyncDisposableStack();
  const vcsim = opened.use(await startVcsim());
  const guests = opened.use(await openGuestHost(folder, guestOptions));
  const settings: SimulationSettings = {
    tellsAddress: () => true,
    address: (_vm, real) => real,
    renewsHostKey: false,
    director: undefined,
    network: 'reachable',
    mounts: () => [],
    ...given,
  };
  const own = { server: vcsim.server, user: vcsim.user, password: vcsim.password, allowUnverifiedTls: true };
  const signal = new AbortController().signal;
  const vim = opened.use(await openVim(own, signal));
  if (live !== firstMachine) vcsim.govc('vm.change', '-vm', firstMachine, '-name', live);
  const guestOf = async (vm: string): Promise<string> =>
    (await findVirtualMachine(vim, `/DC0/vm/${vm}`, signal)).moref;
  const liveId = await guestOf(live);
  const world: World = { vim, guests, live, liveId, settings, owners: new Map(), arrange: vcsim.govc };
  const front = opened.use(
    await openVcenterFront(
      vcsim.server,
      (method) => methods.has(method),
      async (call) => follow(world, call),
      (user, method, target) => refuse(world, user, method, target),
    ),
  );
  // The simulator leaves out what a real vCenter says of every machine.
  vcsim.govc('vm.change', '-vm', live, '-e', 'SET.config.version=vmx-0');
  vcsim.govc('vm.change', '-vm', live, '-e', 'SET.config.swapPlacement=inherit');
  await guests.create(liveId);
  await powerOn(world, liveId);
  const owned = opened.move();
  return {
    server: front.server,
    user: vcsim.user,
    password: vcsim.password,
    guests,
    settings,
    guestOf,
    arrange: vcsim.govc,
    govc: (...args) => runGovc(vcsim.tools, front.server, vcsim, args),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

interface World {
  vim: Vim;
  guests: GuestHost;
  /** Name of production's VM, and its reference. */
  live: string;
  liveId: string;
  settings: SimulationSettings;
  /** Snapshot → VM. */
  owners: Map<string, string>;
  arrange: (...args: string[]) => string;
}

/** Changes of production are the director's alone, and nothing else is; a session of nobody is refused anyway. */
function refuse(
  { settings, owners, liveId }: World,
  user: string,
  method: string,
  target: string,
): string | undefined {
  const changes = methods.has(method) || method === 'ReconfigVM_Task';
  if (settings.director === undefined || user === '' || !changes) return undefined;
  // A clone is made by a call on production, and leaves it as it is.
  const isProduction = (owners.get(target) ?? target) === liveId && method !== 'CloneVM_Task';
  return isProduction === (user === settings.director) ? undefined : `VirtualMachine.${method}`;
}

/** Does to the guest what was done to the VM; what the simulator refused, or failed at, has no effect. */
async function follow(world: World, { method, target, body, task }: VimCall): Promise<void> {
  const { guests, owners } = world;
  const result = await outcome(world, task);
  if (result === undefined) return;
  switch (method) {
    case 'CloneVM_Task': {
      const [, snapshot] = /<snapshot[^>]*type="VirtualMachineSnapshot"[^>]*>([^<]+)</.exec(body) ?? [];
      await guests.create(result, { name: target, ...(snapshot === undefined ? {} : { snapshot }) });
      if (world.settings.renewsHostKey) await guests.renewHostKey(result);
      if (/<powerOn>true<\/powerOn>/.test(body)) await powerOn(world, result);
      return;
    }
    case 'PowerOnVM_Task':
      return powerOn(world, target);
    case 'PowerOnMultiVM_Task':
      for (const [, vm = ''] of body.matchAll(/<vm[^>]*>([^<]+)</g)) await powerOn(world, vm);
      return;
    case 'PowerOffVM_Task':
      return guests.powerOff(target);
    case 'ShutdownGuest':
      return guests.shutDown(target);
    case 'CreateSnapshot_Task':
      owners.set(result, target);
      return guests.snapshot(target, result);
    case 'RevertToSnapshot_Task':
    case 'RemoveSnapshot_Task': {
      const vm = owners.get(target);
      if (vm === undefined) return;
      return method === 'RemoveSnapshot_Task' ? guests.removeSnapshot(vm, target) : guests.revert(vm, target);
    }
    default:
      return guests.remove(target);
  }
}

/** What the task made, empty where it made nothing; undefined: it failed. */
async function outcome({ vim }: World, task: string | undefined): Promise<string | undefined> {
  if (task === undefined) return '';
  try {
    return text(await vim.follow({ type: 'Task', moref: task }, AbortSignal.timeout(60_000)));
  } catch {
    return undefined;
  }
}

async function powerOn({ vim, guests, live, settings, arrange }: World, id: string): Promise<void> {
  const facts = await readVirtualMachine(
    vim,
    { type: 'VirtualMachine', moref: id },
    AbortSignal.timeout(60_000),
  );
  const real = await guests.powerOn(
    id,
    facts.networkCards.map(({ mac }) => mac),
    {
      network: facts.name === live ? 'reachable' : settings.network,
      mounts: settings.mounts(facts.name),
      serves: facts.name === live,
    },
  );
  if (!settings.tellsAddress(facts.name)) return;
  const address = settings.address(facts.name, real);
  arrange('vm.change', '-vm', facts.name, '-e', `SET.guest.ipAddress=${address}`);
}

async function runGovc(
  tools: string,
  server: string,
  { user, password }: { user: string; password: string },
  args: readonly string[],
): Promise<string> {
  const env = { ...process.env, GOVC_URL: `https://${user}:${password}@${server}/sdk`, GOVC_INSECURE: '1' };
  // Not held up for: the one who answers is this very process.
  return (await execute(join(tools, 'govc'), args, { env })).stdout;
}
