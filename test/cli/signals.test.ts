import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { verbs } from '../../src/cli/verbs.ts';
import { archiveSettings } from '../../src/databases/postgres/log-slot.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';

/** SIGTERM in every verb: 143, and nothing half done. What `clona demo` and the verbs of machines do stands in signals-machine.test.ts. */
const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
let cluster: TestCluster;
let folder: string;
/** A server that takes connections and never answers. */
let silent: Server;
const sockets = new Set<Socket>();

beforeAll(async () => {
  cluster = await createTestCluster({
    walSegmentSizeMegabytes: 1,
    settings: { wal_level: 'replica', max_slot_wal_keep_size: '1GB' },
  });
  const spool = join(cluster.folder, 'spool');
  await mkdir(spool);
  if (cluster.runAs !== undefined) await chown(spool, cluster.runAs.uid, cluster.runAs.gid);
  await cluster.stop();
  await cluster.start(archiveSettings(spool, 1024));
  {
    await using session = await cluster.connect();
    await session.query(
      `create table t as select i, md5(i::text) as a, md5((-i)::text) as b from generate_series(1, 200000) i`,
    );
  }
  folder = await mkdtemp(join(tmpdir(), 'clona-signals-'));
  await chmod(folder, 0o755);
  silent = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { host, port, user } = cluster.address;
  const archive =
    'archive: { location: archive, mirror: mirror, acceptSharedDisk: a test, retention: { redundancy: 1, windowDays: 0 } }';
  await writeFile(
    join(folder, 'clona.yaml'),
    `name: erp\ndatabase: { host: '${host}', port: ${port}, user: ${user} }\n${archive}\n`,
  );
  const address = silent.address();
  const silentPort = typeof address === 'object' ? address?.port : 0;
  await writeFile(
    join(folder, 'silent.yaml'),
    `name: erp\ndatabase: { host: 127.0.0.1, port: ${silentPort}, user: x }\ncontrol: { url: 'env:CONTROL' }\n${archive}\n`,
  );
  await writeFile(
    join(folder, 'live-silent.yaml'),
    `name: erp\ndatabase: { host: 127.0.0.1, port: ${silentPort}, user: x }\n${archive}\n`,
  );
  process.env['CONTROL'] = `postgresql://x@127.0.0.1:${silentPort}/control`;
  const taken = spawnSync(process.execPath, [launcher, 'backup', '--label', 'base'], { cwd: folder });
  if (taken.status !== 0) throw new Error(String(taken.stderr));
}, 180_000);
afterAll(async () => {
  delete process.env['CONTROL'];
  for (const socket of sockets) socket.destroy();
  silent?.close();
  await cluster?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  said: string;
}

/** Runs a verb, sends SIGTERM once `isTime`, and says how it ended; never later than the time given for what it waits for. */
async function terminate(
  args: readonly string[],
  isTime: (child: ChildProcess, said: () => string) => Promise<boolean>,
): Promise<Ended> {
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  await vi.waitFor(
    async () => {
      if (child.exitCode !== null) return;
      expect(await isTime(child, () => said)).toBe(true);
    },
    { timeout: 120_000, interval: 2 },
  );
  child.kill('SIGTERM');
  const [status, signal] = await closed;
  return { status, signal, said };
}

const isTerminated = { status: 143, signal: null, said: expect.stringContaining('[CLONA-0003]') as string };

/** Waits for a database that never answers. */
const waiting: [verb: string, args: string[], site: string][] = [
  ['doctor', [], 'silent'],
  ['refresh', ['--yes'], 'silent'],
  ['destroy', ['--yes'], 'silent'],
  ['release', ['--kit', 'kit', '--yes'], 'silent'],
  ['signoff', ['--department', 'sales', '--confirm'], 'silent'],
  ['promote', ['--yes'], 'silent'],
  ['rollback', ['--yes'], 'silent'],
  ['status', [], 'silent'],
  ['evidence', ['list'], 'silent'],
  ['evidence', ['export', 'out.jsonl'], 'silent'],
  ['prove', [], 'silent'],
  ['serve', ['--listen', '127.0.0.1:0'], 'silent'],
  ['serve', ['--drop-slots', '--yes'], 'live-silent'],
  ['backup', [], 'silent'],
  ['backup', [], 'live-silent'],
  ['backup', ['--kind', 'cold', '--yes'], 'live-silent'],
  ['retention', [], 'live-silent'],
  ['retention', ['--apply', '--yes'], 'silent'],
  ['catalog', [], 'live-silent'],
  ['plan', [], 'live-silent'],
  ['incarnations', ['--svg', 'out.svg'], 'live-silent'],
];

describe('SIGTERM while the database does not answer', () => {
  test.each(waiting)('ends clona %s %j (%s.yaml) with 143', async (verb, args, site) => {
    const before = await snapshot();
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(() => expect(sockets.size).toBe(0));
    const ended = await terminate([verb, ...args, '--site', `${site}.yaml`], async () => sockets.size > 0);
    expect(ended).toEqual(isTerminated);
    expect(await snapshot()).toEqual(before);
  });
});

/** What a run might leave: whole or half-written things in the site's folder, without clona's own state. */
async function snapshot(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => !name.startsWith('.clona') && !/(^|\/)(stream|log|evidence)(\/|$)/.test(name))
    .sort();
}

async function isThere(path: string): Promise<boolean> {
  return stat(join(folder, path)).then(
    () => true,
    () => false,
  );
}

/** No session of a run is left on production, and the site is free. */
async function expectNobodyLeft(): Promise<void> {
  await using session = await cluster.connect();
  await vi.waitFor(
    async () =>
      expect(
        await session.query(
          `select application_name from pg_stat_activity where application_name like 'clona%' and pid <> pg_backend_pid() and datname is not null`,
        ),
      ).toEqual([]),
    { timeout: 30_000 },
  );
  const status = spawnSync(process.execPath, [launcher, 'status', '--json'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect((JSON.parse(status.stdout) as { running: unknown }).running).toBeNull();
}

describe('SIGTERM while it works', () => {
  test.each([
    ['managed', []],
    ['hot', []],
    ['quiesced', []],
    ['cold', ['--yes']],
  ])(
    'ends a %s backup with 143: no backup more, the server answers',
    async (kind, more) => {
      const label = `cut-${kind}`;
      const before = await snapshot();
      const copies = join('archive', 'backups', `.${label}.partial`, 'base.tar.zst');
      const args = ['backup', '--kind', kind, '--label', label, '--level', '19', '--workers', '1', ...more];
      expect(await terminate(args, async () => isThere(copies))).toEqual(isTerminated);
      expect(await snapshot()).toEqual(before);
      await expectNobodyLeft();
    },
    180_000,
  );

  test('ends a restore with 143: the target is not there, and the next run makes it whole', async () => {
    const target = join(cluster.folder, `restored-${Date.now()}`);
    const args = ['restore', '--archive', 'archive', '--mirror', 'mirror', '--to', target];
    const ended = await terminate([...args, '--workers', '1'], async () =>
      stat(`${target}.partial`).then(
        () => true,
        () => false,
      ),
    );
    expect(ended).toEqual(isTerminated);
    await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(spawnSync(process.execPath, [launcher, ...args], { cwd: folder }).status).toBe(0);
    expect(
      (await readdir(cluster.folder)).filter((name) => /restored.*\.(partial|restore)$/.test(name)),
    ).toEqual([]);
  }, 180_000);

  test('ends a proof with 143: no grade is remembered that was not proven', async () => {
    const grades = join('archive', 'backups', 'base', 'grades.json');
    const before = await readFile(join(folder, grades), 'utf8');
    const ended = await terminate(
      ['prove', '--archive', 'archive', '--verbose'],
      async (_, said) => said() !== '',
    );
    expect(ended).toEqual(isTerminated);
    expect(await readFile(join(folder, grades), 'utf8')).toBe(before);
  }, 180_000);

  test('ends a removal with 143: what is left is whole, and the next run carries on', async () => {
    const clona = (...args: string[]) =>
      spawnSync(process.execPath, [launcher, ...args], { cwd: folder, encoding: 'utf8' });
    {
      await using session = await cluster.connect();
      for (let round = 0; round < 60; round += 1)
        await session.query(`select pg_logical_emit_message(true, 't', repeat(md5(random()::text), 34000))`);
    }
    expect(clona('backup', '--label', `next-${Date.now()}`).status).toBe(0);
    const log = join(folder, 'archive', 'log', '00000001');
    const count = (await readdir(log)).length;
    expect(count).toBeGreaterThan(50);
    const ended = await terminate(
      ['retention', '--apply', '--yes'],
      async () => (await readdir(log)).length < count,
    );
    // It may have come to its end when the signal came; then it says what it did.
    expect(ended.status).toBe(143);
    const { status, stdout } = clona('plan', '--json');
    expect({ status, answer: JSON.parse(stdout) as unknown }).toMatchObject({
      status: 0,
      answer: { reachable: true },
    });
    expect(JSON.parse(clona('catalog', '--json').stdout)).toMatchObject({ gaps: [] });
    expect(clona('retention', '--apply', '--yes').status).toBe(0);
    await expectNobodyLeft();
  }, 180_000);

  test('ends clona serve with 143: nobody listens, nobody reads a slot', async () => {
    const ended = await terminate(['serve', '--listen', '127.0.0.1:0'], async (_, said) =>
      said().includes('log archiving: runs'),
    );
    expect(ended).toEqual(isTerminated);
    await expectNobodyLeft();
  }, 180_000);

  test('ends the fetching of a kit with 143, and keeps nothing of it', async () => {
    const before = await snapshot();
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(() => expect(sockets.size).toBe(0));
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const hash = 'a'.repeat(64);
    const args = ['kit', 'fetch', `http://127.0.0.1:${port}/kit.tar`, '--into', 'fetched', '--hash', hash];
    expect(await terminate(args, async () => sockets.size > 0)).toEqual(isTerminated);
    expect(await snapshot()).toEqual(before);
  }, 180_000);

  test('ends clona init at any moment with a site file that is whole, or none', async () => {
    for (const delay of [0, 60, 120, 150, 180, 210, 240, 300]) {
      const name = `init-${delay}`;
      await rm(join(folder, name), { recursive: true, force: true });
      await mkdir(join(folder, name));
      const started = performance.now();
      const { status, signal } = await terminate(
        ['init', '--from-example', 'erp', '--site', join(name, 'clona.yaml')],
        async () => performance.now() - started > delay,
      );
      // Before its first line runs, the signal itself ends the process.
      expect([0, 143, null]).toContain(status);
      if (status === null) expect(signal).toBe('SIGTERM');
      const file = await readFile(join(folder, name, 'clona.yaml'), 'utf8').catch(() => undefined);
      if (file !== undefined) expect(parse(file)).toMatchObject({ name: 'erp' });
      const left = (await readdir(join(folder, name), { recursive: true })).filter((path) =>
        /\.(partial|new)$/.test(path),
      );
      expect(left).toEqual([]);
    }
  }, 180_000);
});

test('no verb is left out', () => {
  const here = new Set(waiting.map(([verb]) => verb));
  for (const verb of ['restore', 'kit', 'init']) here.add(verb);
  // signals-machine.test.ts; a schedule is printed from the site file alone.
  for (const verb of ['smoke', 'demo', 'schedule']) here.add(verb);
  expect([...here].sort()).toEqual(Object.keys(verbs).sort());
});
