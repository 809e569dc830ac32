import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { addGrade } from '../../../src/archive/repository.ts';
import { readArchive } from '../../../src/databases/postgres/catalog.ts';
import { receiveLog } from '../../../src/databases/postgres/log-receiver.ts';
import { stopServer } from '../../../src/databases/postgres/server.ts';
import { catalogToJson } from '../../../src/recovery/catalog-json.ts';
import { checkCatalog } from '../../../src/recovery/check-catalog.ts';
import { parseCatalog } from '../../../src/recovery/parse-catalog.ts';
import { createProduction, type Moment, type Production } from '../../support/production.ts';

const launcher = fileURLToPath(new URL('../../../bin/clona.js', import.meta.url));
const { signal } = new AbortController();
let production: Production;
let moment: Moment;
let folder: string;
let round = 0;

beforeAll(async () => {
  production = await createProduction();
  await production.write(5);
  await production.backup('B1');
  await production.backup('B2', 'hot');
  moment = await production.write(10);
  await production.write(10);
  await production.archiveLog();
  await production.goBackTo({ kind: 'time', instantMs: moment.instantMs });
  await production.write(10);
  await production.archiveLog();
});
afterAll(async () => production?.[Symbol.asyncDispose]());
beforeEach(async () => {
  round += 1;
  folder = join(production.cluster.folder, `archive-${round}`);
  await cp(production.archive.folder, folder, { recursive: true, preserveTimestamps: true });
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

test('the catalog of an archive is one that plan and retention accept, and reads back as it was', async () => {
  const { catalog } = await readArchive({ archiveDir: folder }, signal);
  checkCatalog(catalog);
  expect(parseCatalog(JSON.stringify(catalogToJson(catalog)))).toEqual(catalog);
  expect(catalog.currentIncarnation).toBe(2);
  expect(catalog.backups.map(({ label, kind, state, grade }) => [label, kind, state, grade])).toEqual([
    ['B1', 'managed', 'available', null],
    ['B2', 'hot', 'available', null],
  ]);
  for (const log of catalog.logs) {
    expect(log.next - log.first).toBe(BigInt(2 ** 20));
    expect(Date.parse(log.nextTime ?? '')).toBeGreaterThanOrEqual(
      Date.parse(log.firstTime ?? log.nextTime ?? ''),
    );
  }
});

test('grades are taken over, and a broken record of grades loses only them', async () => {
  const { header } = production.archive;
  const record = { grade: 3, at: new Date().toISOString(), evidence: 'e1', detail: 'opened' };
  await addGrade({ folder, header }, 'B1', record);
  const grades = async (): Promise<unknown> =>
    (await readArchive({ archiveDir: folder }, signal)).catalog.backups.map(({ grade, state }) => [
      grade,
      state,
    ]);
  expect(await grades()).toEqual([
    [3, 'available'],
    [null, 'available'],
  ]);
  await truncate(join(folder, 'backups', 'B1', 'grades.json'), 10);
  expect(await grades()).toEqual([
    [null, 'available'],
    [null, 'available'],
  ]);
});

test('what is still being written and what is no backup is not listed', async () => {
  await mkdir(join(folder, 'backups', '.B3.partial'));
  await mkdir(join(folder, 'backups', 'lost+found'), { recursive: true });
  await writeFile(join(folder, 'log', '00000001', '.half.zst'), 'x');
  const { catalog } = await readArchive({ archiveDir: folder }, signal);
  expect(catalog.backups.map(({ label }) => label)).toEqual(['B1', 'B2']);
});

test('the newest .history file cut off is refused: "latest" would mean an older branch', async () => {
  const history = join(folder, 'log', '00000002.history');
  await truncate(history, (await readFile(history)).length - 3);
  const refused = readArchive({ archiveDir: folder }, signal);
  await expect(refused).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringContaining('00000002.history'),
  });
  const { catalog, warnings } = await readArchive(
    { archiveDir: folder, mirrorDir: production.mirror.folder },
    signal,
  );
  expect(catalog.incarnations.at(-1)).toMatchObject({ id: 2, parent: 1 });
  expect(warnings.join()).toContain('00000002.history');
});

test('a .history file that is gone is named, and its timeline stands alone', async () => {
  await rm(join(folder, 'log', '00000002.history'));
  const { catalog, warnings } = await readArchive({ archiveDir: folder }, signal);
  expect(catalog.incarnations.at(-1)).toMatchObject({ id: 2, parent: null });
  expect(warnings).toContain('00000002.history is missing: where timeline 2 begins is not known');
});

test('segments that are gone are named as a gap by the verb, and --json is a catalog file', async () => {
  const names = (await readdir(join(folder, 'log', '00000001')))
    .filter((name) => /^[0-9A-F]{24}\.zst$/.test(name))
    .sort();
  const gone = names[names.length - 2]!;
  await rm(join(folder, 'log', '00000001', gone));
  const clona = (...args: string[]) =>
    spawnSync(process.execPath, [launcher, 'catalog', '--archive', folder, ...args], { encoding: 'utf8' });
  const human = clona();
  expect(human.status).toBe(0);
  expect(human.stdout).toContain(`segment ${gone.slice(0, 24)} is missing or damaged`);
  expect(human.stdout).toContain('newest proven position: none');
  expect(parseCatalog(clona('--json').stdout).backups).toHaveLength(2);
});

test('what a receiver streamed before a segment was archived is part of the catalog, and is restored', async () => {
  const { archive } = production;
  const stop = new AbortController();
  let flushed = 0n;
  await using session = await production.connect();
  await session.query(`SELECT pg_create_physical_replication_slot('stream_1', true)`);
  const receiving = receiveLog({
    address: production.cluster.address,
    archive,
    slot: 'stream_1',
    signal: stop.signal,
    onStatus: (status) => (flushed = BigInt(status.flushed)),
  });
  const last = await production.write(10);
  await expect.poll(() => flushed >= last.position, { timeout: 20_000 }).toBe(true);
  stop.abort();
  await receiving;
  await rm(folder, { recursive: true });
  await cp(archive.folder, folder, { recursive: true });
  const { catalog } = await readArchive({ archiveDir: folder }, signal);
  expect(catalog.logs.at(-1)?.next).toBe(flushed);
  await stopServer({
    dataDir: (await session.query<{ dir: string }>(`SELECT current_setting('data_directory') AS dir`))[0]!
      .dir,
    mode: 'immediate',
  });
  const report = await production.restore({ until: { kind: 'latest' }, archiveDir: folder });
  expect(await production.readRows(report.target.folder)).toEqual(production.expectRows(2, last.position));
});
