import { cp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

async function flip(path: string, at: number): Promise<void> {
  await using handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ (1 << (at % 8));
  await handle.write(byte, 0, 1, at);
}
