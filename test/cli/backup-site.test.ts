import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openSite } from '../../src/pipeline/open-site.ts';
import { acquireSiteLock } from '../../src/control/lock.ts';
import { archiveSettings } from '../../src/databases/postgres/log-slot.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
let cluster: TestCluster;
let folder: string;

beforeAll(async () => {
  cluster = await createTestCluster({ settings: { wal_level: 'replica', max_wal_senders: 4 } });
  const spool = join(cluster.folder, 'spool');
  await mkdir(spool);
  if (cluster.runAs !== undefined) await chown(spool, cluster.runAs.uid, cluster.runAs.gid);
  await cluster.stop();
  await cluster.start(archiveSettings(spool, 1024));
  folder = await mkdtemp(join(tmpdir(), 'clona-backup-'));
  await chmod(folder, 0o755);
  await writeSite('archive-a', 'acceptSharedDisk: a test');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function writeSite(archive: string, more: string): Promise<void> {
  const { host, port, user } = cluster.address;
  await writeFile(
    join(folder, 'clona.yaml'),
    `name: erp
database: { host: '${host}', port: ${port}, user: ${user} }
archive: { location: ${archive}, mirror: ${archive}-mirror, compressionLevel: 1, ${more} }
`,
  );
}

function clona(...args: string[]) {
  return spawnSync(process.execPath, [launcher, ...args], { cwd: folder, encoding: 'utf8' });
}

describe('clona backup of a site', () => {
  test('takes a backup, reads it back, archives the log to its end, and records it', () => {
    const { status, stdout, stderr } = clona('backup', '--label', 'first', '--json');
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    const taken = JSON.parse(stdout) as { archivedTo: string };
    expect(taken).toMatchObject({
      label: 'first',
      kind: 'managed',
      grade: 1,
      warnings: [expect.stringContaining('ONE DISK')],
    });
    expect(taken.archivedTo).toMatch(/^[0-9A-F]{24}$/);
    const catalog = JSON.parse(clona('catalog', '--archive', 'archive-a', '--json').stdout) as {
      backups: { label: string; grade: number }[];
      logs: unknown[];
    };
    expect(catalog.backups).toEqual([expect.objectContaining({ label: 'first', grade: 1 })]);
    const position = expect.stringMatching(/^\d+$/) as string;
    expect(catalog).toMatchObject({
      reach: {
        newest: { position, backup: 'first' },
        oldest: { position, backup: 'first' },
        newestProven: null,
        newestProvable: null,
      },
      gaps: [],
      warnings: [],
    });
    expect(catalog.logs.length).toBeGreaterThan(0);
    expect(clona('evidence', 'list', '--json').stdout).toContain('"backup.taken"');
  });

  test('has a copy in the mirror, read back, from which a restore can be planned when the archive is gone', async () => {
    const shown = clona('catalog', '--archive', 'archive-a', '--mirror', 'archive-a-mirror');
    expect(shown.stdout).toContain('in archive and mirror: first');
    await rename(join(folder, 'archive-a'), join(folder, 'gone'));
    const { status, stdout } = clona('plan', '--archive', 'archive-a-mirror', '--json');
    const checked = clona('prove', '--archive', 'archive-a-mirror', '--grade', '1', '--json');
    await rename(join(folder, 'gone'), join(folder, 'archive-a'));
    expect({ status, backup: (JSON.parse(stdout) as { backup: string }).backup }).toEqual({
      status: 0,
      backup: 'first',
    });
    expect(checked.status).toBe(0);
  });

  test('makes no new archive in the mount point of one whose disk is away, and goes on without the mirror', async () => {
    const [archive, mirror] = [join(folder, 'archive-a'), join(folder, 'archive-a-mirror')];
    await rename(archive, join(folder, 'away'));
    await mkdir(archive);
    try {
      const { status, stderr } = clona('backup');
      expect(status).toBe(6);
      expect(stderr).toContain(`the archive is gone from ${archive}, where it was before`);
      expect(await readdir(archive)).toEqual([]);
    } finally {
      await rm(archive, { recursive: true });
      await rename(join(folder, 'away'), archive);
    }
    await rename(mirror, join(folder, 'away'));
    try {
      const { status, stderr } = clona('backup', '--label', 'without-mirror');
      expect({ status, said: stderr.includes('the mirror does not have every backup') }).toEqual({
        status: 0,
        said: true,
      });
      expect(stderr).toContain(`the log is not archived: ${mirror} holds no archive`);
      await expect(readdir(mirror)).rejects.toMatchObject({ code: 'ENOENT' });
    } finally {
      await rename(join(folder, 'away'), mirror);
      await rm(join(archive, 'backups', 'without-mirror'), { recursive: true, force: true });
    }
  });

  test('is judged and pinned by clona retention without a machine that clona knows, one run at a time', async () => {
    expect(clona('retention', '--remove', 'first')).toMatchObject({ status: 0 });
    expect(clona('catalog').stdout).not.toContain('does not say which incarnation');
    expect(clona('retention', '--pin', 'first', '--why', 'a test').status).toBe(0);
    expect(clona('retention', '--unpin', 'first').status).toBe(0);
    await using opened = await openSite(join(folder, 'clona.yaml'), new AbortController().signal);
    await using _lock = await acquireSiteLock(opened.control, { who: 'amra', what: 'zone' }, new Date());
    const { status, stderr } = clona('retention', '--apply', '--yes');
    expect({ status, said: stderr.includes('zone of amra') }).toEqual({ status: 7, said: true });
  });

  test('catches up in the mirror with what it lacks', async () => {
    await rm(join(folder, 'archive-a-mirror', 'backups', 'first'), { recursive: true });
    expect(clona('catalog', '--offline').stderr + clona('catalog', '--offline').stdout).toMatch(
      /backup first lies in .*archive-a only/,
    );
    const { stdout } = clona('backup', '--label', 'another');
    expect(stdout).toMatch(/meanwhile the server wrote [\d.]+ MiB of log with \d+ full-page images/);
    expect((await readdir(join(folder, 'archive-a-mirror', 'backups'))).sort()).toEqual(['another', 'first']);
  });

  test('shows an accepted shared disk wherever it speaks of the archive', () => {
    const { stderr, stdout } = clona('backup', '--kind', 'quiesced', '--label', 'second');
    expect(stderr).toMatch(/ONE DISK .*accepted: a test/);
    expect(stdout).toContain('grade 1');
  });

  test('refuses an archive on the disk of the database that nobody accepted, before anything is written (R16)', async () => {
    await writeSite('archive-b', '');
    const { status, stderr } = clona('backup');
    await writeSite('archive-a', 'acceptSharedDisk: a test');
    expect(status).toBe(2);
    expect(stderr).toContain('[CLONA-0311]');
    expect(await readdir(folder)).not.toContain('archive-b');
  });

  test('ends with 7 and the name of the run that has the site', async () => {
    await using opened = await openSite(join(folder, 'clona.yaml'), new AbortController().signal);
    await using _lock = await acquireSiteLock(opened.control, { who: 'amra', what: 'promote' }, new Date());
    const { status, stderr } = clona('backup');
    expect(status).toBe(7);
    expect(stderr).toContain('promote of amra');
  });

  describe('of kind cold', { timeout: 180_000 }, () => {
    test('shuts nothing down that nobody confirmed', async () => {
      await using session = await cluster.connect();
      const { status, stderr } = clona('backup', '--kind', 'cold');
      expect({ status, said: stderr.includes('--yes') }).toEqual({ status: 2, said: true });
      expect(await session.query('select 1 as one')).toEqual([{ one: 1 }]);
    });

    test('stops the server, copies it, starts it again, and is recorded with its log archived', async () => {
      const label = `cold-${Date.now()}`;
      const { status, stdout, stderr } = clona(
        'backup',
        '--kind',
        'cold',
        '--yes',
        '--label',
        label,
        '--json',
      );
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      const taken = JSON.parse(stdout) as { start: string; consistentFrom: string; pauseMs: number };
      expect(taken).toMatchObject({
        label,
        kind: 'cold',
        grade: 1,
        archivedTo: expect.stringMatching(/^[0-9A-F]{24}$/),
      });
      expect(taken.start).toBe(taken.consistentFrom);
      await using session = await cluster.connect();
      expect(
        await session.query("select pg_is_in_recovery() as r, current_setting('archive_mode') as a"),
      ).toEqual([{ r: false, a: 'on' }]);
      expect(await readdir(join(folder, 'archive-a-mirror', 'backups'))).toContain(label);
      const planned = JSON.parse(
        clona('plan', '--archive', 'archive-a', '--until', `backup:${label}`, '--json').stdout,
      ) as unknown;
      expect(planned).toMatchObject({ reachable: true, backup: label, logs: [] });
    });

    test('killed with the server down: status and doctor say it, the next backup starts it again', async () => {
      const label = `downed-${Date.now()}`;
      const args = [
        launcher,
        'backup',
        '--kind',
        'cold',
        '--yes',
        '--label',
        label,
        '--level',
        '19',
        '--workers',
        '1',
      ];
      const child = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' });
      const closed = once(child, 'close');
      const backups = join(folder, 'archive-a/backups');
      const copies = async () => readdir(join(backups, `.${label}.partial`)).catch(() => []);
      await vi.waitFor(async () => expect(await copies()).toContain('base.tar.zst'), {
        timeout: 60_000,
        interval: 5,
      });
      child.kill('SIGKILL');
      await closed;
      await expect(cluster.connect()).rejects.toMatchObject({ exitCode: 6 });
      expect(clona('doctor').stdout).toMatch(/was killed and may have left the database in .* stopped/);
      expect(clona('status').stdout).toContain('clona backup starts it again');
      const next = clona('backup', '--label', `${label}-next`, '--json');
      expect({ status: next.status, stderr: next.status === 0 ? '' : next.stderr }).toEqual({
        status: 0,
        stderr: '',
      });
      expect(JSON.parse(next.stdout)).toMatchObject({
        warnings: expect.arrayContaining([expect.stringContaining('it was started again')]),
      });
      expect(await readdir(backups)).not.toContain(`.${label}.partial`);
    });

    test('killed with the server down: clona serve starts it again by itself', async () => {
      const label = `left-${Date.now()}`;
      const args = [
        launcher,
        'backup',
        '--kind',
        'cold',
        '--yes',
        '--label',
        label,
        '--level',
        '19',
        '--workers',
        '1',
      ];
      const child = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' });
      const closed = once(child, 'close');
      const copies = async () => readdir(join(folder, `archive-a/backups/.${label}.partial`)).catch(() => []);
      await vi.waitFor(async () => expect(await copies()).toContain('base.tar.zst'), {
        timeout: 60_000,
        interval: 5,
      });
      child.kill('SIGKILL');
      await closed;
      const serve = spawn(process.execPath, [launcher, 'serve', '--listen', '127.0.0.1:0'], {
        cwd: folder,
        stdio: 'ignore',
      });
      const ended = once(serve, 'close');
      try {
        await vi.waitFor(async () => (await cluster.connect())[Symbol.asyncDispose](), {
          timeout: 60_000,
          interval: 50,
        });
      } finally {
        serve.kill('SIGTERM');
        await ended;
        await rm(join(folder, `archive-a/backups/.${label}.partial`), { recursive: true, force: true });
      }
    });
  });

  test('ends with 143 at SIGTERM, and the archive has no backup more than before', async () => {
    const before = await readdir(join(folder, 'archive-a/backups'));
    const child = spawn(process.execPath, [launcher, 'backup', '--label', 'cut'], { cwd: folder });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const closed = once(child, 'close') as Promise<[number | null]>;
    const begun = async () =>
      (await readdir(join(folder, 'archive-a/backups'))).some((name) => name.includes('cut'));
    await vi.waitFor(async () => expect(await begun()).toBe(true), { timeout: 30_000, interval: 5 });
    child.kill('SIGTERM');
    const [status] = await closed;
    expect({ status, said }).toEqual({ status: 143, said: expect.stringContaining('[CLONA-0003]') });
    expect(await readdir(join(folder, 'archive-a/backups'))).toEqual(before);
  });

  test('goes on in clona serve: what the server hands over gets into archive and mirror', async () => {
    const args = [launcher, 'serve', '--listen', '127.0.0.1:0'];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    const closed = once(child, 'close') as Promise<[number | null]>;
    await using session = await cluster.connect();
    // A segment into which nothing was written is not switched.
    await session.query("select pg_logical_emit_message(true, 'test', 'something')");
    const [row] = await session.query<{ name: string }>('select pg_walfile_name(pg_switch_wal()) as name');
    for (const archive of ['archive-a', 'archive-a-mirror']) {
      const segments = async () => (await readdir(join(folder, archive, 'log'), { recursive: true })).join();
      await vi.waitFor(async () => expect(await segments()).toContain(row?.name), {
        timeout: 30_000,
        interval: 50,
      });
    }
    child.kill('SIGTERM');
    expect(await closed).toEqual([143, null]);
  });

  test('ends with 6 when the database does not answer', async () => {
    await cluster.stop('immediate');
    const { status, stderr } = clona('backup', '--json');
    expect(status).toBe(6);
    expect(stderr).toContain('does not answer');
  });
});
