import { mkdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { nobody } from '../../../src/databases/postgres/server-cluster.ts';
import type { GuestAddress } from '../../../src/guest/guest.ts';
import { generateKeys } from '../../../src/machines/local/keys.ts';
import { openGuestDisks } from './guest-disks.ts';
import type { GuestOrder } from './guest-main.ts';
import {
  bootGuest,
  endDatabase,
  endGuest,
  runInside,
  whileFrozen,
  type GuestMount,
  type GuestNetwork,
  type RunningGuest,
} from './guest-process.ts';

/** Machines with real disks, processes and SSH, for a simulated vCenter that has none. Each is known by a name of its own. */
export interface GuestHost extends AsyncDisposable {
  /** The same paths in every guest, each with disks of its own there. */
  systemDisk: string;
  dataDisk: string;
  user: string;
  port: number;
  privateKeyFile: string;
  /** Who everything in a guest runs as, on this host. */
  uid: number;
  /** With empty disks, or with those of another one as they are at this moment (or were in a snapshot), its host key among them. */
  create: (name: string, source?: { name: string; snapshot?: string }) => Promise<void>;
  /** Off first. Gone already: nothing happens. */
  remove: (name: string) => Promise<void>;
  /** Returns when it can be entered, and where. `macs`: of its network cards. */
  powerOn: (name: string, macs: readonly string[], options?: PowerOnOptions) => Promise<string>;
  /** At the SSH port of an `inner` machine, for who has a leg in their network; undefined: nobody there has the address. */
  dialInside: (address: string) => Socket | undefined;
  /** All at once, as a power cut. */
  powerOff: (name: string) => Promise<void>;
  /** As an operating system does it: services end first. */
  shutDown: (name: string) => Promise<void>;
  isOn: (name: string) => boolean;
  snapshot: (name: string, snapshot: string) => Promise<void>;
  /** Off afterwards. */
  revert: (name: string, snapshot: string) => Promise<void>;
  removeSnapshot: (name: string, snapshot: string) => Promise<void>;
  /** On this host's loopback: what its network card answers to while it is on. */
  address: (name: string) => string;
  hostKey: (name: string) => Promise<string>;
  /** As an installation at the first boot does it. */
  renewHostKey: (name: string) => Promise<void>;
  /** Where a disk is on this host. */
  disk: (name: string, disk: 'system' | 'data') => string;
}

/** What guests have beside disks, SSH and cards. */
export interface GuestHostOptions {
  /** They can talk to themselves over TCP, and have a /var/tmp of their own. */
  furnished?: boolean;
  /** Seen by all of them. */
  mounts?: readonly GuestMount[];
  /** Of services, on machines that are started with `serves`: port and the Unix socket on the data disk behind it. */
  ports?: ReadonlyMap<number, string>;
}

/** Of one start. */
export interface PowerOnOptions {
  /** Default reachable. */
  network?: GuestNetwork;
  /** Seen by this machine. */
  mounts?: readonly GuestMount[];
  /** Its services are reached from this host, not its SSH server alone. */
  serves?: boolean;
}

const port = 2222;

/**
 * `folder` must be one that everybody may pass through, and short: sockets are in it. A guest sees its own disks alone,
 * has no network but its SSH port, and network cards with the addresses that its VM has.
 */
export async function openGuestHost(
  folder: string,
  { furnished = false, mounts = [], ports = new Map() }: GuestHostOptions = {},
): Promise<GuestHost> {
  const places = { disks: join(folder, 'vms'), mounts: join(folder, 'mnt'), net: join(folder, 'net') };
  for (const place of [places.disks, places.net, join(places.mounts, 'system'), join(places.mounts, 'data')])
    await mkdir(place, { recursive: true, mode: 0o711 });
  const client = generateKeys('clona');
  const privateKeyFile = join(folder, 'guest-key');
  await writeFile(privateKeyFile, client.private, { mode: 0o600 });
  const disks = openGuestDisks(places.disks);
  const running = new Map<string, RunningGuest>();
  const addresses = new Map<string, string>();
  // A net of its own in 127/8, so that hosts beside each other do not meet.
  const net = `127.${1 + Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}`;
  const systemDisk = join(places.mounts, 'system');
  const user = 'erp';
  const orderFor = async (name: string): Promise<GuestOrder> => ({
    hostKey: await disks.readHostKey(name),
    authorizedKeys: [client.public],
    user,
    uid: nobody.uid,
    home: systemDisk,
    bootScript: join(systemDisk, 'boot'),
    socket: join(places.net, `${name}.ssh`),
  });
  const powerOff = async (name: string): Promise<void> => {
    const guest = running.get(name);
    running.delete(name);
    if (guest !== undefined) await endGuest(guest);
  };
  return {
    systemDisk,
    dataDisk: join(places.mounts, 'data'),
    user,
    port,
    privateKeyFile,
    uid: nobody.uid,
    powerOff,
    isOn: (name) => running.has(name),
    address: (name) => addresses.get(name) ?? '',
    disk: (name, disk) => disks.place(name, disk),
    hostKey: disks.readFingerprint,
    renewHostKey: disks.renewHostKey,
    removeSnapshot: disks.removeSnapshot,
    snapshot: async (name, snapshot) =>
      whileFrozen(running.get(name), async () => disks.snapshot(name, snapshot)),
    async create(name, source) {
      addresses.set(name, `${net}.${10 + addresses.size}`);
      if (source === undefined) return disks.createEmpty(name);
      await whileFrozen(running.get(source.name), async () => disks.copyFrom(source, name));
    },
    async remove(name) {
      await powerOff(name);
      await disks.remove(name);
    },
    dialInside(address) {
      const [name] = [...addresses].find(([, own]) => own === address) ?? [];
      const guest = running.get(name ?? '');
      return guest === undefined || guest.network.length > 0
        ? undefined
        : connect(join(places.net, `${name}.ssh`));
    },
    async powerOn(name, macs, { network = 'reachable', mounts: own = [], serves = false } = {}) {
      const address = addresses.get(name);
      if (address === undefined) throw new Error(`there is no machine ${name}`);
      if (running.has(name)) return address;
      const place = { at: disks.place(name), places, name, address, port, network, macs, furnished };
      const more = { mounts: [...mounts, ...own], ports: serves ? ports : new Map() };
      running.set(name, await bootGuest(await orderFor(name), { ...place, ...more }));
      return address;
    },
    async shutDown(name) {
      const guest = running.get(name);
      if (guest !== undefined) {
        await endDatabase(guest, disks.place(name, 'data', 'pg'));
        await runInside(guest, nobody.uid, join(systemDisk, 'halt'));
      }
      await powerOff(name);
    },
    async revert(name, snapshot) {
      await powerOff(name);
      await disks.revert(name, snapshot);
    },
    async [Symbol.asyncDispose]() {
      for (const name of running.keys()) await powerOff(name);
    },
  };
}

/** The way into a machine that is on, by SSH. */
export async function guestAddress(host: GuestHost, name: string): Promise<GuestAddress> {
  return {
    endpoint: { kind: 'tcp', host: host.address(name), port: host.port },
    user: host.user,
    privateKeyFile: host.privateKeyFile,
    hostKey: await host.hostKey(name),
    platform: 'linux',
  };
}
