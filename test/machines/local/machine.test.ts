import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalMachine } from '../../../src/machines/local/create.ts';
import { destroyLocalMachine } from '../../../src/machines/local/destroy.ts';
import { machinePaths, requireName } from '../../../src/machines/local/layout.ts';
import { listLocalMachines } from '../../../src/machines/local/local-machines.ts';
import { withFileLock } from '../../../src/machines/local/lock.ts';
import { canIsolateNetwork } from '../../../src/machines/local/network.ts';
import { listProcesses, processStamp } from '../../../src/machines/local/processes.ts';
import { chooseMachinesRoot, runsAsRoot } from '../../../src/machines/local/reach.ts';
import { findServer } from '../../../src/machines/local/ssh-process.ts';
import { canMount, fillDisk, mountSmallDisk } from '../../support/small-disk.ts';
import { createTestMachine, listLeftovers, makeTestFolder, type TestMachine } from '../../support/machine.ts';

const { signal } = new AbortController();
const network = await canIsolateNetwork();
const isRoot = runsAsRoot();

describe('a local machine', () => {
  let live: TestMachine;
  beforeAll(async () => {
    live = await createTestMachine({ role: 'live' });
  });
  afterAll(async () => live[Symbol.asyncDispose]());

  test('commands begin on the system disk with a clean environment', async () => {
    await using guest = await live.openGuest();
    const { stdout } = await guest.runShell('pwd; echo "$HOME"; env | cut -d= -f1 | sort | tr "\\n" " "', {
      signal,
    });
    const [folder, home, names] = stdout.trim().split('\n');
    expect(folder).toBe(live.facts.systemDisk);
    expect(home).toBe(live.facts.systemDisk);
    expect(names?.trim().split(' ')).toEqual([
      'CLONA_MACHINE',
      'HOME',
      'LANG',
      'LOGNAME',
      'PATH',
      'PWD',
      'SHELL',
      'USER',
    ]);
  });

  test.skipIf(!isRoot)(
    'it has a user of its own, which owns its disks and reads nothing of ours (root only)',
    async () => {
      await using guest = await live.openGuest();
      const { stdout } = await guest.runShell('id -u; id -G', { signal });
      const [uid = '', groups] = stdout.trim().split('\n');
      expect(Number(uid)).toBeGreaterThanOrEqual(70_000);
      expect(groups).toBe(uid);
      expect((await stat(live.facts.dataDisk)).uid).toBe(Number(uid));
      const paths = machinePaths(live.root, 'live');
      for (const secret of [paths.record, paths.hostKey, paths.clientKey, paths.serverLog]) {
        expect((await guest.run(['cat', secret], { signal })).exitCode).not.toBe(0);
        expect((await guest.run(['rm', '-f', secret], { signal })).exitCode).not.toBe(0);
      }
    },
  );

  test.skipIf(!isRoot)('another machine cannot reach its disks (root only)', async () => {
    await using other = await createTestMachine({ role: 'staging', root: live.root, name: 'other' });
    await using guest = await other.openGuest();
    for (const path of [live.facts.systemDisk, live.facts.dataDisk, live.facts.database.host]) {
      expect((await guest.run(['ls', path], { signal })).exitCode).not.toBe(0);
    }
  });

  test('nobody gets in by password or without the key', async () => {
    const { default: ssh2 } = await import('ssh2');
    const client = new ssh2.Client();
    const { endpoint } = live.facts.guest;
    const failed = once(client, 'error');
    client.connect({
      host: '127.0.0.1',
      port: endpoint.kind === 'tcp' ? endpoint.port : 0,
      username: live.facts.guest.user,
      password: '',
    });
    expect(String((await failed)[0])).toContain('All configured authentication methods failed');
  });

  test('a second machine of that name is refused, and the first stays', async () => {
    await expect(
      createLocalMachine({ root: live.root, name: 'live', role: 'staging', owner: 'x' }, signal),
    ).rejects.toThrow('there is already a live machine "live"');
    expect((await live.machines.describe('live', signal)).power).toBe('on');
  });

  test('production is not destroyed', async () => {
    await expect(destroyLocalMachine({ root: live.root, name: 'live' }, signal)).rejects.toThrow(
      'is production',
    );
  });

  test('a folder that is no machine is left alone', async () => {
    await mkdir(join(live.root, 'mine', 'system'), { recursive: true });
    await writeFile(join(live.root, 'mine', 'system', 'precious'), '');
    await expect(createLocalMachine({ root: live.root, name: 'mine', role: 'live' }, signal)).rejects.toThrow(
      'is no machine of ours',
    );
    expect((await stat(join(live.root, 'mine', 'system', 'precious'))).isFile()).toBe(true);
    await rm(join(live.root, 'mine'), { recursive: true });
  });

  test('its address stays the same when its power comes back', async () => {
    const before = await live.machines.describe('live', signal);
    await live.machines.powerOff('live', 0, signal);
    await live.machines.powerOn('live', signal);
    expect(await live.machines.describe('live', signal)).toEqual(before);
  });

  test('another process with the number of its server does not make it seem on', async () => {
    const paths = machinePaths(live.root, 'live');
    const record = await findServer(paths);
    expect(record).toBeDefined();
    await live.machines.powerOff('live', 0, signal);
    await writeFile(paths.server, JSON.stringify({ ...record, pid: process.pid }));
    expect((await live.machines.describe('live', signal)).power).toBe('off');
    await live.machines.powerOn('live', signal);
    expect((await live.machines.describe('live', signal)).power).toBe('on');
  });

  test('a server killed from outside makes it off, and it starts again', async () => {
    const server = await findServer(machinePaths(live.root, 'live'));
    process.kill(server?.pid ?? 0, 'SIGKILL');
    while ((await live.machines.describe('live', signal)).power === 'on') await tick();
    await live.machines.powerOn('live', signal);
    await using guest = await live.openGuest();
    expect((await guest.run(['true'], { signal })).exitCode).toBe(0);
  });

  test('shutting down asks services first, and takes the power from those that do not listen', async () => {
    await using guest = await live.openGuest();
    const service = (name: string, trap: string): string =>
      `nohup sh -c "trap '${trap}' TERM; echo up > ${name}; while :; do sleep 0.05; done" > /dev/null 2>&1 < /dev/null &`;
    await guest.runShell(`${service('polite', 'echo bye > polite; exit 0')} ${service('deaf', '')}`, {
      signal,
    });
    await guest.runShell('until [ -s polite ] && [ -s deaf ]; do sleep 0.02; done', { signal });
    await live.machines.powerOff('live', 400, signal);
    expect(await readFile(join(live.facts.systemDisk, 'polite'), 'utf8')).toBe('bye\n');
    const uid = (await stat(live.facts.systemDisk)).uid;
    const owner = { folder: machinePaths(live.root, 'live').folder, uid: isRoot ? uid : null };
    expect(await listProcesses(owner)).toEqual([]);
    await live.machines.powerOn('live', signal);
  });

  test('a snapshot holds one moment of a machine that writes all the time, and the machine goes on', async () => {
    await using guest = await live.openGuest();
    const script =
      'i=0; while :; do i=$((i+1)); echo $i > t; mv t a; echo $i > ../data/t; mv ../data/t ../data/b; done';
    const stop = new AbortController();
    const writer = guest.runShell(script, { signal: stop.signal });
    while ((await stat(join(live.facts.dataDisk, 'b')).catch(() => undefined)) === undefined) await tick();
    await live.machines.createSnapshot('live', 'moment', signal);
    const folder = join(machinePaths(live.root, 'live').snapshots, 'moment');
    const a = Number(await readFile(join(folder, 'system', 'a'), 'utf8'));
    const b = Number(await readFile(join(folder, 'data', 'b'), 'utf8'));
    expect([a, a - 1]).toContain(b);
    while (Number(await readFile(join(live.facts.dataDisk, 'b'), 'utf8')) <= a + 1) await tick();
    stop.abort(new Error('enough'));
    await expect(writer).rejects.toThrow('enough');
    await live.machines.removeSnapshot('live', 'moment', signal);
  });

  test('a revert that was cut off is finished before the machine starts', async () => {
    const paths = machinePaths(live.root, 'live');
    await writeFile(join(live.facts.systemDisk, 'kept'), 'old');
    await live.machines.createSnapshot('live', 'cut', signal);
    await live.machines.powerOff('live', 0, signal);
    await writeFile(join(live.facts.systemDisk, 'kept'), 'new');
    const record = JSON.parse(await readFile(paths.record, 'utf8')) as object;
    await writeFile(paths.record, JSON.stringify({ ...record, reverting: 'cut' }));
    // As a crash between the two renames of a disk leaves it.
    await mkdir(`${paths.system}.old`);
    await rm(paths.data, { recursive: true });
    await live.machines.powerOn('live', signal);
    expect(await readFile(join(live.facts.systemDisk, 'kept'), 'utf8')).toBe('old');
    expect((await stat(live.facts.dataDisk)).isDirectory()).toBe(true);
    await expect(stat(`${paths.system}.old`)).rejects.toThrow('ENOENT');
    await live.machines.removeSnapshot('live', 'cut', signal);
  });

  test('a damaged record is named', async () => {
    const paths = machinePaths(live.root, 'live');
    const good = await readFile(paths.record, 'utf8');
    await writeFile(paths.record, good.slice(0, 40));
    await expect(live.machines.describe('live', signal)).rejects.toThrow('is damaged');
    await writeFile(paths.record, good);
  });

  test('a machine whose folder was deleted by hand is no machine any more, and can be made again', async () => {
    const root = await makeTestFolder();
    try {
      await createLocalMachine({ root, name: 'gone', role: 'staging' }, signal);
      await rm(join(root, 'gone'), { recursive: true });
      expect(await listLocalMachines({ root })).toEqual([]);
      await createLocalMachine({ root, name: 'gone', role: 'staging' }, signal);
      await destroyLocalMachine({ root, name: 'gone' }, signal);
      expect(await listLeftovers(root, 'gone')).toEqual([]);
    } finally {
      await rm(root, { recursive: true });
    }
  });

  test('two that make the same machine at once: one does, the other is told', async () => {
    const root = await makeTestFolder();
    try {
      const settings = { root, name: 'twice', role: 'staging' } as const;
      const outcomes = await Promise.allSettled([
        createLocalMachine(settings, signal),
        createLocalMachine(settings, signal),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      await destroyLocalMachine({ root, name: 'twice' }, signal);
      expect(await listLeftovers(root, 'twice')).toEqual([]);
    } finally {
      await rm(root, { recursive: true });
    }
  });

  test('sockets stay short in a folder that is too deep for them', async () => {
    const root = await makeTestFolder();
    const deep = join(root, 'd'.repeat(80));
    await mkdir(deep);
    const facts = await createLocalMachine({ root: deep, name: 'deep', role: 'staging' }, signal);
    try {
      expect(Buffer.byteLength(`${facts.database.host}/.s.PGSQL.5432`)).toBeLessThan(104);
      expect((await stat(join(deep, 'deep', 'run', 'ssh.sock'))).isSocket() || !network.possible).toBe(true);
    } finally {
      await destroyLocalMachine({ root: deep, name: 'deep' }, signal);
      await expect(stat(facts.database.host)).rejects.toThrow('ENOENT');
      await rm(root, { recursive: true });
    }
  });

  test.each(['', 'A', '-a', 'a-', '../x', 'a/b', 'a'.repeat(64), 'a b', '.'])('%j is no name', (name) => {
    expect(() => requireName(name)).toThrow('is no name for a machine');
  });

  test.skipIf(!isRoot)(
    'under a closed folder the machines move out, and no mode is changed (root only)',
    async () => {
      const closed = await makeTestFolder();

      await chmod(closed, 0o700);
      const chosen = chooseMachinesRoot(join(closed, 'machines'));
      expect(chosen.movedFrom).toBe(join(closed, 'machines'));
      await using machine = await createTestMachine({ role: 'staging', root: join(closed, 'machines') });
      expect(machine.facts.systemDisk.startsWith(chosen.root)).toBe(true);
      expect((await stat(closed)).mode & 0o777).toBe(0o700);
      await machine[Symbol.asyncDispose]();
      await expect(stat(chosen.root)).rejects.toThrow('ENOENT');
      await rm(closed, { recursive: true });
    },
  );

  test('links in a system disk are cloned as links, whatever they point to', async () => {
    await symlink('/etc/passwd', join(live.facts.systemDisk, 'link'));
    await using copy = await createTestMachine({
      role: 'staging',
      root: live.root,
      name: 'copy',
      source: { root: live.root, name: 'live' },
    });
    await using guest = await copy.openGuest();
    expect((await guest.run(['readlink', 'link'], { signal })).stdout.trim()).toBe('/etc/passwd');
    expect((await stat('/etc/passwd')).uid).toBe(0);
  });
});

describe.skipIf(!network.possible)('isolation by a network namespace (Linux as root)', () => {
  let staging: TestMachine;
  beforeAll(async () => {
    staging = await createTestMachine({ role: 'staging' });
  });
  afterAll(async () => staging[Symbol.asyncDispose]());

  test('inside there is loopback, and nothing else', async () => {
    await using guest = await staging.openGuest();
    const { stdout } = await guest.runShell("sed -n '3,$ s/:.*//p' /proc/net/dev; wc -l < /proc/net/route", {
      signal,
    });
    expect(stdout.trim().split(/\s+/)).toEqual(['lo', '1']);
  });

  test('a service inside is reached inside, and not from here', async () => {
    await using guest = await staging.openGuest();
    const script = `exec ${process.execPath} -e "require('net').createServer(s=>s.end('inside')).listen(4711,'127.0.0.1',()=>console.log('up'))"`;
    const stop = new AbortController();
    const up = Promise.withResolvers<void>();
    const service = guest.runShell(script, { signal: stop.signal, onOutput: () => up.resolve() });
    await Promise.race([up.promise, service]);
    const stream = await guest.forward({ host: '127.0.0.1', port: 4711 }, signal);
    expect(String((await once(stream, 'data'))[0])).toBe('inside');
    const outside = createServer();
    outside.listen(4711, '127.0.0.1');
    await once(outside, 'listening');
    outside.close();
    stop.abort(new Error('enough'));
    await expect(service).rejects.toThrow('enough');
  });

  test('a port of this host is not reached from inside', async () => {
    const server = createServer((socket) => socket.end('outside'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await using guest = await staging.openGuest();
    await expect(guest.forward({ host: '127.0.0.1', port }, signal)).rejects.toThrow(/cannot be reached/);
    const script = `require('net').connect(${port},'127.0.0.1').on('error',e=>{console.log(e.code);process.exit(3)}).on('data',d=>console.log(String(d)))`;
    expect(await guest.run([process.execPath, '-e', script], { signal })).toMatchObject({
      exitCode: 3,
      stdout: 'ECONNREFUSED\n',
    });
    server.close();
  });

  test('without the namespace the probe finds this host, and the making fails closed', async () => {
    await using open = await createTestMachine({ role: 'staging', isolation: 'configuration' });
    const reached = await open.machines.probeIsolation('staging', signal);
    expect(reached).toContain('127.0.0.1 of the host');
  });
});

describe('a file lock', () => {
  test('of a process that has ended is taken over', async () => {
    const folder = await makeTestFolder();
    const path = join(folder, 'lock');
    const child = spawn('sleep', ['60']);
    const stamp = await processStamp(child.pid ?? 0);

    await writeFile(path, JSON.stringify({ host: hostname(), pid: child.pid, stamp }));
    let entered = false;
    const waiting = withFileLock(path, signal, async () => {
      entered = true;
    });
    await tick(100);
    expect(entered).toBe(false);
    child.kill('SIGKILL');
    await waiting;
    expect(entered).toBe(true);
    await rm(folder, { recursive: true });
  });

  test('lets one in at a time', async () => {
    const folder = await makeTestFolder();
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 10 }, async () =>
        withFileLock(join(folder, 'lock'), signal, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await tick();
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
    await rm(folder, { recursive: true });
  });
});

async function tick(milliseconds = 10): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

test.skipIf(!canMount())(
  'a machine on a full disk can be destroyed: that is what gives room again',
  async () => {
    await using disk = await mountSmallDisk(60);
    for (const folder of [dirname(disk.folder), disk.folder]) await chmod(folder, 0o711);
    const machine = await createTestMachine({ role: 'staging', root: disk.folder });
    fillDisk(machine.facts.dataDisk, 0);
    await destroyLocalMachine({ root: disk.folder, name: machine.facts.name }, signal);
    expect(await listLeftovers(disk.folder, machine.facts.name)).toEqual([]);
  },
);

test.each(['a"b', 'a$HOME', 'a`id`', 'a\\b', 'a,b'])(
  'no machine is made in a folder %j, and nothing else either',
  async (name) => {
    const folder = await makeTestFolder();
    const root = join(folder, name);
    const made = createLocalMachine({ root, name: 'm', role: 'live' }, signal);
    await expect(made).rejects.toMatchObject({ kind: 'usage', exitCode: 2 });
    await expect(stat(root)).rejects.toMatchObject({ code: 'ENOENT' });
    await rm(folder, { recursive: true });
  },
);

test('a machine works in a folder with blanks, an apostrophe and letters of its own', async () => {
  const folder = await makeTestFolder();
  await using machine = await createTestMachine({ role: 'live', root: join(folder, "it's naše") });
  await using guest = await machine.openGuest();
  expect((await guest.runShell('pwd', { signal })).stdout.trim()).toBe(machine.facts.systemDisk);
  await rm(folder, { recursive: true, force: true });
});
