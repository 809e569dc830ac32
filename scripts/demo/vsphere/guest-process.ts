import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { quoteSh } from '../../../src/guest/quote.ts';
import type { GuestOrder } from './guest-main.ts';
import { joinSockets } from './join-sockets.ts';

const execute = promisify(execFile);

/** `reachable`: from this host, and nothing from it. `inner`: from within their network only. `open`: this host's own. */
export type GuestNetwork = 'reachable' | 'inner' | 'open';

/** A guest that is on. */
export interface RunningGuest {
  process: ChildProcess;
  /** Process 1 of its namespaces, as this host counts. */
  init: number;
  /** Its open ports; none: it has no leg in this host's network. */
  network: readonly Server[];
  sockets: Set<Socket>;
}

const namespaces = ['--mount', '--net', '--pid', '--ipc', '--fork', '--kill-child', '--mount-proc'];

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

/** Takes the power: everything in its namespaces ends at once. */
export async function endGuest({ process: unshare, init, network, sockets }: RunningGuest): Promise<void> {
  for (const port of network) port.close();
  for (const socket of sockets) socket.destroy();
  if (unshare.exitCode !== null || unshare.signalCode !== null) return;
  const gone = once(unshare, 'exit');
  // The kernel ends everything in the namespaces before their first process is buried, by unshare, which ends then.
  process.kill(init, 'SIGKILL');
  await gone;
}

/** Ends the database as a service manager does when a machine shuts down; the guest goes on. */
export async function endDatabase({ init }: RunningGuest, dataDir: string): Promise<void> {
  const readPid = async (): Promise<string> =>
    readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const postmaster = Number.parseInt(await readPid(), 10);
  if (!Number.isInteger(postmaster)) return;
  // Numbers are the guest's own: a fast shutdown, asked for from inside.
  const inside = ['-t', String(init), '-p', '-m', 'kill', '-INT', String(postmaster)];
  await execute('nsenter', inside).catch(() => {});
  for (let tries = 0; tries < 500 && (await readPid()) !== ''; tries += 1) await wait(20);
}

/** As the kernel shows them: a folder a card, with its address in a file. */
async function layCards(folder: string, macs: readonly string[]): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const [index, mac] of macs.entries()) {
    await mkdir(join(folder, `ens${192 + index}`), { recursive: true, mode: 0o755 });
    await writeFile(join(folder, `ens${192 + index}`, 'address'), `${mac}\n`);
  }
}

/** A folder or a file of this host that a guest sees, as it would mount an NFS share. */
export interface GuestMount {
  from: string;
  to: string;
  readOnly: boolean;
}

/** Runs a script inside, as its service manager would; what comes of it is the script's own business. */
export async function runInside({ init }: RunningGuest, uid: number, script: string): Promise<void> {
  const as = ['--setuid', String(uid), '--setgid', String(uid)];
  await execute('nsenter', ['-t', String(init), '-m', '-n', '-p', '-i', ...as, '/bin/sh', script]).catch(
    () => {},
  );
}

export interface BootPlace {
  /** The machine's own folder. */
  at: string;
  places: { disks: string; mounts: string; net: string };
  name: string;
  address: string;
  port: number;
  network: GuestNetwork;
  /** Of its network cards. */
  macs: readonly string[];
  mounts: readonly GuestMount[];
  /** It can talk to itself over TCP, and has a /var/tmp of its own, empty at each start. */
  furnished: boolean;
  /** Ports beside SSH's that its network card answers on, each with the Unix socket on its data disk that they lead to. */
  ports: ReadonlyMap<number, string>;
}

/** 127.0.0.1 and no other address: the rest of 127/8 is what the machines beside it have here, as a network of theirs. */
const loopbackAlone = ['ip link set lo up', 'ip addr flush dev lo', 'ip addr add 127.0.0.1/32 dev lo'];

// Its own disks may lie there, and must stay in sight.
const ownTemporary = '{ case "$2" in /var/tmp/*) ;; *) mount -t tmpfs -o mode=1777 tmpfs /var/tmp ;; esac; }';

/**
 * $1 the machine's folder, $2 where disks are mounted, $3 its cards, $4 what it must not see; then the command. The
 * shell stays process 1: it buries the orphans that Node.js would leave as zombies.
 */
function firstProcess({ mounts, furnished }: Pick<BootPlace, 'mounts' | 'furnished'>): string {
  const more = mounts.flatMap(({ from, to, readOnly }) => [
    `mount --bind ${quoteSh(from)} ${quoteSh(to)}`,
    ...(readOnly ? [`mount -o remount,bind,ro ${quoteSh(to)}`] : []),
  ]);
  return `mount --make-rprivate / &&
mount --bind "$1/system" "$2/system" && mount --bind "$1/data" "$2/data" && mount --bind "$3" /sys/class/net &&
${[...more, ...(furnished ? [...loopbackAlone, ownTemporary] : [])].map((line) => `${line} &&\n`).join('')}mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs "$4" || exit 125
shift 4
"$@"
exit $?`;
}

/** Returns when the guest can be entered. */
export async function bootGuest(
  order: GuestOrder,
  { at, places, name, address, port, network: kind, macs, ...more }: BootPlace,
): Promise<RunningGuest> {
  await rm(order.socket, { force: true });
  await layCards(join(places.net, name), macs);
  const main = fileURLToPath(new URL('./guest-main.ts', import.meta.url));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', main];
  const spaces = namespaces.filter((option) => kind !== 'open' || option !== '--net');
  const shell = ['/bin/sh', '-c', firstProcess(more), 'sh'];
  const folders = [at, places.mounts, join(places.net, name), places.disks];
  const unshare = spawn('unshare', [...spaces, '--', ...shell, ...folders, ...node], { cwd: '/' });
  let said = '';
  unshare.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-2000)));
  unshare.stdin.on('error', () => {});
  unshare.stdin.write(`${JSON.stringify(order)}\n`);
  const up = once(unshare.stdout, 'data');
  const ended = once(unshare, 'exit').then(() =>
    Promise.reject(new Error(`the guest ${name} does not boot: ${said}`)),
  );
  await Promise.race([up, ended]);
  ended.catch(() => {});
  const init = Number((await readFile(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8')).trim());
  const sockets = new Set<Socket>();
  const network: Server[] = [];
  if (kind !== 'inner') {
    const leads = [...more.ports].map(([number, file]) => [number, join(at, 'data', file)] as const);
    for (const [number, socket] of [[port, order.socket] as const, ...leads])
      network.push(await openPort(address, number, socket, sockets));
  }
  return { process: unshare, init, network, sockets };
}

/** The guest's network card: what comes to a port of its address goes to the one socket behind it. */
async function openPort(
  address: string,
  port: number,
  socket: string,
  sockets: Set<Socket>,
): Promise<Server> {
  // Small answers to small questions: held back for each other (Nagle) they would cost 40 ms apiece.
  const network = createServer({ noDelay: true }, (near) => joinSockets(near, connect(socket), sockets));
  network.listen(port, address);
  await once(network, 'listening');
  return network;
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
export async function whileFrozen(guest: RunningGuest | undefined, work: () => Promise<void>): Promise<void> {
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
