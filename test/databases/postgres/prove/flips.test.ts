import { copyFile, cp, open, readdir, readFile, rename, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEvidenceNote } from '../../../../src/archive/evidence-note.ts';
import { addGrade, openArchive } from '../../../../src/archive/repository.ts';
import { readArchiveCatalog } from '../../../../src/databases/postgres/catalog.ts';
import { proveChecksums } from '../../../../src/databases/postgres/prove/checksums.ts';
import { proveLog } from '../../../../src/databases/postgres/prove/log.ts';
import { makeProvenArchive, type ProvenArchive } from './proven-archive.ts';

/** 1,000 by `npm run test:deep`. */
const flips = Number(process.env['CLONA_FLIPS'] ?? 40);
const signal = new AbortController().signal;
let made: ProvenArchive;
let copy: string;
/** Files that some proof reads, by kind. */
const kinds = new Map<string, string[]>();

beforeAll(async () => {
  made = await makeProvenArchive();
  await addGrade(await openArchive(made.archive.folder), 'B1', {
    grade: 1,
    at: '2026-01-01T00:00:00Z',
    evidence: 'a test',
    detail: 'nothing',
  });
  copy = join(made.cluster.folder, 'copy');
  await cp(made.archive.folder, copy, { recursive: true });
  const { from } = await proveLog({ archiveDir: copy, label: 'B1', workers: 2, signal });
  for (const file of (await readdir(copy, { recursive: true })).sort()) {
    if (!(await stat(join(copy, file))).isFile()) continue;
    const name = /log\/00000001\/([0-9A-F]{24})\./.exec(file)?.[1];
    // Log from before the oldest backup: no proof and no restore reads it.
    if (name !== undefined && endOf(name) <= BigInt(from)) continue;
    const kind = kindOf(file);
    kinds.set(kind, [...(kinds.get(kind) ?? []), file]);
  }
});
afterAll(async () => made[Symbol.asyncDispose]());

function kindOf(file: string): string {
  if (file.endsWith('.history')) return '.history';
  if (file.endsWith('.backup')) return 'label of a backup in the log';
  if (file.startsWith('log/')) return 'log segment';
  return file.endsWith('.tar.zst') ? '.tar.zst' : (file.split('/').at(-1) ?? file);
}

function endOf(name: string): bigint {
  return (BigInt(`0x${name.slice(8, 16)}`) * 4096n + BigInt(`0x${name.slice(16, 24)}`) + 1n) * 2n ** 20n;
}

type Verdict = { found: 'grade 1' | 'grade 2' | 'when it is read' } | { harmless: string } | 'missed';

/** Which proof finds what was done to a file; everything is as it was afterwards. */
async function judge(file: string, damage: (path: string) => Promise<void>, at?: number): Promise<Verdict> {
  const path = join(copy, file);
  await damage(path);
  try {
    const found = await findDamage(file);
    if (found !== undefined) return { found };
    const reason = at === undefined ? undefined : whyHarmless(file, await readFile(path), at);
    return reason === undefined ? 'missed' : { harmless: reason };
  } finally {
    await copyFile(join(made.archive.folder, file), path);
  }
}

async function findDamage(file: string): Promise<'grade 1' | 'grade 2' | 'when it is read' | undefined> {
  const fails = async (proof: () => Promise<{ passed: boolean }>): Promise<boolean> =>
    proof().then(
      ({ passed }) => !passed,
      () => true,
    );
  const label = /backups\/(B\d)\//.exec(file)?.[1];
  if (file.endsWith('grades.json')) {
    const { backups } = await readArchiveCatalog(copy, signal);
    // A grade that cannot be read is none: never a better one.
    return backups.find((backup) => backup.label === label)?.grade === null ? 'when it is read' : undefined;
  }
  if (file.endsWith('evidence.json')) {
    const note = await readEvidenceNote(join(copy, 'backups', label ?? '')).catch(() => undefined);
    return note?.isOfThisBackup === true ? undefined : 'when it is read';
  }
  const options = { archiveDir: copy, label: label ?? 'B1', workers: 1, signal };
  if (!file.startsWith('log/') && (await fails(async () => proveChecksums(options)))) return 'grade 1';
  // From the older backup on, the whole log is read.
  return (await fails(async () => proveLog({ ...options, label: 'B1' }))) ? 'grade 2' : undefined;
}

/** Bytes that carry nothing, each with the reason. */
function whyHarmless(file: string, bytes: Buffer, at: number): string | undefined {
  if (file.endsWith('.backup')) return 'the server wrote it for people';
  if (file.endsWith('.history')) {
    const text = bytes.toString('latin1');
    const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
    if (/^\d+\s+\S+\s/.test(line)) return 'the reason in a .history file is free text';
    return /^[^\S\n]$/.test(bytes.toString('latin1', at, at + 1))
      ? 'a blank became another blank'
      : undefined;
  }
  if (!file.startsWith('log/')) return undefined;
  const trailer = bytes.length - 1024;
  if (at === trailer) return 'the number of a skippable frame';
  const from = bytes.indexOf('"archivedAt":"', trailer) + '"archivedAt":"'.length;
  return at >= from && at < bytes.indexOf('"', from) ? 'when a segment was archived' : undefined;
}

const isHead = (kind: string): boolean => kind !== '.tar.zst' && kind !== 'log segment';

test(
  `of ${flips} single flipped bytes every one is found, or harmless for a reason`,
  { timeout: 3_600_000 },
  async () => {
    const random = makeRandom(42);
    const pick = <Item>(list: readonly Item[]): Item => list[Math.floor(random() * list.length)]!;
    const heads = [...kinds.keys()].filter(isHead);
    const bodies = [...kinds.keys()].filter((kind) => !isHead(kind));
    const table = new Map<string, Map<string, number>>();
    const missed: string[] = [];
    for (let index = 0; index < flips; index += 1) {
      const kind = pick(index % 2 === 0 ? heads : bodies);
      const file = pick(kinds.get(kind)!);
      const at = Math.floor(random() * (await stat(join(copy, file))).size);
      const verdict = await judge(file, async (path) => flip(path, at), at);
      const said =
        verdict === 'missed'
          ? 'missed'
          : 'found' in verdict
            ? `found, ${verdict.found}`
            : `harmless: ${verdict.harmless}`;
      if (verdict === 'missed') missed.push(`${file}@${at}`);
      const row = table.get(kind) ?? new Map<string, number>();
      table.set(kind, row.set(said, (row.get(said) ?? 0) + 1));
    }
    const lines = [...table]
      .flatMap(([kind, row]) =>
        [...row].map(([said, count]) => `${kind.padEnd(30)} ${String(count).padStart(4)}  ${said}`),
      )
      .sort();
    process.stderr.write(`flips of one bit, by file:\n${lines.join('\n')}\n`);
    expect(missed).toEqual([]);
    // The test can fail: what is judged harmless is a small part, and the heads are really read.
    expect(lines.some((line) => line.includes('found, grade 1'))).toBe(true);
    expect(lines.some((line) => line.includes('found, grade 2'))).toBe(true);
  },
);

describe('a file that is cut off', () => {
  test.each([
    'backup.json',
    'backup_manifest',
    'clona-archive.json',
    '.tar.zst',
    'log segment',
    '.history',
    'grades.json',
  ])('is found: %s', async (kind) => {
    for (const share of [0, 0.5, 1]) {
      const file = kinds.get(kind)!.at(-1)!;
      const { size } = await stat(join(copy, file));
      const length = share === 1 ? size - 1 : Math.floor(size * share);
      const verdict = await judge(file, async (path) => truncate(path, length));
      expect({ file, length, verdict }).toEqual({ file, length, verdict: { found: expect.any(String) } });
    }
  });
});

describe('files that changed places', () => {
  const swap = async (
    a: string,
    b: string,
  ): Promise<'grade 1' | 'grade 2' | 'when it is read' | undefined> => {
    const [one, two] = [join(copy, a), join(copy, b)];
    await rename(one, `${one}.kept`);
    await rename(two, one);
    await rename(`${one}.kept`, two);
    try {
      return (await findDamage(a)) ?? (await findDamage(b));
    } finally {
      await copyFile(join(made.archive.folder, a), one);
      await copyFile(join(made.archive.folder, b), two);
    }
  };

  test.each(['backup.json', 'backup_manifest', '.tar.zst', 'log segment'])(
    'are found: two of kind %s',
    async (kind) => {
      const files = kinds.get(kind)!;
      expect(await swap(files[0]!, files.at(-1)!)).toMatch(/^grade/);
    },
  );

  test.each(['backup.json', 'backup_manifest', '.tar.zst', 'log segment', '.history', 'clona-archive.json'])(
    'are found: a %s of another system',
    async (kind) => {
      const file = kinds.get(kind)!.at(-1)!;
      const foreign = (await filesOfAnother()).get(kind)!;
      const verdict = await judge(file, async (path) => copyFile(foreign, path));
      expect({ file, verdict }).toEqual({
        file,
        verdict: { found: expect.stringMatching(/^grade/) as string },
      });
    },
  );

  let another: { files: Map<string, string>; made: ProvenArchive } | undefined;
  afterAll(async () => another?.made[Symbol.asyncDispose]());
  /** Of a second archive, made once; its .history file says another branch position. */
  const filesOfAnother = async (): Promise<Map<string, string>> => {
    if (another !== undefined) return another.files;
    const second = await makeProvenArchive(12_000);
    const files = new Map<string, string>();
    for (const file of (await readdir(second.archive.folder, { recursive: true })).sort())
      files.set(kindOf(file), join(second.archive.folder, file));
    another = { files, made: second };
    return files;
  };
});

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
