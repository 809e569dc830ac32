import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Guest } from '../../src/guest/guest.ts';
import { openTcpBridge } from '../../src/guest/tcp-bridge.ts';
import { ClonaError } from '../../src/errors.ts';
import type { MachineFacts, Machines } from '../../src/machines/machines.ts';
import type { Platform } from '../../src/pipeline/machine/platform.ts';
import { clearOracle } from '../../src/pipeline/oracle/clear.ts';
import { productionAddress, stagingAddress } from '../../src/pipeline/oracle/settings.ts';
import type { Site } from '../../src/site/site.ts';
import type { NewOracleDatabase } from '../oracle-sim/guest/dbca.ts';
import type { OracleMachineSettings } from '../oracle-sim/guest/machine.ts';
import { writeTools } from '../oracle-sim/machine/tools.ts';
import { createHostGuest } from './host-guest.ts';

const program = fileURLToPath(new URL('../oracle-sim/guest/main.ts', import.meta.url));

/** The folders of one machine: `disk` is what a snapshot holds. */
function places(root: string, name: string) {
  const top = join(root, name);
  const disk = join(top, 'disk');
  const home = join(disk, 'system', 'oracle');
  return {
    top,
    disk,
    home,
    system: join(disk, 'system'),
    data: join(disk, 'data'),
    snapshots: join(top, 'snapshots'),
    pid: join(top, 'pid'),
    facts: join(top, 'machine.json'),
    socket: join(top, 'l'),
  };
}

export const oracleHome = (root: string, name: string): string => places(root, name).home;
export const oracleDisks = (root: string, name: string): { system: string; data: string } =>
  places(root, name);

/** LIVE: a machine with the simulated Oracle of test/oracle-sim/guest and a database. */
export async function createOracleLive(
  root: string,
  database: Omit<NewOracleDatabase, 'sid' | 'databaseName' | 'folder' | 'startsAtBoot'>,
): Promise<void> {
  const { data, home } = places(root, 'live');
  await mkdir(data, { recursive: true });
  await install(root, 'live', 'live');
  await boot(root, 'live');
  const wanted: NewOracleDatabase = {
    ...database,
    sid: 'ERP',
    databaseName: 'ERP',
    folder: join(data, 'u02'),
    startsAtBoot: false,
  };
  const signal = AbortSignal.timeout(60_000);
  const made = await createHostGuest(data).run([join(home, 'bin', 'dbca')], {
    signal,
    stdin: JSON.stringify(wanted),
  });
  if (made.exitCode !== 0) throw new Error(made.stdout + made.stderr);
}

async function install(root: string, name: string, role: MachineFacts['role']): Promise<void> {
  const { home, facts, socket } = places(root, name);
  await mkdir(join(home, 'dbs'), { recursive: true });
  await writeTools(home, process.execPath, { more: ['dbca'] });
  const settings: OracleMachineSettings = { home, hostName: name, port: 0, socket, logBytes: 10_000_000 };
  await writeFile(join(home, 'machine.json'), JSON.stringify(settings));
  await writeFile(facts, JSON.stringify({ role, createdAt: new Date().toISOString() }));
}

async function boot(root: string, name: string): Promise<void> {
  const { home, pid } = places(root, name);
  if (isRunning(root, name)) return;
  await rm(join(home, 'ready'), { force: true });
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, join(home, 'machine.json')],
    {
      detached: true,
      stdio: 'ignore',
    },
  );
  child.unref();
  await once(child, 'spawn');
  await writeFile(pid, String(child.pid));
  while (!existsSync(join(home, 'ready'))) {
    if (!isRunning(root, name)) throw new Error(`the machine ${name} does not start`);
    await wait(20);
  }
}

/** A process whose parent nobody waits for stays as a zombie: it is dead all the same. */
function isRunning(root: string, name: string): boolean {
  const { pid } = places(root, name);
  if (!existsSync(pid)) return false;
  try {
    const text = readFileSync(`/proc/${readFileSync(pid, 'utf8')}/stat`, 'utf8');
    return !/^\d+ \(.*\) Z/.test(text);
  } catch {
    return false;
  }
}

/** The power is cut. */
async function cut(root: string, name: string): Promise<void> {
  const { pid } = places(root, name);
  if (isRunning(root, name)) process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
  while (isRunning(root, name)) await wait(10);
  await rm(pid, { force: true });
}

export async function cutAllOracleMachines(root: string): Promise<void> {
  for (const name of await readdir(root)) await cut(root, name);
}

export interface OraclePlatformHooks {
  /** Told when a command has run on a machine, before anybody knows of it: where a test kills its own process. */
  afterCommand?: (machine: string, argv: readonly string[], stdin: string) => void;
}

/**
 * Machines that are folders, each with a process of the simulated Oracle: snapshots are copies of a folder, a clone is one of LIVE's, and
 * a power cut is a kill. Everything it knows lies in those folders, so that another process goes on with them.
 */
export function openOraclePlatform(site: Site, root: string, hooks: OraclePlatformHooks = {}): Platform {
  const machines = machinesIn(root);
  const start: Platform['start'] = async (name, { signal }) => machines.powerOn(name, signal);
  return {
    machines,
    bootsDatabase: true,
    start,
    openDoor: async (facts, signal) => {
      const guest = guestOf(root, facts.name, hooks);
      const near = await openTcpBridge(async () => guest, { host: '127.0.0.1', port: 1521 }, signal);
      const address =
        facts.role === 'live' ? await productionAddress(site, near) : await stagingAddress(site, near);
      return {
        address,
        guest,
        verify: async () => {},
        [Symbol.asyncDispose]: async () => near[Symbol.asyncDispose](),
      };
    },
    holdsDatabase: async () => true,
    requireWholeSnapshot: async () => {},
    findRoutes: async () => [],
    makeStaging: async (name) => {
      await makeClone(root, name);
      await boot(root, name);
      return { isolation: 'network', engine: 'folders' };
    },
    removeStaging: async (name) => {
      await cut(root, name);
      await rm(places(root, name).top, { recursive: true, force: true });
    },
    clearForRestore: async (facts, _door, guest, key, signal) => clearOracle(site, facts, guest, key, signal),
  };
}

function guestOf(root: string, name: string, { afterCommand }: OraclePlatformHooks): Guest {
  const { data, socket } = places(root, name);
  const guest = createHostGuest(data);
  return {
    ...guest,
    run: async (argv, options) => {
      const result = await guest.run(argv, options);
      afterCommand?.(name, argv, typeof options.stdin === 'string' ? options.stdin : '');
      return result;
    },
    forward: async () => {
      const stream = connect(socket);
      await once(stream, 'connect');
      return stream;
    },
  };
}

/** LIVE's disks under another name; of its database only the files go with it, as on a machine that does not start it. */
async function makeClone(root: string, name: string): Promise<void> {
  const [live, clone] = [places(root, 'live'), places(root, name)];
  if (existsSync(clone.facts)) return;
  await rm(clone.top, { recursive: true, force: true });
  await mkdir(clone.top, { recursive: true });
  await cp(live.disk, clone.disk, { recursive: true, filter: isPlain });
  // Its paths are LIVE's own: on a real clone they are the clone's.
  await rm(join(clone.home, 'dbs'), { recursive: true, force: true });
  await rm(join(clone.home, 'oratab'), { force: true });
  await install(root, name, 'staging');
}

async function isPlain(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true || found?.isDirectory() === true;
}

function machinesIn(root: string): Machines {
  const describe = async (name: string): Promise<MachineFacts> => {
    const { facts, system, data, socket } = places(root, name);
    const text = await readFile(facts, 'utf8').catch(() => {
      throw new ClonaError('machineFailed', `there is no machine ${name}`);
    });
    const { role, createdAt } = JSON.parse(text) as Pick<MachineFacts, 'role' | 'createdAt'>;
    return {
      name,
      platform: 'vsphere',
      role,
      power: isRunning(root, name) ? 'on' : 'off',
      guest: {
        endpoint: { kind: 'socket', path: socket },
        user: 'oracle',
        privateKeyFile: '',
        hostKey: '',
        platform: 'linux',
      },
      database: { engine: 'oracle', host: '', port: 1521, database: 'ERP', user: 'CLONA' },
      isolation: role === 'live' ? 'none' : 'network',
      createdAt,
      expiresAt: null,
      systemDisk: system,
      dataDisk: data,
    };
  };
  const snapshotPath = (name: string, snapshot: string): string =>
    join(places(root, name).snapshots, snapshot);
  const list = async (name: string): Promise<string[]> =>
    (await readdir(places(root, name).snapshots).catch(() => [])).filter((one) => !one.endsWith('.part'));
  return {
    platform: 'vsphere',
    describe,
    powerOn: async (name) => boot(root, name),
    powerOff: async (name) => cut(root, name),
    createSnapshot: async (name, snapshot) => {
      const path = snapshotPath(name, snapshot);
      const { disk } = places(root, name);
      if (!existsSync(path)) {
        await rm(`${path}.part`, { recursive: true, force: true });
        await cp(disk, `${path}.part`, { recursive: true, filter: isPlain });
        const { rename } = await import('node:fs/promises');
        await rename(`${path}.part`, path);
      }
      return { name: snapshot, createdAt: new Date().toISOString(), escapes: [] };
    },
    revertSnapshot: async (name, snapshot) => {
      const path = snapshotPath(name, snapshot);
      if (!existsSync(path)) throw new ClonaError('machineFailed', `there is no snapshot ${snapshot}`);
      await cut(root, name);
      const { disk } = places(root, name);
      await rm(disk, { recursive: true, force: true });
      await cp(path, disk, { recursive: true });
    },
    removeSnapshot: async (name, snapshot) =>
      rm(snapshotPath(name, snapshot), { recursive: true, force: true }),
    listSnapshots: async (name) =>
      (await list(name)).map((one) => ({ name: one, createdAt: '', escapes: [] })),
    probeIsolation: async () => [],
  };
}
