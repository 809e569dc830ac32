import { copyFile, cp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { proveChecksums } from '../../../../src/databases/postgres/prove/checksums.ts';
import { proveLog, type LogProofReport } from '../../../../src/databases/postgres/prove/log.ts';
import { makeProvenArchive, type ProvenArchive } from './proven-archive.ts';

const signal = new AbortController().signal;
let made: ProvenArchive;
let copies = 0;
beforeAll(async () => {
  made = await makeProvenArchive();
});
afterAll(async () => made[Symbol.asyncDispose]());

const prove = async (archiveDir: string, label: string, mirrorDir?: string): Promise<LogProofReport> =>
  proveLog({ archiveDir, mirrorDir, label, workers: 2, signal });

/** A copy of the archive that a test may break. */
async function copyArchive(): Promise<string> {
  copies += 1;
  const copy = join(made.cluster.folder, `copy-${copies}`);
  await cp(made.archive.folder, copy, { recursive: true });
  return copy;
}

async function segments(folder: string, timeline = '00000001'): Promise<string[]> {
  return (await readdir(join(folder, 'log', timeline)))
    .filter((name) => /^[0-9A-F]{24}\.zst$/.test(name))
    .sort();
}

describe('grade 2', () => {
  test.each(['B1', 'B2'])(
    'the log of %s has no gap, over the branch, in archive and mirror',
    async (label) => {
      const report = await prove(made.archive.folder, label, made.mirror.folder);
      expect(report).toMatchObject({ passed: true, gaps: [], problems: [], warnings: [] });
      expect(report.segments).toBeGreaterThan(label === 'B1' ? 4 : 1);
      expect(BigInt(report.to)).toBeGreaterThan(BigInt(report.from));
    },
  );

  test('a missing segment is a gap with its positions; the mirror has it', async () => {
    const copy = await copyArchive();
    const names = await segments(copy);
    const lost = names.at(-2) ?? '';
    await rm(join(copy, 'log', '00000001', lost));
    const report = await prove(copy, 'B1');
    expect(report.passed).toBe(false);
    const at = (BigInt(`0x${lost.slice(8, 16)}`) * 4096n + BigInt(`0x${lost.slice(16, 24)}`)) * 2n ** 20n;
    expect(report.gaps).toMatchObject([{ from: String(at) }]);
    expect(await prove(copy, 'B1', made.mirror.folder)).toMatchObject({ passed: true, gaps: [] });
  });

  test('a flipped byte in one copy is a warning with a whole mirror, and a failure without', async () => {
    const copy = await copyArchive();
    const path = join(copy, 'log', '00000001', (await segments(copy)).at(-2) ?? '');
    await flip(path, 2000);
    expect(await prove(copy, 'B1')).toMatchObject({ passed: false, problems: [{ file: path }] });
    expect(await prove(copy, 'B1', made.mirror.folder)).toMatchObject({
      passed: true,
      warnings: [{ file: path }],
    });
  });

  test('two segments that changed places are found', async () => {
    const copy = await copyArchive();
    const folder = join(copy, 'log', '00000001');
    const [first = '', second = ''] = (await segments(copy)).slice(-3);
    await rename(join(folder, first), join(folder, 'swap'));
    await rename(join(folder, second), join(folder, first));
    await rename(join(folder, 'swap'), join(folder, second));
    expect((await prove(copy, 'B1')).passed).toBe(false);
  });

  test('a .history file with another switch point does not fit the log', async () => {
    const copy = await copyArchive();
    const path = join(copy, 'log', '00000002.history');
    const text = await readFile(path, 'utf8');
    const moved = text.replace(
      /^(1\t0\/[0-9A-F]+)([0-9A-F])\t/m,
      (_all, before: string, digit: string) => `${before}${digit === '8' ? '0' : '8'}\t`,
    );
    expect(moved).not.toBe(text);
    await writeFile(path, moved);
    const report = await prove(copy, 'B1');
    expect(report.passed).toBe(false);
    expect(JSON.stringify(report.problems)).toContain('timeline 2 begins at');
    expect(JSON.stringify((await prove(copy, 'B1', made.mirror.folder)).problems)).toContain(
      'different branches',
    );
  });

  test('a .history file that is lost is missing where older timelines are in the archive', async () => {
    const copy = await copyArchive();
    await rm(join(copy, 'log', '00000002.history'));
    const proof = await prove(copy, 'B2').then(
      ({ passed }) => passed,
      () => false,
    );
    expect(proof).toBe(false);
  });
});

/** Of a single flipped byte: found by which proof, or harmless because nothing ever reads it. */
async function judgeFlip(copy: string, file: string, at: number): Promise<'found' | 'harmless' | 'missed'> {
  const path = join(copy, file);
  await flip(path, at);
  try {
    if (isHarmless(file, await readFile(path), at)) return 'harmless';
    const label = /backups\/(B\d)\//.exec(file)?.[1];
    const proofs =
      label === undefined
        ? [async () => prove(copy, 'B1'), async () => prove(copy, 'B2')]
        : [async () => proveChecksums({ archiveDir: copy, label, workers: 1, signal })];
    for (const proof of proofs) {
      const passed = await proof().then(
        (report) => report.passed,
        () => false,
      );
      if (!passed) return 'found';
    }
    return 'missed';
  } finally {
    await copyFile(join(made.archive.folder, file), path);
  }
}

/**
 * Bytes that carry nothing: the reason in a .history file (free text, never a fact to act on) and its blanks, the number of
 * the skippable frame and the time of archiving in a log file's trailer, label files of the server beside the log, log
 * before the oldest backup, which no proof and no restore reads.
 */
function isHarmless(file: string, bytes: Buffer, at: number): boolean {
  if (file.endsWith('.backup')) return true;
  if (file.endsWith('.history')) {
    const text = bytes.toString('latin1');
    const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
    // A blank that became another blank reads the same, for us and for the server's scanf.
    return /^\d+\s+\S+\s/.test(line) || /^[^\S\n]$/.test(bytes.toString('latin1', at, at + 1));
  }
  if (!file.startsWith('log/')) return false;
  const trailer = bytes.length - 1024;
  if (at === trailer) return true;
  const from = bytes.indexOf('"archivedAt":"', trailer) + '"archivedAt":"'.length;
  return at >= from && at < bytes.indexOf('"', from);
}

const flips = Number(process.env['CLONA_FLIPS'] ?? 30);

test(
  `of ${flips} single flipped bytes every one is found, or harmless and listed why`,
  { timeout: 1_800_000 },
  async () => {
    const copy = await copyArchive();
    const all = (await readdir(copy, { recursive: true })).sort();
    const files: { file: string; size: number; isHead: boolean }[] = [];
    const unread = new Set((await segments(copy)).map((name) => name.slice(0, 24)));
    const first = (await prove(copy, 'B1')).from;
    for (const file of all) {
      const info = await stat(join(copy, file));
      if (!info.isFile() || file.endsWith('grades.json')) continue;
      const name = /log\/00000001\/([0-9A-F]{24})/.exec(file)?.[1];
      if (name !== undefined && unread.has(name) && segmentEnd(name) <= BigInt(first)) continue;
      files.push({ file, size: info.size, isHead: /\.json$|manifest$|\.history$/.test(file) });
    }
    const heads = files.filter(({ isHead }) => isHead);
    const bodies = files.filter(({ isHead }) => !isHead);
    const random = makeRandom(42);
    const table = { found: 0, harmless: 0, missed: [] as string[] };
    for (let index = 0; index < flips; index += 1) {
      const group = index % 2 === 0 ? heads : bodies;
      const { file, size } = group[Math.floor(random() * group.length)]!;
      const at = Math.floor(random() * size);
      const verdict = await judgeFlip(copy, file, at);
      if (verdict === 'missed') table.missed.push(`${file}@${at}`);
      else table[verdict] += 1;
    }
    process.stderr.write(`flips: ${JSON.stringify(table)}\n`);
    expect(table.missed).toEqual([]);
  },
);

function segmentEnd(name: string): bigint {
  return (BigInt(`0x${name.slice(8, 16)}`) * 4096n + BigInt(`0x${name.slice(16, 24)}`) + 1n) * 2n ** 20n;
}

/** mulberry32: the same flips in every run. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function flip(path: string, at: number): Promise<void> {
  await using handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ (1 << (at % 8));
  await handle.write(byte, 0, 1, at);
}
