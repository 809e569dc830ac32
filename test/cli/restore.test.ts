import { spawnSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stopServer } from '../../src/databases/postgres/server.ts';
import { createProduction, type Moment, type Production } from '../support/production.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
let production: Production;
let early: Moment;
let end: Moment;

/** Production is gone before the first test: the archive's folder is all there is. */
beforeAll(async () => {
  production = await createProduction();
  await production.write(10);
  await production.backup('B1');
  early = await production.write(10);
  end = await production.write(10);
  await production.archiveLog();
  await stopServer({ dataDir: production.cluster.dataDir, mode: 'immediate' });
  await rm(production.cluster.dataDir, { recursive: true });
});
afterAll(async () => production?.[Symbol.asyncDispose]());

function clona(...args: string[]) {
  // A folder without a site file, and nothing of ours in the environment.
  return spawnSync(process.execPath, [launcher, ...args], {
    encoding: 'utf8',
    cwd: production.cluster.folder,
  });
}

test('with production gone, two verbs and the archive folder bring the database back', async () => {
  const catalog = clona('catalog', '--archive', production.archive.folder);
  expect(catalog.status).toBe(0);
  expect(catalog.stdout).toContain('B1');
  const target = join(production.cluster.folder, 'back');
  const restored = clona('restore', '--archive', production.archive.folder, '--to', target);
  expect(restored.stderr).not.toContain('hint');
  expect(restored.status).toBe(0);
  expect(restored.stdout).toContain('of what the archive holds nothing is lost');
  expect(restored.stdout).toContain('pg_ctl');
  expect(await production.readRows(target)).toEqual(production.expectRows(1, end.position));
});

test('--json tells what was reached, how long it took and what is left out', async () => {
  const target = join(production.cluster.folder, 'earlier');
  const until = `time:${new Date(early.instantMs).toISOString()}`;
  const { status, stdout } = clona(
    'restore',
    '--archive',
    production.archive.folder,
    '--to',
    target,
    '--until',
    until,
    '--json',
  );
  expect(status).toBe(0);
  const report = JSON.parse(stdout) as Record<string, unknown>;
  expect(report).toMatchObject({
    label: 'B1',
    timelineBefore: 1,
    timelineAfter: 2,
    dryRun: false,
    isRunning: false,
  });
  expect(report['seconds']).toBeGreaterThan(0);
  expect(report['lost']).toMatchObject({ positions: expect.stringMatching(/^[1-9]\d*$/) });
  expect(await production.readRows(target)).toEqual(production.expectRows(1, early.position));
});

test('--start leaves a server that answers', async () => {
  const target = join(production.cluster.folder, 'running');
  const port = String(20_000 + Math.floor(Math.random() * 40_000));
  const { status, stdout } = clona(
    'restore',
    '--archive',
    production.archive.folder,
    '--to',
    target,
    '--start',
    '--port',
    port,
  );
  expect(status).toBe(0);
  expect(stdout).toContain('the server is running');
  await stopServer({ dataDir: target });
});

test.each([
  ['a target that cannot be reached', ['--until', 'position:99999999999999'], 5, 'nearest: position:'],
  ['a time before the backup', ['--until', 'time:2020-01-01T00:00:00Z'], 5, 'B1: it ended at'],
  ['a time before the backup', ['--until', 'time:2020-01-01T00:00:00Z'], 5, 'the oldest backup: time:20'],
  ['a backup that does not exist', ['--until', 'backup:B7'], 2, 'B7'],
  ['a malformed target', ['--until', 'yesterday'], 2, 'is not a target'],
  ['a dry run', ['--dry-run'], 0, 'check space and time'],
])('%s ends with its exit code and says why', (_name, options, exitCode, said) => {
  const target = join(production.cluster.folder, 'never');
  const { status, stderr } = clona(
    'restore',
    '--archive',
    production.archive.folder,
    '--to',
    target,
    ...options,
  );
  expect(status).toBe(exitCode);
  expect(stderr).toContain(said);
});

test('a folder that is no archive ends with exit 5, and a target with something in it with exit 2', () => {
  const nowhere = clona('restore', '--archive', '/nowhere', '--to', join(production.cluster.folder, 'never'));
  expect([nowhere.status, nowhere.stderr]).toEqual([5, expect.stringContaining('/nowhere')]);
  const over = clona('restore', '--archive', production.archive.folder, '--to', production.archive.folder);
  expect([over.status, over.stderr]).toEqual([2, expect.stringContaining('is not empty')]);
});
