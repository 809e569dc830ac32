import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeDocument } from '../../src/archive/document.ts';
import { readEvidenceNote } from '../../src/archive/evidence-note.ts';
import type { BackupHeader } from '../../src/archive/format.ts';
import {
  addGrade,
  backupFolder,
  draftBackup,
  listBackups,
  openArchive,
  openOrCreateArchive,
  readBackupHeader,
  readGrades,
  type Archive,
} from '../../src/archive/repository.ts';

const identity = { database: 'erp', systemIdentifier: '7000000000000000001', segmentSizeBytes: 2 ** 24 };
const at = '2026-07-21T10:15:00.000Z';
const header = (label: string): BackupHeader => ({
  format: 1,
  label,
  kind: 'managed',
  systemIdentifier: identity.systemIdentifier,
  database: 'erp',
  serverVersion: 180_004,
  timeline: 1,
  start: '33554472',
  consistentFrom: '33554800',
  startedAt: at,
  finishedAt: at,
  ownLog: true,
  archives: [
    {
      name: 'base.tar.zst',
      tablespaceOid: null,
      tablespacePath: null,
      rawBytes: 1536,
      compressedBytes: 90,
      sha256: 'a'.repeat(64),
      frames: [
        { compressedOffset: 0, compressedBytes: 40, rawOffset: 0, rawBytes: 512, inside: null },
        { compressedOffset: 40, compressedBytes: 50, rawOffset: 512, rawBytes: 1024, inside: null },
      ],
    },
  ],
  manifestSha256: 'b'.repeat(64),
  device: 'sdb',
  rawBytes: 1536,
  compressedBytes: 90,
  encryption: null,
  requirements: {
    settings: {},
    preloadLibraries: [],
    extensions: [],
    collations: [],
    dataChecksums: true,
    blockSizeBytes: 8192,
  },
  extraRedo: null,
  pauseMs: null,
  restorePoint: null,
});

describe('an archive', () => {
  let folder: string;
  let archive: Archive;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clona-archive-'));
    archive = await openOrCreateArchive(join(folder, 'archive'), identity, new Date(at));
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  async function publish(label: string): Promise<void> {
    await using draft = await draftBackup(archive, label);
    await draft.publish(header(label));
  }

  test('has a note of who took a backup, which tells when backup.json is another', async () => {
    {
      await using draft = await draftBackup(archive, 'B1');
      await draft.publish(header('B1'), { by: 'amra', at: new Date(at) });
    }
    const folder = backupFolder(archive, 'B1');
    expect(await readEvidenceNote(folder)).toMatchObject({
      isOfThisBackup: true,
      note: { by: 'amra', time: at, label: 'B1' },
    });
    await writeFile(join(folder, 'backup.json'), encodeDocument({ ...header('B1'), start: '33554473' }));
    expect(await readEvidenceNote(folder)).toMatchObject({ isOfThisBackup: false });
    await publish('B2');
    expect(await readEvidenceNote(backupFolder(archive, 'B2'))).toBeUndefined();
  });

  test('is found again, and refused to another database', async () => {
    expect(await openOrCreateArchive(archive.folder, identity, new Date())).toEqual(archive);
    const other = { ...identity, systemIdentifier: '7000000000000000002' };
    await expect(openOrCreateArchive(archive.folder, other, new Date())).rejects.toMatchObject({
      kind: 'archiveForeign',
    });
    await expect(openArchive(join(folder, 'nowhere'))).rejects.toMatchObject({
      kind: 'archiveMissing',
      exitCode: 6,
    });
  });

  test('is not made among files of somebody else', async () => {
    const taken = join(folder, 'taken');
    await mkdir(taken);
    await writeFile(join(taken, 'letter.txt'), 'dear');
    await expect(openOrCreateArchive(taken, identity, new Date())).rejects.toMatchObject({
      kind: 'archiveForeign',
    });
    expect(await readdir(taken)).toEqual(['letter.txt']);
  });

  test('lists what was published, and nothing that was not', async () => {
    await publish('first');
    await using draft = await draftBackup(archive, 'second');
    expect((await listBackups(archive)).map(({ label }) => label)).toEqual(['first']);
    expect(await readBackupHeader(archive, 'first')).toEqual(header('first'));
    await draft.publish(header('second'));
    expect((await listBackups(archive)).map(({ label }) => label)).toEqual(['first', 'second']);
  });

  test('refuses a second writer, a label twice, and labels that lead elsewhere', async () => {
    await publish('first');
    await expect(draftBackup(archive, 'first')).rejects.toMatchObject({ kind: 'usage' });
    await expect(draftBackup(archive, '../x')).rejects.toMatchObject({ kind: 'usage' });
    await using _draft = await draftBackup(archive, 'second');
    await expect(draftBackup(archive, 'third')).rejects.toMatchObject({ kind: 'locked', exitCode: 7 });
  });

  test('every flipped bit of a header is found', async () => {
    await publish('first');
    const path = join(archive.folder, 'backups/first/backup.json');
    const whole = await readFile(path);
    const unseen: number[] = [];
    for (let byte = 0; byte < whole.length; byte += 1) {
      const broken = Buffer.from(whole);
      broken[byte] = (broken[byte] ?? 0) ^ (1 << (byte % 8));
      await writeFile(path, broken);
      const [entry] = await listBackups(archive);
      if (entry?.problem?.kind !== 'archiveDamaged') unseen.push(byte);
    }
    expect(unseen).toEqual([]);
  });

  test('a header cut anywhere is named with its file', async () => {
    await publish('first');
    const path = join(archive.folder, 'backups/first/backup.json');
    const whole = await readFile(path);
    for (const length of [0, 1, 100, whole.length - 1]) {
      await writeFile(path, whole.subarray(0, length));
      await expect(readBackupHeader(archive, 'first')).rejects.toMatchObject({
        kind: 'archiveDamaged',
        message: expect.stringContaining('backup.json'),
      });
    }
  });

  test('a header moved to another label, and frames with a gap, are refused', async () => {
    await using draft = await draftBackup(archive, 'first');
    const made = header('other');
    await draft.publish(made);
    await expect(readBackupHeader(archive, 'first')).rejects.toMatchObject({
      message: expect.stringContaining('other'),
    });
    await using gap = await draftBackup(archive, 'gap');
    const broken = header('gap');
    broken.archives[0]!.frames[1]!.rawOffset += 512;
    await gap.publish(broken);
    await expect(readBackupHeader(archive, 'gap')).rejects.toMatchObject({
      message: expect.stringContaining('gap and overlap'),
    });
  });

  test('grades are added one by one', async () => {
    await publish('first');
    expect(await readGrades(archive, 'first')).toEqual([]);
    const one = { grade: 1, at, evidence: '17', detail: 'all checksums match' };
    await addGrade(archive, 'first', one);
    await addGrade(archive, 'first', { ...one, grade: 2 });
    expect((await readGrades(archive, 'first')).map(({ grade }) => grade)).toEqual([1, 2]);
  });
});
