import { execFile, spawn } from 'node:child_process';
import { chown, copyFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { locateLogFile, readLogSegment } from '../../../src/archive/log-file.ts';
import type { Archive } from '../../../src/archive/repository.ts';
import { connect } from '../../../src/databases/postgres/connect.ts';
import { drainSpool, type DrainResult } from '../../../src/databases/postgres/log-archive.ts';
import { archiveEverything, startLogArchiver } from '../../../src/databases/postgres/log-archiver.ts';
import {
  archiveSettings,
  ensureSlot,
  readSlot,
  switchLog,
} from '../../../src/databases/postgres/log-slot.ts';
import { makeTestArchive } from '../../support/archive.ts';
import { createTestCluster, majorsAvailable, type TestCluster } from '../../support/cluster.ts';
import { canMount, mountSmallDisk } from '../../support/small-disk.ts';

const run = promisify(execFile);
const majors = await majorsAvailable();
const now = (): Date => new Date();
const slotName = 'clona_log';

describe.each([15, 18])('the log archive of server %i', (major) => {
  let cluster: TestCluster;
  let spoolDir: string;
  let archive: Archive;
  let mirror: Archive;
  let round = 0;

  beforeAll(async () => {
    if (!majors.includes(major)) return;
    cluster = await createTestCluster({ major, walSegmentSizeMegabytes: 1 });
    spoolDir = join(cluster.folder, 'spool');
    await mkdir(spoolDir);
    if (cluster.runAs !== undefined) await chown(spoolDir, cluster.runAs.uid, cluster.runAs.gid);
    await cluster.stop();
    await cluster.start(archiveSettings(spoolDir, 512));
    await using session = await cluster.connect();
    await session.query('CREATE TABLE t (i int, a text)');
    await ensureSlot(session, slotName);
  });
  afterAll(async () => cluster?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    if (!majors.includes(major)) return;
    round += 1;
    archive = await makeTestArchive(cluster, `archive-${round}`);
    mirror = await makeTestArchive(cluster, `mirror-${round}`);
  });

  /** Writes so many segments and waits until the server has put them all into the spool. */
  async function writeSegments(count: number): Promise<string[]> {
    await using session = await cluster.connect();
    const names: string[] = [];
    for (let index = 0; index < count; index += 1) {
      await session.query(`INSERT INTO t SELECT i, md5(random()::text) FROM generate_series(1, 2000) i`);
      names.push(await switchLog(session));
    }
    await expect
      .poll(async () => readdir(spoolDir), { timeout: 20_000 })
      .toEqual(expect.arrayContaining(names));
    return (await readdir(spoolDir)).filter((name) => !name.startsWith('archtemp')).sort();
  }

  async function drain(): Promise<DrainResult> {
    await using session = await cluster.connect();
    return await drainSpool({ spoolDir, archive, mirror, slot: { session, name: slotName }, now });
  }

  async function slotPosition(): Promise<bigint | undefined> {
    await using session = await cluster.connect();
    return (await readSlot(session, slotName))?.restartPosition;
  }

  async function keepCopies(): Promise<string> {
    const kept = join(cluster.folder, `kept-${round}`);
    await cp(spoolDir, kept, { recursive: true });
    return kept;
  }

  test.skipIf(!majors.includes(major))(
    'two archivers on one spool and one slot hand nothing over twice or half',
    async () => {
      const names = await writeSegments(12);
      const kept = await keepCopies();
      const results = await Promise.all([drain(), drain(), drain()]);
      expect(results.flatMap(({ problems }) => problems)).toEqual([]);
      expect(new Set(results.flatMap(({ archived }) => archived))).toEqual(new Set(names));
      expect((await readdir(spoolDir)).filter((name) => names.includes(name))).toEqual([]);
      for (const { folder } of [archive, mirror]) {
        const inside = await readdir(join(folder, 'log'), { recursive: true });
        expect(inside.filter((name) => name.endsWith('.new'))).toEqual([]);
        for (const name of names) {
          const { segment } = await readLogSegment(locateLogFile(folder, name)!);
          expect(segment.equals(await readFile(join(kept, name)))).toBe(true);
        }
      }
      const last = BigInt(`0x${names.at(-1)!.slice(16)}`) + 1n;
      expect(await slotPosition()).toBe(last * BigInt(archive.header.segmentSizeBytes));
    },
  );

  test.skipIf(!majors.includes(major))(
    'segments get into archive and mirror, leave the spool, move the slot',
    async () => {
      const before = Date.now();
      const names = await writeSegments(3);
      const kept = await keepCopies();
      const result = await drain();
      expect(result.problems).toEqual([]);
      expect(result.archived.sort()).toEqual(names);
      expect((await readdir(spoolDir)).filter((name) => names.includes(name))).toEqual([]);
      for (const { folder } of [archive, mirror]) {
        for (const name of names) {
          const path = locateLogFile(folder, name)!;
          const original = await readFile(join(kept, name));
          expect((await readLogSegment(path)).segment.equals(original)).toBe(true);
          const { stdout } = await run('zstd', ['-dcq', path], { encoding: 'buffer', maxBuffer: 2 ** 26 });
          expect(stdout.equals(original)).toBe(true);
        }
      }
      const { trailer } = await readLogSegment(locateLogFile(archive.folder, names.at(-1)!)!);
      expect(trailer.name).toBe(names.at(-1));
      expect(Date.parse(trailer.firstTime!)).toBeGreaterThanOrEqual(before - 1000);
      expect(Date.parse(trailer.lastTime!)).toBeLessThanOrEqual(Date.now());
      const last = BigInt(`0x${names.at(-1)!.slice(16)}`) + 1n;
      expect(await slotPosition()).toBe(last * BigInt(archive.header.segmentSizeBytes));
    },
  );

  test.skipIf(!majors.includes(major))(
    'killed at any point and started again, nothing is lost and nothing doubled',
    async () => {
      const names = await writeSegments(3);
      const kept = await keepCopies();
      const script = join(import.meta.dirname, '../../support/drain-child.ts');
      let killed = 0;
      for (let stopAt = 1; ; stopAt += 1) {
        const args = [script, spoolDir, archive.folder, mirror.folder, cluster.socketDir, String(stopAt)];
        const ended = await run(process.execPath, args).then(
          () => 'done',
          (error: { signal: string }) => error.signal,
        );
        if (ended === 'done') break;
        expect(ended).toBe('SIGKILL');
        killed += 1;
        // What left the spool must be in both.
        const left = new Set(await readdir(spoolDir));
        for (const name of names.filter((name) => !left.has(name))) await expectWhole(name, kept);
        // Each time the whole spool comes back, as if the server had archived it again.
        for (const name of names) if (!left.has(name)) await copyFile(join(kept, name), join(spoolDir, name));
      }
      expect(killed).toBeGreaterThanOrEqual(names.length);
      for (const name of names) await expectWhole(name, kept);
      for (const { folder } of [archive, mirror]) {
        expect(
          (await readdir(join(folder, 'log', names[0]!.slice(0, 8))))
            .filter((name) => !name.startsWith('.'))
            .sort(),
        ).toEqual(names.map((name) => `${name}.zst`));
      }
    },
  );

  test.skipIf(!majors.includes(major))('killed while files are being written, nothing is lost', async () => {
    const names = await writeSegments(6);
    const kept = await keepCopies();
    const script = join(import.meta.dirname, '../../support/drain-child.ts');
    const timeline = names[0]!.slice(0, 8);
    const inside = async ({ folder }: Archive): Promise<string[]> =>
      readdir(join(folder, 'log', timeline)).catch(() => []);
    const isUnfinished = (name: string): boolean => name.endsWith('.new');
    const isFinished = (name: string): boolean => name.endsWith('.zst');
    const moments: (() => Promise<boolean>)[] = [
      async () => (await inside(archive)).some(isUnfinished),
      async () => (await inside(archive)).some(isFinished),
      async () => (await inside(mirror)).some(isUnfinished),
      async () => (await inside(mirror)).some(isFinished),
      async () => (await inside(mirror)).filter(isFinished).length === names.length,
      async () => (await readdir(spoolDir)).length < names.length,
    ];
    for (const hasCome of moments) {
      const child = spawn(process.execPath, [
        script,
        spoolDir,
        archive.folder,
        mirror.folder,
        cluster.socketDir,
        '0',
      ]);
      const state = { isOver: false };
      const ended = new Promise<void>((resolve) => {
        child.once('exit', () => {
          state.isOver = true;
          resolve();
        });
      });
      while (!state.isOver && !(await hasCome())) await nextTurn();
      child.kill('SIGKILL');
      await ended;
      const left = new Set(await readdir(spoolDir));
      for (const name of names.filter((name) => !left.has(name))) await expectWhole(name, kept);
    }
    expect((await drain()).problems).toEqual([]);
    for (const name of names) await expectWhole(name, kept);
  });

  async function expectWhole(name: string, kept: string): Promise<void> {
    const original = await readFile(join(kept, name));
    for (const { folder } of [archive, mirror]) {
      expect((await readLogSegment(locateLogFile(folder, name)!)).segment.equals(original)).toBe(true);
    }
  }

  test.skipIf(!majors.includes(major))(
    'a mirror that is away stops neither the archive nor its own catching up',
    async () => {
      const names = await writeSegments(2);
      const position = await slotPosition();
      await rename(mirror.folder, `${mirror.folder}-away`);
      const first = await drain();
      expect(first.archived).toEqual([]);
      expect(first.problems).toMatchObject([{ kind: 'archiveMissing' }]);
      expect(await readdir(spoolDir)).toEqual(expect.arrayContaining(names));
      await readLogSegment(locateLogFile(archive.folder, names[0]!)!);
      expect(await slotPosition()).toBe(position);
      await rename(`${mirror.folder}-away`, mirror.folder);
      const second = await drain();
      expect(second.problems).toEqual([]);
      expect(second.archived.sort()).toEqual(names);
      await readLogSegment(locateLogFile(mirror.folder, names[0]!)!);
    },
  );

  test.skipIf(!majors.includes(major))(
    'other content under an archived name is damage and never replaces it',
    async () => {
      const names = await writeSegments(1);
      const kept = await keepCopies();
      await drain();
      const [name] = names as [string];
      const before = await readFile(locateLogFile(archive.folder, name)!);
      const changed = await readFile(join(kept, name));
      changed[changed.length - 9] = 0x5a;
      await writeFile(join(spoolDir, name), changed);
      const result = await drain();
      expect(result.problems).toHaveLength(2);
      expect(result.problems[0]).toMatchObject({
        kind: 'archiveDamaged',
        message: expect.stringContaining('other content'),
      });
      expect((await readFile(locateLogFile(archive.folder, name)!)).equals(before)).toBe(true);
      expect(await readdir(spoolDir)).toContain(name);
      await rm(join(spoolDir, name));
    },
  );

  test.skipIf(!majors.includes(major))(
    'a cut, foreign or misnamed segment is not archived, the others are',
    async () => {
      const names = await writeSegments(4);
      const whole = await readFile(join(spoolDir, names[0]!));
      await writeFile(join(spoolDir, names[0]!), whole.subarray(0, 5000));
      const foreign = await readFile(join(spoolDir, names[1]!));
      foreign.writeBigUInt64LE(42n, 24);
      await writeFile(join(spoolDir, names[1]!), foreign);
      await writeFile(join(spoolDir, names[2]!), whole);
      const { archived, problems } = await drain();
      expect(archived).toEqual(names.slice(3));
      expect(problems.map(({ kind }) => kind).sort()).toEqual([
        'archiveDamaged',
        'archiveDamaged',
        'archiveForeign',
      ]);
      for (const name of names.slice(0, 3)) await rm(join(spoolDir, name));
    },
  );

  test.skipIf(!majors.includes(major))(
    'histories, backup labels and partial segments are kept as the server wrote them',
    async () => {
      const names = await writeSegments(1);
      const [name] = names as [string];
      await copyFile(join(spoolDir, name), join(spoolDir, `${name}.partial`));
      await writeFile(join(spoolDir, '00000002.history'), '1\t0/3000000\tno recovery target specified\n');
      await writeFile(join(spoolDir, `${name}.00000028.backup`), 'START WAL LOCATION: 0/2000028\n');
      const { problems, archived } = await drain();
      expect(problems).toEqual([]);
      expect(archived).toHaveLength(4);
      expect((await readLogSegment(locateLogFile(mirror.folder, `${name}.partial`)!)).trailer.name).toBe(
        `${name}.partial`,
      );
      expect(await readFile(join(archive.folder, 'log', '00000002.history'), 'utf8')).toContain(
        'no recovery target',
      );
      expect(
        await readFile(join(mirror.folder, 'log', name.slice(0, 8), `${name}.00000028.backup`), 'utf8'),
      ).toContain('START');
    },
  );

  test.skipIf(!majors.includes(major) || !canMount())(
    'a full mirror is named, nothing half written stays, it catches up',
    async () => {
      await using disk = await mountSmallDisk(1);
      await using session = await cluster.connect();
      const small = join(disk.folder, 'mirror');
      const { openOrCreateArchive } = await import('../../../src/archive/repository.ts');
      mirror = await openOrCreateArchive(small, archive.header, now());
      await writeFile(join(disk.folder, 'ballast'), Buffer.alloc(2 ** 20 - 100 * 1024));
      const names = await writeSegments(2);
      const first = await drain();
      expect(first.problems).toMatchObject([{ kind: 'diskFull', exitCode: 6 }, ...first.problems.slice(1)]);
      // Which of the two still fitted is the disk's affair: what the mirror lacks, the spool keeps.
      const kept = await readdir(spoolDir);
      expect(names.some((name) => kept.includes(name))).toBe(true);
      expect(names.every((name) => kept.includes(name) || locateLogFile(small, name) !== undefined)).toBe(
        true,
      );
      const inMirror = await readdir(join(small, 'log', names[0]!.slice(0, 8))).catch(() => []);
      expect(inMirror.filter((name) => name.endsWith('.new'))).toEqual([]);
      await rm(join(disk.folder, 'ballast'));
      await session.query('SELECT 1');
      expect((await drain()).problems).toEqual([]);
    },
  );

  test.skipIf(!majors.includes(major))(
    'the archiver follows a server at work and hands over everything on request',
    async () => {
      const { address } = cluster;
      await using archiver = await startLogArchiver({
        spoolDir,
        archive,
        mirror,
        slot: { address, name: slotName },
        now,
        intervalMs: 50,
      });
      await using session = await connect(address);
      await session.query(`INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 30000) i`);
      const name = await archiveEverything(address, archiver);
      await readLogSegment(locateLogFile(archive.folder, name)!);
      await readLogSegment(locateLogFile(mirror.folder, name)!);
      expect(await readdir(spoolDir)).not.toContain(name);
    },
  );

  test.skipIf(!majors.includes(major))('a slot that nothing bounds is refused', async () => {
    await using session = await cluster.connect();
    await session.query(`ALTER SYSTEM SET max_slot_wal_keep_size = -1`);
    await using plain = await createTestCluster({ major });
    await using unbounded = await plain.connect();
    await expect(ensureSlot(unbounded, 'clona_log')).rejects.toMatchObject({
      kind: 'slotUnbounded',
      exitCode: 2,
    });
  });
});
