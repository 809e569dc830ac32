import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, copyFile, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { fingerprint } from '../../../src/guest/open.ts';
import { generateKeys } from '../../../src/machines/local/keys.ts';
import { nobody } from '../../../src/databases/postgres/server-cluster.ts';
import type { GuestOrder } from './guest-main.ts';

const execute = promisify(execFile);

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
  powerOn: (name: string, macs: readonly string[], network?: GuestNetwork) => Promise<string>;
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

/** `reachable`: from this host, and nothing from it. `inner`: from within their network only. `open`: this host's own. */
export type GuestNetwork = 'reachable' | 'inner' | 'open';

interface Running {
  process: ChildProcess;
  /** Process 1 of its namespaces, as this host counts. */
  init: number;
  /** Undefined: it has no leg in this host's network. */
  network: Server | undefined;
  sockets: Set<Socket>;
}

/** What the host must offer: namespaces, which only root may make. */
export async function canRunGuests(): Promise<boolean> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const mounts =
    'mount --make-rprivate / && mount -t tmpfs tmpfs /dev/shm && mount --bind /dev/shm /sys/class/net';
  return execute('unshare', [...namespaces, '--', '/bin/sh', '-c', mounts]).then(
    () => true,
    () => false,
  );
}

const namespaces = ['--mount', '--net', '--pid', '--ipc', '--fork', '--kill-child', '--mount-proc'];

/**
 * `folder` must be one that everybody may pass through, and short: sockets are in it. A guest sees its own disks alone,
 * has no network but its SSH port, and network cards with the addresses that its VM has.
 */
export async function openGuestHost(folder: string): Promise<GuestHost> {
  const places = {
    disks: join(folder, 'vms'),
    mounts: join(folder, 'mnt'),
    net: join(folder, 'net'),
  };
  for (const place of [places.disks, places.net, join(places.mounts, 'system'), join(places.mounts, 'data')])
    await mkdir(place, { recursive: true, mode: 0o711 });
  const client = generateKeys('clona');
  const privateKeyFile = join(folder, 'guest-key');
  await writeFile(privateKeyFile, client.private, { mode: 0o600 });
  const running = new Map<string, Running>();
  const addresses = new Map<string, string>();
  // A net of its own in 127/8, so that hosts beside each other do not meet.
  const net = `127.${1 + Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}`;
  const port = 2222;
  const at = (name: string, ...rest: string[]): string => join(places.disks, name, ...rest);
  const copy = async (from: string, to: string): Promise<void> => {
    await rm(to, { recursive: true, force: true });
    await execute('cp', ['-a', '--reflink=auto', from, to]);
  };

  const powerOff = async (name: string): Promise<void> => {
    const guest = running.get(name);
    if (guest === undefined) return;
    running.delete(name);
    guest.network?.close();
    for (const socket of guest.sockets) socket.destroy();
    const { process: unshare } = guest;
    if (unshare.exitCode === null && unshare.signalCode === null) {
      const gone = once(unshare, 'exit');
      unshare.kill('SIGKILL');
      await gone;
    }
    // The kernel ends everything in the namespaces with their first process.
    while ((await processesOf(guest.init)).length > 0) await new Promise((done) => setTimeout(done, 10));
  };
  const host: GuestHost = {
    systemDisk: join(places.mounts, 'system'),
    dataDisk: join(places.mounts, 'data'),
    user: 'erp',
    port,
    privateKeyFile,
    uid: nobody.uid,
    disk: (name, disk) => at(name, disk),
    isOn: (name) => running.has(name),
    address: (name) => addresses.get(name) ?? '',
    powerOff,
    async create(name, source) {
      await mkdir(at(name, 'snapshots'), { recursive: true, mode: 0o711 });
      addresses.set(name, `${net}.${10 + addresses.size}`);
      const from = source === undefined ? undefined : frozenPlace(at, source);
      if (from === undefined || source === undefined) {
        for (const disk of ['system', 'data']) {
          await mkdir(at(name, disk), { mode: 0o755 });
          await chown(at(name, disk), nobody.uid, nobody.gid);
        }
        await writeFile(at(name, 'host-key'), generateKeys(name).private, { mode: 0o600 });
        return;
      }
      await whileFrozen(running.get(source.name), async () => {
        for (const disk of ['system', 'data']) await copy(join(from, disk), at(name, disk));
      });
      await copyFile(at(source.name, 'host-key'), at(name, 'host-key'));
    },
    async remove(name) {
      await powerOff(name);
      await rm(at(name), { recursive: true, force: true });
    },
    dialInside(address) {
      const [name] = [...addresses].find(([, own]) => own === address) ?? [];
      if (name === undefined || running.get(name)?.network !== undefined) return undefined;
      return running.has(name) ? connect(join(places.net, `${name}.ssh`)) : undefined;
    },
    async powerOn(name, macs, network = 'reachable') {
      const address = addresses.get(name);
      if (address === undefined) throw new Error(`there is no machine ${name}`);
      if (running.has(name)) return address;
      await layCards(join(places.net, name), macs);
      const order: GuestOrder = {
        hostKey: await readFile(at(name, 'host-key'), 'utf8'),
        authorizedKeys: [client.public],
        user: host.user,
        uid: nobody.uid,
        home: host.systemDisk,
        bootScript: join(host.systemDisk, 'boot'),
        socket: join(places.net, `${name}.ssh`),
      };
      running.set(name, await boot(order, { at: at(name), places, name, address, port, network }));
      return address;
    },
    async shutDown(name) {
      const guest = running.get(name);
      if (guest === undefined) return;
      const text = await readFile(at(name, 'data', 'pg', 'postmaster.pid'), 'utf8').catch(() => '');
      const postmaster = Number.parseInt(text, 10);
      if (Number.isInteger(postmaster)) {
        // Numbers are the guest's own: pg_ctl's fast shutdown, from inside.
        await execute('nsenter', [
          '-t',
          String(guest.init),
          '-p',
          '-m',
          'kill',
          '-INT',
          String(postmaster),
        ]).catch(() => {});
        for (let tries = 0; tries < 500; tries += 1) {
          const left = await readFile(at(name, 'data', 'pg', 'postmaster.pid'), 'utf8').catch(() => '');
          if (left === '') break;
          await new Promise((done) => setTimeout(done, 20));
        }
      }
      await powerOff(name);
    },
    async snapshot(name, snapshot) {
      await mkdir(at(name, 'snapshots', snapshot), { recursive: true });
      await whileFrozen(running.get(name), async () => {
        for (const disk of ['system', 'data'])
          await copy(at(name, disk), at(name, 'snapshots', snapshot, disk));
      });
    },
    async revert(name, snapshot) {
      await powerOff(name);
      for (const disk of ['system', 'data'])
        await copy(at(name, 'snapshots', snapshot, disk), at(name, disk));
    },
    async removeSnapshot(name, snapshot) {
      await rm(at(name, 'snapshots', snapshot), { recursive: true, force: true });
    },
    async hostKey(name) {
      const parsed = ssh2.utils.parseKey(await readFile(at(name, 'host-key'), 'utf8'));
      if (parsed instanceof Error) throw parsed;
      return fingerprint(parsed.getPublicSSH());
    },
    async renewHostKey(name) {
      await writeFile(at(name, 'host-key'), generateKeys(name).private, { mode: 0o600 });
    },
    async [Symbol.asyncDispose]() {
      for (const name of running.keys()) await powerOff(name);
    },
  };
  return host;
}

function frozenPlace(
  at: (name: string, ...rest: string[]) => string,
  { name, snapshot }: { name: string; snapshot?: string },
): string {
  return snapshot === undefined ? at(name) : at(name, 'snapshots', snapshot);
}

/** As the kernel shows them: a folder a card, with its address in a file. */
async function layCards(folder: string, macs: readonly string[]): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const [index, mac] of macs.entries()) {
    await mkdir(join(folder, `ens${192 + index}`), { recursive: true, mode: 0o755 });
    await writeFile(join(folder, `ens${192 + index}`, 'address'), `${mac}\n`);
  }
}

interface BootPlace {
  /** The machine's own folder. */
  at: string;
  places: { disks: string; mounts: string; net: string };
  name: string;
  address: string;
  port: number;
  network: GuestNetwork;
}

async function boot(
  order: GuestOrder,
  { at, places, name, address, port, network: kind }: BootPlace,
): Promise<Running> {
  await rm(order.socket, { force: true });
  const main = fileURLToPath(new URL('./guest-main.ts', import.meta.url));
  // The shell stays process 1: it buries the orphans that Node.js would leave as zombies.
  const script = `mount --make-rprivate / &&
mount --bind "$1/system" "$2/system" && mount --bind "$1/data" "$2/data" && mount --bind "$3" /sys/class/net &&
mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs "$4" || exit 125
shift 4
"$@"
exit $?`;
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', main];
  const unshare = spawn(
    'unshare',
    [
      ...namespaces.filter((option) => kind !== 'open' || option !== '--net'),
      '--',
      '/bin/sh',
      '-c',
      script,
      'sh',
      at,
      places.mounts,
      join(places.net, name),
      places.disks,
      ...node,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' },
  );
  unshare.stdin.on('error', () => {});
  unshare.stdin.write(`${JSON.stringify(order)}\n`);
  const up = once(unshare.stdout, 'data');
  const ended = once(unshare, 'exit').then(() =>
    Promise.reject(new Error(`the guest ${name} does not boot`)),
  );
  await Promise.race([up, ended]);
  ended.catch(() => {});
  const init = Number((await readFile(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8')).trim());
  const sockets = new Set<Socket>();
  if (kind === 'inner') return { process: unshare, init, network: undefined, sockets };
  const network = createServer((near) => joinSockets(near, order.socket, sockets));
  network.listen(port, address);
  await once(network, 'listening');
  return { process: unshare, init, network, sockets };
}

/** The guest's network card: what comes to its address goes to its SSH server and nowhere else. */
function joinSockets(near: Socket, socket: string, sockets: Set<Socket>): void {
  const far = connect(socket);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    sockets.add(one);
    one.on('error', () => other.destroy());
    one.once('close', () => {
      sockets.delete(one);
      other.destroy();
    });
    one.pipe(other);
  }
}

/** Everything in the namespaces of `init`, itself among it. */
async function processesOf(init: number): Promise<number[]> {
  const own = await readlink(`/proc/${init}/ns/pid`).catch(() => undefined);
  if (own === undefined) return [];
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const namespace = await readlink(`/proc/${name}/ns/pid`).catch(() => undefined);
    if (namespace === own) found.push(Number(name));
  }
  return found;
}

/** Both disks of one moment. */
async function whileFrozen(guest: Running | undefined, work: () => Promise<void>): Promise<void> {
  const pids = guest === undefined ? [] : await processesOf(guest.init);
  const tell = (signal: NodeJS.Signals): void => {
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // it ended in this very moment
      }
    }
  };
  tell('SIGSTOP');
  try {
    await work();
  } finally {
    tell('SIGCONT');
  }
}
