import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyFolder } from '../src/machines/local/copy.ts';
import { run } from './archive-tools.ts';

/**
 * A thin clone where the file system can share blocks, beside `cp -a` that shares none. XFS and btrfs in a file
 * of their own, mounted by loop: that takes root. CLONA_BENCH_GB (default 3), CLONA_BENCH_ROUNDS (default 3). Goal: 3 GB under 1 s.
 */
const gigabytes = Number(process.env['CLONA_BENCH_GB'] ?? 3);
const rounds = Number(process.env['CLONA_BENCH_ROUNDS'] ?? 3);
const goalSeconds = 1;
const signal = new AbortController().signal;

const folder = mkdtempSync(join(tmpdir(), 'cl-clone-'));
try {
  for (const kind of ['xfs', 'btrfs']) await measure(kind);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(kind: string): Promise<void> {
  const disk = join(folder, kind);
  if (!mountFile(kind, disk)) {
    console.log(`thin clone on ${kind.padEnd(6)} skipped: mkfs.${kind} and loop mounts are needed, as root`);
    return;
  }
  try {
    const source = join(disk, 'source');
    const files = fill(source);
    const thin: number[] = [];
    const full: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      thin.push(await seconds(async () => copyFolder(source, join(disk, 'thin'), { uid: null, signal })));
      full.push(await seconds(async () => run('cp', ['-a', '--reflink=never', source, join(disk, 'full')])));
      for (const name of ['thin', 'full']) rmSync(join(disk, name), { recursive: true });
    }
    const [ours, theirs] = [median(thin), median(full)];
    const verdict = ours < goalSeconds ? '✔' : '✖';
    console.log(
      `thin clone on ${kind.padEnd(6)} clona ${ours.toFixed(3)} s  cp -a ${theirs.toFixed(2)} s  ×${(ours / theirs).toFixed(3)} goal < ${goalSeconds} s ${verdict} ${gigabytes} GB in ${files} files, median of ${rounds}`,
    );
  } finally {
    run('umount', ['-l', disk]);
  }
}

/** A file system of its own with room for the source and one whole copy. */
function mountFile(kind: string, disk: string): boolean {
  const image = `${disk}.img`;
  mkdirSync(disk);
  writeFileSync(image, '');
  truncateSync(image, (2 * gigabytes + 2) * 2 ** 30);
  const options = kind === 'xfs' ? ['-m', 'reflink=1'] : [];
  return (
    spawnSync(`mkfs.${kind}`, ['-q', ...options, image], { stdio: 'ignore' }).status === 0 &&
    spawnSync('mount', ['-o', 'loop', image, disk], { stdio: 'ignore' }).status === 0
  );
}

/** As a cluster is: segments of 1 GiB, and a thousand small files. */
function fill(source: string): number {
  mkdirSync(source);
  const block = randomFillSync(Buffer.alloc(2 ** 24));
  let files = 0;
  for (let left = gigabytes * 2 ** 30; left > 0; files += 1) {
    const file = openSync(join(source, `relation.${files}`), 'w');
    for (let bytes = 0; bytes < 2 ** 30 && left > 0; bytes += block.length, left -= block.length)
      writeSync(file, block);
    closeSync(file);
  }
  for (let small = 0; small < 1000; small += 1, files += 1)
    writeFileSync(join(source, `small.${small}`), block.subarray(0, 8192));
  run('sync', ['-f', source]);
  return files;
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await work();
  return (performance.now() - from) / 1000;
}

function median(all: number[]): number {
  return all.sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;
}
