import { renameSync } from 'node:fs';
import { cp, open, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { BackupHeader } from '../../../../src/archive/format.ts';
import { readBackupHeader } from '../../../../src/archive/repository.ts';
import type { RestoreReport } from '../../../../src/databases/postgres/restore/report.ts';
import type { OnProgress } from '../../../../src/progress.ts';
import { unpackStep } from '../../../../src/databases/postgres/restore/unpack/unpack.ts';
import { proveChecksums } from '../../../../src/databases/postgres/prove/checksums.ts';
import { asPosition } from '../../../../src/recovery/position.ts';
import { createProduction, type Moment, type Production } from '../../../support/production.ts';

let production: Production;
let stranger: Production;
let early: Moment;
let end: Moment;
let folder: string;
let round = 0;
let second: BackupHeader;

beforeAll(async () => {
  [production, stranger] = await Promise.all([createProduction(), createProduction()]);
  await production.write(10);
  await production.backup('B1');
  early = await production.write(40);
  await production.archiveLog();
  await production.write(40);
  await production.archiveLog();
  await production.backup('B2');
  end = await production.write(40);
  await production.archiveLog();
  second = await readBackupHeader(production.archive, 'B2');
  await stranger.write(10);
  await stranger.backup('B2');
  await stranger.archiveLog();
});
afterAll(async () => {
  await production?.[Symbol.asyncDispose]();
  await stranger?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  round += 1;
  folder = join(production.cluster.folder, `damaged-${round}`);
  await cp(production.archive.folder, folder, { recursive: true, preserveTimestamps: true });
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

async function restoreDamaged(
  options: Partial<Parameters<Production['restore']>[0]> = {},
): Promise<RestoreReport> {
  return production.restore({ until: { kind: 'latest' }, archiveDir: folder, ...options });
}

async function expectAll(report: RestoreReport): Promise<void> {
  const rows = await production.readRows(report.target.folder);
  expect(rows).toEqual(production.expectRows(1, end.position));
  await rm(report.target.folder, { recursive: true });
}

async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
  buffer[0]! ^= 0x10;
  await file.write(buffer, 0, 1, offset);
  await file.close();
}

const base = (label: string): string => join(folder, 'backups', label, 'base.tar.zst');

/** Names of the archived segments, oldest first. */
async function segments(): Promise<string[]> {
  return (await readdir(join(folder, 'log', '00000001')))
    .filter((name) => /^[0-9A-F]{24}\.zst$/.test(name))
    .sort();
}

/** A target of this round that no restore may have left anything at. */
async function expectNothingWhole(): Promise<void> {
  const found = (await readdir(production.cluster.folder)).filter((name) => name.startsWith('copy-'));
  for (const name of found) await rm(join(production.cluster.folder, name), { recursive: true });
  expect(found.filter((name) => !name.includes('.'))).toEqual([]);
}

test('a flipped bit in the newest backup: the older one serves, and that is said', async () => {
  await flip(base('B2'), Math.floor(second.compressedBytes / 2));
  const report = await restoreDamaged();
  expect(report.label).toBe('B1');
  expect(report.warnings.join('\n')).toMatch(/backup B2: base\.tar\.zst: frame \d+: .*damaged/);
  await expectAll(report);
});

test('a flipped bit in the primary is made good from the mirror', async () => {
  await flip(base('B2'), Math.floor(second.compressedBytes / 2));
  const report = await restoreDamaged({ mirrorDir: production.mirror.folder });
  expect(report.label).toBe('B2');
  expect(report.warnings.join('\n')).toMatch(/frame \d+ is damaged in .* and was taken from .*mirror/);
  await expectAll(report);
});

test('a backup that was asked for by name and is damaged ends with exit 4', async () => {
  await flip(base('B2'), Math.floor(second.compressedBytes / 3));
  const failed = restoreDamaged({ until: { kind: 'backup', label: 'B2' } });
  await expect(failed).rejects.toMatchObject({ exitCode: 4, message: expect.stringContaining('backup B2') });
  await expectNothingWhole();
});

test('every backup damaged: exit 4, each named', async () => {
  await truncate(base('B1'), 1000);
  await rm(base('B2'));
  await expect(restoreDamaged()).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(
      /backup B1 is damaged: base\.tar\.zst has 1000 bytes .*backup B2 is missing: base\.tar\.zst is not there/,
    ),
  });
  await expectNothingWhole();
});

test.each([
  ['backup.json', 20],
  ['backup_manifest', 300],
])('a flipped bit in %s makes the backup unusable, not wrong', async (name, offset) => {
  await flip(join(folder, 'backups', 'B2', name), offset);
  const report = await restoreDamaged();
  expect(report.label).toBe('B1');
  expect(report.warnings.join('\n')).toContain('backup B2 is damaged');
  await expectAll(report);
});

test('archives of two backups swapped are noticed', async () => {
  const [one, two] = [base('B1'), base('B2')];
  await rename(one, `${one}.x`);
  await rename(two, one);
  await rename(`${one}.x`, two);
  await expect(restoreDamaged()).rejects.toMatchObject({ exitCode: 4 });
  await expectNothingWhole();
});

/** The one segment that every way to the end needs. */
async function lastSegment(): Promise<string> {
  const names = await segments();
  return join(folder, 'log', '00000001', names.at(-1)!);
}

test('a missing segment is named, with exit 5; a target before it is still reached', async () => {
  const names = await segments();
  const middle = names[Math.floor(names.length / 2)]!;
  await rm(base('B2'));
  await rm(join(folder, 'log', '00000001', middle));
  await expect(restoreDamaged()).rejects.toMatchObject({
    kind: 'archiveGap',
    exitCode: 5,
    message: expect.stringContaining(middle.slice(0, 24)),
    details: { segments: [middle.slice(0, 24)] },
  });
  await expectNothingWhole();
  const report = await restoreDamaged({ until: { kind: 'position', position: asPosition(early.position) } });
  expect(await production.readRows(report.target.folder)).toEqual(production.expectRows(1, early.position));
  await rm(report.target.folder, { recursive: true });
});

test.each([
  ['a flipped bit', async (path: string) => flip(path, Math.floor((await stat(path)).size / 3))],
  ['a flipped bit in the trailer', async (path: string) => flip(path, (await stat(path)).size - 900)],
  ['a cut end', async (path: string) => truncate(path, (await stat(path)).size - 100)],
  ['no content', async (path: string) => truncate(path, 0)],
])('a segment with %s is named, with exit 5, and the mirror makes it good', async (_name, damage) => {
  const path = await lastSegment();
  await damage(path);
  const name = path.slice(-28, -4);
  await expect(restoreDamaged()).rejects.toMatchObject({
    exitCode: 5,
    message: expect.stringContaining(name),
  });
  await expectNothingWhole();
  await expectAll(await restoreDamaged({ mirrorDir: production.mirror.folder }));
});

test('two segments swapped are noticed by what their pages say', async () => {
  const names = await segments();
  const [one, two] = names.slice(-2).map((name) => join(folder, 'log', '00000001', name));
  await rename(one!, `${one!}.x`);
  await rename(two!, one!);
  await rename(`${one!}.x`, two!);
  await expect(restoreDamaged()).rejects.toMatchObject({ exitCode: 5 });
  await expectNothingWhole();
});

test("another database's backup and log are refused by name", async () => {
  await cp(join(stranger.archive.folder, 'backups', 'B2'), join(folder, 'backups', 'B9'), {
    recursive: true,
  });
  await rm(join(folder, 'backups', 'B1'), { recursive: true });
  await rm(join(folder, 'backups', 'B2'), { recursive: true });
  await expect(restoreDamaged()).rejects.toMatchObject({ exitCode: 4 });
  const foreign = await readdir(join(stranger.archive.folder, 'log', '00000001'));
  const path = await lastSegment();
  await cp(join(production.archive.folder, 'backups', 'B2'), join(folder, 'backups', 'B2'), {
    recursive: true,
  });
  await cp(
    join(
      stranger.archive.folder,
      'log',
      '00000001',
      foreign.find((name) => /^[0-9A-F]{24}\.zst$/.test(name))!,
    ),
    path,
  );
  await expect(restoreDamaged()).rejects.toMatchObject({
    exitCode: 5,
    message: expect.stringContaining(path.slice(-28, -4)),
  });
  await expectNothingWhole();
});

test('an archive that is not there, and one without a readable header, are named', async () => {
  await expect(restoreDamaged({ archiveDir: `${folder}-nowhere` })).rejects.toMatchObject({ exitCode: 5 });
  await flip(join(folder, 'clona-archive.json'), 30);
  await expect(restoreDamaged()).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringContaining('clona-archive.json'),
  });
  await expectAll(await restoreDamaged({ mirrorDir: production.mirror.folder }));
});

test('an archive that disappears while it is read is no damage: exit 6, nothing whole', async () => {
  const away = `${folder}-away`;
  const onProgress: OnProgress = ({ step, state }) => {
    if (step === unpackStep && state === 'started') renameSync(folder, away);
  };
  await expect(restoreDamaged({ onProgress })).rejects.toMatchObject({
    exitCode: 6,
    message: expect.stringContaining('disappeared'),
  });
  await expectNothingWhole();
  await rename(away, folder);
  const vanish: OnProgress = ({ state }) => {
    if (state === 'started') renameSync(folder, away);
  };
  await expect(
    proveChecksums({
      archiveDir: folder,
      label: 'B2',
      signal: new AbortController().signal,
      onProgress: vanish,
    }),
  ).rejects.toMatchObject({ exitCode: 6 });
  await rm(away, { recursive: true });
});

test('a mirror of another database is refused', async () => {
  await expect(restoreDamaged({ mirrorDir: stranger.archive.folder })).rejects.toMatchObject({
    kind: 'archiveForeign',
  });
});

test('a good database is never restored over, whatever the archive', async () => {
  const report = await restoreDamaged();
  const before = await readFile(join(report.target.folder, 'PG_VERSION'), 'utf8');
  const over = restoreDamaged({ target: report.target.folder });
  await expect(over).rejects.toMatchObject({ kind: 'targetOccupied', exitCode: 2 });
  expect(await readFile(join(report.target.folder, 'PG_VERSION'), 'utf8')).toBe(before);
  await expectAll(report);
});
