import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openArchive } from '../../src/archive/repository.ts';
import { applyRemoval } from '../../src/databases/postgres/apply-removal.ts';
import { takeBackup } from '../../src/databases/postgres/backup.ts';
import { readArchiveCatalog } from '../../src/databases/postgres/catalog.ts';
import { defaultQuestion } from '../../src/recovery/question.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { planRemoval } from '../../src/retention/removal.ts';
import { decideRetention } from '../../src/retention/retention.ts';
import { archiveLog } from '../support/archive-log.ts';
import { makeTestArchive } from '../support/archive.ts';
import { createTestCluster } from '../support/cluster.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
const { signal } = new AbortController();
const policy = { redundancy: 1, windowDays: 0, orphanDays: 0 };
let folder: string;
let pristine: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-keeping-'));
  pristine = join(folder, 'pristine');
  await writeFile(join(folder, 'policy.json'), JSON.stringify(policy));
  await using cluster = await createTestCluster({
    walSegmentSizeMegabytes: 1,
    settings: { wal_keep_size: '64MB' },
  });
  const archive = await makeTestArchive(cluster);
  for (const label of ['OLD', 'NEW']) {
    const common = {
      address: cluster.address,
      archive,
      kind: 'managed' as const,
      workers: 2,
      now: () => new Date(),
    };
    await takeBackup({ ...common, label, signal });
    await archiveLog(cluster, archive);
  }
  await cp(archive.folder, pristine, { recursive: true });
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

async function copyArchive(name: string): Promise<string> {
  await cp(pristine, join(folder, name), { recursive: true });
  return join(folder, name);
}

function clona(...args: string[]) {
  return verb('retention', ...args);
}

function verb(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
    encoding: 'utf8',
    cwd: folder,
  });
  return { status, stdout, stderr };
}

test('plan and incarnations take an archive in place of a catalog file', () => {
  const plan = verb('plan', '--archive', pristine, '--json');
  expect(plan.status).toBe(0);
  expect(JSON.parse(plan.stdout)).toMatchObject({ reachable: true, backup: 'NEW' });
  const incarnations = verb('incarnations', '--archive', pristine, '--json');
  expect(JSON.parse(incarnations.stdout)).toMatchObject({ current: 1, incarnations: [{ path: ' -> 1' }] });
});

test('without a catalog, an archive and a site, plan says what it can be given', () => {
  const { status, stderr } = verb('plan');
  expect(status).toBe(2);
  expect(stderr).toContain('--archive DIR');
});

test('without --yes nothing is removed, with it the obsolete backup and its logs go from archive and mirror', async () => {
  const [archive, mirror] = [await copyArchive('archive'), await copyArchive('mirror')];
  const args = ['--archive', archive, '--mirror', mirror, '--policy', join(folder, 'policy.json')];
  const asked = clona(...args, '--apply');
  expect(asked.status).toBe(2);
  expect(asked.stderr).toMatch(/--apply would remove 1 backup and \d+ archived logs?/);
  const before = await readArchiveCatalog(archive, signal);
  expect(before.backups.map(({ label }) => label)).toEqual(['NEW', 'OLD']);
  const done = clona(...args, '--apply', '--yes');
  expect(done.stderr).not.toContain('CLONA-');
  expect(done.status).toBe(0);
  for (const place of [archive, mirror]) {
    const catalog = await readArchiveCatalog(place, signal);
    expect(catalog.backups.map(({ label }) => label)).toEqual(['NEW']);
    expect(catalog.logs.every(({ next }) => next > catalog.backups[0]!.start!)).toBe(true);
    expect(planRecovery(catalog, defaultQuestion).reachable).toBe(true);
    expect(await readdir(join(place, 'backups'))).toEqual(['NEW']);
  }
  expect(clona(...args, '--apply', '--yes').status).toBe(0);
});

test('a removal that ends after any of its steps leaves everything reachable that the policy keeps', async () => {
  const catalog = await readArchiveCatalog(pristine, signal);
  const steps = planRemoval(catalog, decideRetention(catalog, policy, Date.now()));
  const end = planRecovery(catalog, defaultQuestion).target.until;
  for (let count = 0; count <= steps.length; count += 1) {
    const place = await copyArchive(`crash-${count}`);
    await applyRemoval({ archives: [await openArchive(place)], steps: steps.slice(0, count), signal });
    const left = planRecovery(await readArchiveCatalog(place, signal), defaultQuestion);
    expect(left).toMatchObject({ reachable: true, backup: 'NEW', target: { until: end } });
    expect(left.logs.length).toBeGreaterThan(0);
  }
});

test('a pinned backup stays until it is unpinned, and a pin wants its reason', async () => {
  const archive = await copyArchive('pins');
  const args = ['--archive', archive, '--policy', join(folder, 'policy.json'), '--json'];
  expect(clona(...args, '--pin', 'OLD').status).toBe(2);
  expect(clona(...args, '--pin', 'OLD', '--why', 'before the move').status).toBe(0);
  expect(JSON.parse(clona(...args).stdout).backups).toContainEqual(
    expect.objectContaining({ label: 'OLD', keep: true }),
  );
  expect(clona(...args, '--unpin', 'OLD').status).toBe(0);
  expect(JSON.parse(clona(...args).stdout).backups).toContainEqual(
    expect.objectContaining({ label: 'OLD', keep: false }),
  );
});

test('a pin lies in archive and mirror, and one copy of it keeps the backup', async () => {
  const [archive, mirror] = [await copyArchive('pinned'), await copyArchive('pinned-mirror')];
  const args = ['--archive', archive, '--mirror', mirror, '--policy', join(folder, 'policy.json')];
  expect(clona(...args, '--pin', 'OLD', '--why', 'before the move').status).toBe(0);
  await rm(join(archive, 'backups', 'OLD', 'pin.json'));
  expect(clona(...args, '--apply', '--yes').status).toBe(0);
  for (const place of [archive, mirror])
    expect((await readdir(join(place, 'backups'))).sort()).toEqual(['NEW', 'OLD']);
  expect(clona(...args, '--unpin', 'OLD').status).toBe(0);
  expect(await readdir(join(mirror, 'backups', 'OLD'))).not.toContain('pin.json');
});

test('a pin that does not read any more still counts, and is said', async () => {
  const archive = await copyArchive('flipped-pin');
  const args = ['--archive', archive, '--policy', join(folder, 'policy.json')];
  expect(clona(...args, '--pin', 'OLD', '--why', 'before the move').status).toBe(0);
  const path = join(archive, 'backups', 'OLD', 'pin.json');
  await writeFile(path, (await readFile(path, 'utf8')).replace('move', 'moon'));
  expect(clona(...args, '--apply', '--yes').status).toBe(0);
  expect((await readdir(join(archive, 'backups'))).sort()).toEqual(['NEW', 'OLD']);
  const { stdout } = verb('catalog', '--archive', archive);
  expect(stdout).toContain('the pin of backup OLD does not read, and counts');
  const { backups } = await readArchiveCatalog(archive, signal);
  expect(backups.find(({ label }) => label === 'OLD')).toMatchObject({ pinned: true, state: 'available' });
});

test.each([
  ['--pin', 'GONE', '--why', 'x'],
  ['--unpin', 'GONE'],
  ['--remove', 'GONE'],
])('a label that no backup has is a wrong question: %s', (...words) => {
  expect(clona('--archive', pristine, ...words)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('there is no backup "GONE"'),
  });
});

test('what-if tells the targets that a removal would cost', async () => {
  const args = ['--archive', pristine, '--remove', 'OLD', '--json'];
  const { removed, lost } = JSON.parse(clona(...args).stdout);
  expect(removed).toEqual(['OLD']);
  const catalog = await readArchiveCatalog(pristine, signal);
  const [young, old] = catalog.backups;
  expect(lost).toEqual([
    { incarnation: 1, from: String(old!.consistentFrom), to: String(young!.consistentFrom! - 1n) },
  ]);
});
