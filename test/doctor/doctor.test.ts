import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { checks } from '../../src/doctor/checks.ts';
import { examine, exitCodeOf, type Diagnosis } from '../../src/doctor/examine.ts';
import { openProductionLate } from '../../src/doctor/production.ts';
import { loadSite } from '../../src/site/load.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
let cluster: TestCluster;
let folder: string;

beforeAll(async () => {
  cluster = await createTestCluster({
    settings: { wal_level: 'minimal', max_wal_senders: 0, fsync: 'off', max_slot_wal_keep_size: -1 },
  });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-doctor-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const database = () =>
  `database: { host: '${cluster.address.host}', port: ${cluster.address.port}, user: ${cluster.address.user}, businessCounts: [{ name: n, sql: select 1 }] }`;

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

async function diagnose(siteText: string): Promise<Diagnosis[]> {
  await write('clona.yaml', `name: erp\n${siteText}\n`);
  const site = await loadSite(join(folder, 'clona.yaml'));
  const signal = new AbortController().signal;
  await using production = openProductionLate(site, signal);
  return await examine({ site, signal, now: new Date(), production: production.get }, checks);
}

function compareTexts(left: string | undefined, right: string | undefined): number {
  return (left ?? '').localeCompare(right ?? '');
}

function saidBy(found: readonly Diagnosis[], check: string): string[] {
  return found.filter((finding) => finding.check === check).map(({ state, what }) => `${state} ${what}`);
}

describe('doctor', () => {
  test.skipIf(process.getuid?.() !== 0)(
    'says where the state really lies when its folder is closed',
    async () => {
      const told = async (): Promise<string[]> =>
        saidBy(await diagnose('archive: { location: a }'), 'control');
      await chmod(folder, 0o700);
      expect((await told())[0]).toMatch(
        /its embedded database in \/var\/lib\/clona\/control-[0-9a-f]{12}: other users/,
      );
      await chmod(folder, 0o711);
      expect(await told()).toEqual([`ok clona keeps its state in an embedded database in ${folder}/.clona`]);
    },
  );

  test('tells of log that waits in the spool, and warns when nobody takes it away', async () => {
    const spool = join(cluster.folder, 'spool');
    await mkdir(spool);
    await using session = await cluster.connect();
    // Any session's word for it will do: the server itself need not archive for this.
    await session.query(`ALTER SYSTEM SET basic_archive.archive_directory = '${spool}'`);
    await session.query('SELECT pg_reload_conf()');
    const look = async (): Promise<string[]> =>
      saidBy(await diagnose(`archive: { location: a }\n${database()}`), 'spool');
    await expect.poll(look, { timeout: 20_000 }).toEqual([`ok the log's spool ${spool} is empty`]);
    const segment = join(spool, '000000010000000000000001');
    await writeFile(segment, Buffer.alloc(1000));
    expect(await look()).toEqual([expect.stringMatching(/^ok 1 files of log wait/)]);
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(segment, longAgo, longAgo);
    expect(await look()).toEqual([expect.stringMatching(/^warning 1 files of log wait/)]);
    await session.query('ALTER SYSTEM RESET basic_archive.archive_directory');
    await session.query('SELECT pg_reload_conf()');
  });

  test('names each setting of the server that would make the archive worthless, with its cure', async () => {
    const found = await diagnose(`archive: { location: a }\n${database()}`);
    const settings = found.filter(({ check, state }) => check === 'settings' && state === 'failed');
    expect(settings.map(({ what }) => what.split(' ')[0])).toEqual([
      'wal_level',
      'archive_mode',
      'archive_library',
      'fsync',
      'max_slot_wal_keep_size',
      'max_wal_senders',
    ]);
    for (const { mend } of settings) expect(mend).toMatch(/alter system set/);
    expect(saidBy(found, 'reachable')[0]).toMatch(/^ok /);
    expect(saidBy(found, 'clocks')[0]).toMatch(/^ok /);
    expect(exitCodeOf(settings)).toBe(2);
  });

  test('finds unlogged tables', async () => {
    await using session = await cluster.connect();
    await session.query('create unlogged table basket (id int)');
    const found = await diagnose(`archive: { location: a }\n${database()}`);
    expect(saidBy(found, 'unlogged')).toEqual([
      'warning unlogged tables are empty after every restore: basket',
    ]);
    await session.query('drop table basket');
  });

  test('says once, not ten times, that the database does not answer', async () => {
    const found = await diagnose('archive: { location: a }\ndatabase: { host: 127.0.0.1, port: 1, user: x }');
    expect(
      found
        .filter(({ topic, state }) => topic === 'database' && state === 'failed')
        .map(({ check, exit }) => [check, exit]),
    ).toEqual([['reachable', 6]]);
    expect(exitCodeOf(found)).toBe(6);
  });

  test('refuses archive and database on one disk, unless the site says why', async () => {
    await mkdir(join(folder, 'a'));
    const shared = await diagnose(`archive: { location: a, mirror: b }\n${database()}`);
    expect(
      saidBy(shared, 'devices').some((line) => line.startsWith('failed the archive and the database')),
    ).toBe(true);
    const accepted = await diagnose(
      `archive: { location: a, acceptSharedDisk: one disk only }\n${database()}`,
    );
    expect(saidBy(accepted, 'devices').join()).toContain(
      'warning the archive and the database are on ONE DISK',
    );
  });

  test('looks whether the folders of the archive are there and take a file', async () => {
    const absent = await diagnose('archive: { location: a, mirror: b }');
    expect(saidBy(absent, 'archiveFolders')).toEqual([
      `failed archive.location: there is no folder ${join(folder, 'a')}`,
      `failed archive.mirror: there is no folder ${join(folder, 'b')}`,
    ]);
    await mkdir(join(folder, 'a'));
    await write('file', '');
    const accepted = await diagnose('archive: { location: a, mirror: b, acceptMirrorAway: it is mended }');
    expect(saidBy(accepted, 'archiveFolders').join()).toContain('while the mirror is away (it is mended)');
    const there = await diagnose('archive: { location: a, mirror: file }');
    expect(saidBy(there, 'archiveFolders')[0]).toMatch(/^ok /);
    expect(saidBy(there, 'archiveFolders')[1]).toContain('is no folder');
    expect(saidBy(there, 'archiveSpace')[0]).toMatch(/% full/);
  });

  test('knows which secrets are missing, and which others may read', async () => {
    vi.stubEnv('CLONA_TEST_TOKEN', 'x');
    await write('open', 'secret');
    await write('closed', 'secret');
    await chmod(join(folder, 'open'), 0o644);
    await chmod(join(folder, 'closed'), 0o600);
    const found = await diagnose(`archive: { location: a }
database: { host: 127.0.0.1, port: 1, password: 'file:open' }
kit: { password: 'file:absent' }
control: { url: 'file:closed' }
serve: { token: 'env:CLONA_TEST_TOKEN' }
notify: [{ webhook: 'env:CLONA_TEST_ABSENT' }]`);
    expect(saidBy(found, 'secrets').map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'warning database.password:',
      'failed kit.password:',
      'failed notify.0.webhook:',
      'ok control.url:',
      'ok serve.token:',
    ]);
    expect(JSON.stringify(found)).not.toContain('"secret"');
  });

  test('sees what keeps the gate closed for ever: no key user, no business counts, no smoke test', async () => {
    await mkdir(join(folder, 'smoke'));
    const found = await diagnose(
      'archive: { location: a }\ndepartments: [{ name: sales }]\nsmoke: { directory: smoke }',
    );
    expect(saidBy(found, 'departments')[0]).toContain('failed department sales has no key user');
    expect(saidBy(found, 'grade')[0]).toContain('no archive gets beyond grade 4');
    expect(saidBy(found, 'smoke')[0]).toContain('failed no smoke test');
  });

  test('takes a port that is in use for a clona serve that runs, and refuses an address that is not its own', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const found = await diagnose(`archive: { location: a }\nserve: { listen: '127.0.0.1:${port}' }`);
    expect(saidBy(found, 'port')[0]).toContain('listens on');
    await new Promise((resolve) => void server.close(resolve));
    const foreign = await diagnose(`archive: { location: a }\nserve: { listen: '203.0.113.1:80' }`);
    expect(saidBy(foreign, 'port')[0]).toContain('failed');
  });

  test.each([
    ['', 'ok the state of staging machines lies in', 'do not share them'],
    [
      "pulumi: { backend: 'file://./shared' }",
      'ok the state of staging machines lies in',
      '/shared: a laptop',
    ],
    [
      "pulumi: { backend: 's3://bucket' }",
      'ok the state',
      'lies in s3://bucket: whoever uses it shares them',
    ],
    [
      "pulumi: { backend: 'postgres://clona:secret@db/state?x=y' }",
      'ok',
      'lies in postgres://…@db/state: whoever',
    ],
  ])('says whom the Pulumi backend %s is shared with, and no secret of it', async (line, begin, what) => {
    vi.stubEnv('PULUMI_BACKEND_URL', undefined);
    const [said = ''] = saidBy(await diagnose(`archive: { location: a }\n${line}`), 'pulumiState');
    expect(said).toContain(begin);
    expect(said).toContain(what);
    expect(said).not.toContain('secret');
  });

  test('warns when pulumi by hand would use another state than clona', async () => {
    vi.stubEnv('PULUMI_BACKEND_URL', 's3://elsewhere');
    const found = saidBy(await diagnose('archive: { location: a }'), 'pulumiState');
    expect(found[1]).toMatch(/^warning PULUMI_BACKEND_URL names s3:\/\/elsewhere/);
    vi.stubEnv('PULUMI_BACKEND_URL', 'file://./.clona/pulumi?create_dir=true');
    expect(saidBy(await diagnose('archive: { location: a }'), 'pulumiState')).toHaveLength(1);
  });

  test('tells a dead lock on Pulumi’s state from one of a process at work', async () => {
    const lock = (pid: number, host: string) =>
      JSON.stringify({ pid, username: 'root', hostname: host, timestamp: '2025-01-01T00:00:00Z' });
    const dead = spawnSync(process.execPath, ['--version']).pid;
    await write('.clona/pulumi/.pulumi/locks/organization/a/1.json', lock(dead, hostname()));
    await write('.clona/pulumi/.pulumi/locks/organization/a/2.json', lock(process.pid, hostname()));
    await write('.clona/pulumi/.pulumi/locks/organization/a/3.json', lock(dead, 'another-host'));
    const found = await diagnose('archive: { location: a }');
    expect(
      saidBy(found, 'locks')
        .map((line) => line.split(' ')[0])
        .sort(compareTexts),
    ).toEqual(['failed', 'ok', 'warning']);
  });

  test('outlives a check that throws, and goes on', async () => {
    const table = {
      broken: {
        topic: 'site' as const,
        look: () => {
          throw new Error('boom');
        },
      },
      fine: { topic: 'site' as const, look: () => [{ state: 'ok' as const, what: 'fine' }] },
    };
    await write('clona.yaml', 'name: erp\narchive: { location: a }\n');
    const site = await loadSite(join(folder, 'clona.yaml'));
    const signal = new AbortController().signal;
    const patient = { site, signal, now: new Date(), production: () => Promise.reject(new Error('none')) };
    const found = await examine(patient, table);
    expect(found.map(({ state, what }) => [state, what])).toEqual([
      ['failed', 'boom'],
      ['ok', 'fine'],
    ]);
  });
});

describe('clona doctor', () => {
  const doctor = (...args: string[]) =>
    spawnSync(process.execPath, [launcher, 'doctor', ...args], { cwd: folder, encoding: 'utf8' });

  test('ends with 2 and every mistake of a site file as a finding', async () => {
    await write('clona.yaml', 'nme: erp\narchive: {}\n');
    const { status, stdout } = doctor();
    expect(status).toBe(2);
    expect(stdout).toContain('clona.yaml:1:1: nme: unknown key');
    const none = doctor('--site', 'none.yaml', '--json');
    expect(none.status).toBe(2);
    expect(JSON.parse(none.stdout)).toMatchObject({ ok: false, counts: { failed: 1 } });
  });

  test('ends with 0 when nothing is to be mended, warnings or not', async () => {
    await cluster.stop();
    await cluster.start({
      wal_level: 'replica',
      max_wal_senders: 5,
      fsync: 'on',
      max_slot_wal_keep_size: '1GB',
      archive_mode: 'on',
      archive_command: '/bin/true',
    });
    await write('smoke/counts.sql', 'select 1;');
    await write('a/keep', '');
    await write(
      'clona.yaml',
      `name: erp
archive: { location: a, acceptSharedDisk: a test, zone: { yellow: 99%, red: 100% } }
${database()}
departments: [{ name: sales, keyUsers: [sanja], checks: [try it] }]
`,
    );
    const { status, stdout, stderr } = doctor('--json');
    const said = JSON.parse(stdout) as { findings: { state: string }[] };
    expect(said.findings.filter(({ state }) => state === 'failed')).toEqual([]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
