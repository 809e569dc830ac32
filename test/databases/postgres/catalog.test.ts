import { mkdirSync, symlinkSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { addGrade, readGrades } from '../../../src/archive/repository.ts';
import { readArchive } from '../../../src/databases/postgres/catalog.ts';
import { refuseLostIncarnations } from '../../../src/databases/postgres/catalog-histories.ts';
import { receiveLog } from '../../../src/databases/postgres/log-receiver.ts';
import { proveChecksums } from '../../../src/databases/postgres/prove/checksums.ts';
import { proveLog } from '../../../src/databases/postgres/prove/log.ts';
import { stopServer } from '../../../src/databases/postgres/server.ts';
import { ClonaError } from '../../../src/errors.ts';
import { catalogToJson } from '../../../src/recovery/catalog-json.ts';
import { checkCatalog } from '../../../src/recovery/check-catalog.ts';
import { asPosition } from '../../../src/recovery/position.ts';
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
  const { warnings } = await readArchive({ archiveDir: folder }, signal);
  expect(warnings.join()).toContain('what was proven of backup B1 does not read');
  expect(await readGrades({ folder, header }, 'B1')).toEqual([]);
});

test('what is still being written and what is no backup is not listed', async () => {
  await mkdir(join(folder, 'backups', '.B3.partial'));
  await mkdir(join(folder, 'backups', 'lost+found'), { recursive: true });
  await writeFile(join(folder, 'log', '00000001', '.half.zst'), 'x');
  const { catalog } = await readArchive({ archiveDir: folder }, signal);
  expect(catalog.backups.map(({ label }) => label)).toEqual(['B1', 'B2']);
});

test.each([
  ['cut off', async (history: string) => truncate(history, (await readFile(history)).length - 3)],
  ['gone', async (history: string) => rm(history)],
])('the newest .history file %s is made again of the log, and named', async (_what, spoil) => {
  const before = await readArchive({ archiveDir: folder }, signal);
  await spoil(join(folder, 'log', '00000002.history'));
  const { catalog, warnings } = await readArchive({ archiveDir: folder }, signal);
  expect(catalog.incarnations.map(({ parent, branchPosition }) => [parent, branchPosition])).toEqual(
    before.catalog.incarnations.map(({ parent, branchPosition }) => [parent, branchPosition]),
  );
  expect(warnings.join()).toContain('00000002.history was made again of the first record of its log');
});

test('an incarnation of which nothing tells stands alone: older ones are reached, and nothing is removed', async () => {
  const history = join(folder, 'log', '00000002.history');
  await truncate(history, (await readFile(history)).length - 3);
  const [first = ''] = (await readdir(join(folder, 'log', '00000002'))).sort();
  await truncate(join(folder, 'log', '00000002', first), 100);
  const { catalog, warnings } = await readArchive({ archiveDir: folder }, signal);
  expect(catalog.incarnations.at(-1)).toMatchObject({ id: 2, parent: null });
  expect(warnings.join()).toContain('where timeline 2 begins is not known');
  expect(() => refuseLostIncarnations(catalog.incarnations)).toThrow('nothing is removed');
  await expect(production.restore({ until: { kind: 'latest' }, archiveDir: folder })).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringContaining('00000002.history'),
    hint: expect.stringContaining('incarnation:1'),
  });
  const position = asPosition(moment.position);
  const until = { kind: 'incarnation', incarnation: 1, position } as const;
  const report = await production.restore({ until, archiveDir: folder });
  expect(await production.readRows(report.target.folder)).toEqual(production.expectRows(1, moment.position));
});

test('two places that tell of different branches are settled by the log itself', async () => {
  const history = join(folder, 'log', '00000002.history');
  const text = await readFile(history, 'utf8');
  await writeFile(
    history,
    text.replace(/^(1\t0\/)[0-9A-F]/, (_all, before: string) => `${before}1`),
  );
  const places = { archiveDir: folder, mirrorDir: production.mirror.folder };
  const { catalog, warnings } = await readArchive(places, signal);
  const right = await readArchive({ archiveDir: production.mirror.folder }, signal);
  expect(catalog.incarnations.at(-1)?.branchPosition).toBe(right.catalog.incarnations.at(-1)?.branchPosition);
  expect(warnings.join()).toContain('the log says which is right');
});

const makePipe = (path: string): void => void spawnSync('mkfifo', [path]);

test.each<[string, string, (path: string) => void]>([
  ['clona-archive.json', 'a pipe', makePipe],
  ['backups/B1/backup.json', 'a pipe', makePipe],
  ['backups/B1/backup.json', 'a link to itself', (path) => symlinkSync(path, path)],
  ['backups/B1/backup.json', 'a folder', (path) => mkdirSync(path)],
  ['backups/B1/backup_manifest', 'a pipe', makePipe],
  ['backups/B1/backup_manifest', 'a device', (path) => symlinkSync('/dev/zero', path)],
  ['backups/B1/base.tar.zst', 'a pipe', makePipe],
  ['log/00000002.history', 'a pipe', makePipe],
  ['log/00000002.history', 'a link to itself', (path) => symlinkSync(path, path)],
  ['log/00000001/', 'a pipe', makePipe],
])('in the place of %s %s is damage that is told, and nobody waits for it', async (file, _what, put) => {
  const isSegment = file.endsWith('/');
  const [name = ''] = isSegment ? (await readdir(join(folder, file))).sort() : [''];
  const path = join(folder, file, name);
  await rm(path);
  put(path);
  const told = await readArchive({ archiveDir: folder }, signal).then(
    ({ warnings }) => warnings.join(),
    (error: unknown) => (error instanceof ClonaError ? `${error.exitCode} ${error.message}` : ''),
  );
  expect(told).toContain(file === 'clona-archive.json' ? `4 ${path}` : basename(path, '.zst'));
  if (!file.startsWith('backups')) return;
  const { passed } = await proveChecksums({ archiveDir: folder, label: 'B1', signal });
  expect(passed).toBe(false);
});

test('--repair makes the header and .history files again of what lies there, and keeps what was there', async () => {
  const header = join(folder, 'clona-archive.json');
  const history = join(folder, 'log', '00000002.history');
  const before = JSON.parse(await readFile(header, 'utf8')) as Record<string, unknown>;
  await truncate(header, 50);
  await truncate(history, 5);
  const clona = (...args: string[]) =>
    spawnSync(process.execPath, [launcher, 'catalog', '--archive', folder, ...args], { encoding: 'utf8' });
  const damaged = clona();
  expect(damaged.status).toBe(4);
  expect(damaged.stderr).toContain('--repair --yes');
  expect(clona('--repair').status).toBe(2);
  expect((await readFile(header, 'utf8')).length).toBe(50);
  const repaired = clona('--repair', '--yes');
  expect({ status: repaired.status, stderr: repaired.stderr }).toMatchObject({ status: 0 });
  const { systemIdentifier, segmentSizeBytes, database } = before;
  expect(JSON.parse(await readFile(header, 'utf8'))).toMatchObject({
    systemIdentifier,
    segmentSizeBytes,
    database,
  });
  const { warnings } = await readArchive({ archiveDir: folder }, signal);
  expect(warnings).toEqual([]);
  const { passed } = await proveLog({ archiveDir: folder, label: 'B1', signal });
  expect(passed).toBe(true);
  expect(
    (await readdir(folder)).filter((name) => name.startsWith('.clona-archive.json.damaged')),
  ).toHaveLength(1);
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
