import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { zstdDecompressSync } from 'node:zlib';
import { combineCrc32c } from '../../src/archive/crc32c-combine.ts';
import { crc32c } from '../../src/archive/crc32c.ts';
import type { Frame } from '../../src/archive/format.ts';
import { createFrameFile } from '../../src/archive/frame-file.ts';
import { frameBytes } from '../../src/archive/frame-job.ts';
import { planFrames } from '../../src/archive/frame-plan.ts';
import { openFramePool, type FramePool } from '../../src/archive/frame-pool.ts';
import { TarFramer } from '../../src/archive/tar-frames.ts';
import { decodeTarHeader, encodeTarHeader, paddedBytes } from '../../src/archive/tar-header.ts';

const modifiedAt = new Date('2026-07-21T10:15:00Z');

/** Small, around the size of a frame, and of several. */
const sizes = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 3000 }),
    fc.integer({ min: frameBytes - 40_000, max: frameBytes + 40_000 }),
    fc.integer({ min: 2 * frameBytes, max: 3 * frameBytes }),
  ),
  { maxLength: 6 },
);

function makeTar(members: readonly number[]): Buffer {
  const parts = members.flatMap((sizeBytes, index) => [
    encodeTarHeader({ path: `base/${index}`, sizeBytes, type: 'file', modifiedAt }),
    Buffer.alloc(sizeBytes, index + 1),
    Buffer.alloc(paddedBytes(sizeBytes) - sizeBytes),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** What R-format promises of every frame, whoever cut it. */
function checkFrame(raw: Buffer, { inside }: Pick<Frame, 'inside'>): void {
  let at = 0;
  if (inside !== null) {
    expect(inside.fileOffset % (32 * 1024)).toBe(0);
    expect(inside.fileOffset).toBeLessThan(inside.fileBytes);
    at = Math.min(raw.length, paddedBytes(inside.fileBytes) - inside.fileOffset);
  }
  while (at < raw.length) {
    const member = decodeTarHeader(raw.subarray(at, at + 512), 'frame');
    at += 512 + (member === undefined ? 0 : paddedBytes(member.sizeBytes));
  }
}

describe('frames of a tar', () => {
  let pool: FramePool;
  let folder: string;
  beforeAll(() => {
    pool = openFramePool(2, 1);
  });
  afterAll(async () => pool[Symbol.asyncDispose]());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clona-frames-'));
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  test('are the tar again, whatever the pieces it came in, and each begins where it says', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1000, max: 700_000 }), async (members, piece) => {
        const tar = makeTar(members);
        await rm(join(folder, 'x.tar.zst'), { force: true });
        await using file = await createFrameFile(folder, 'x.tar.zst', pool);
        const framer = new TarFramer(pool, file, 'x.tar');
        for (let at = 0; at < tar.length; at += piece) await framer.writeAll(tar.subarray(at, at + piece));
        const { frames, rawBytes } = await framer.finish();
        const packed = await readFile(join(folder, 'x.tar.zst'));
        const unpacked = frames.map((frame) => {
          const raw = zstdDecompressSync(
            packed.subarray(frame.compressedOffset, frame.compressedOffset + frame.compressedBytes),
          );
          checkFrame(raw, frame);
          return raw;
        });
        expect(Buffer.concat(unpacked).equals(tar)).toBe(true);
        expect(rawBytes).toBe(tar.length);
      }),
      { numRuns: 12 },
    );
  });

  test('planned of known files are cut by the same rules and hold every byte once', () => {
    fc.assert(
      fc.property(sizes, (members) => {
        const planned = members.map((sizeBytes, index) => ({
          path: `base/${index}`,
          id: String(index),
          sizeBytes,
          type: 'file' as const,
          modifiedAt,
          source: String(index),
        }));
        const all: Buffer[] = [];
        for (const frame of planFrames(planned)) {
          const raw = Buffer.concat(
            frame.parts.map((part) =>
              part.kind === 'bytes' ? part.bytes : Buffer.alloc(part.length, Number(part.path) + 1),
            ),
          );
          expect(raw.length).toBe(frame.rawBytes);
          expect(raw.length).toBeLessThanOrEqual(frameBytes);
          checkFrame(raw, frame);
          all.push(raw);
        }
        expect(Buffer.concat([...all, Buffer.alloc(1024)]).equals(makeTar(members))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

test('a tar header survives sizes beyond 8 GiB and long names are refused', () => {
  for (const sizeBytes of [0, 511, 2 ** 33 - 1, 2 ** 33, 2 ** 45 + 7]) {
    const block = encodeTarHeader({ path: 'base/1/2', sizeBytes, type: 'file', modifiedAt });
    expect(decodeTarHeader(block, 'x')).toEqual({ path: 'base/1/2', sizeBytes, type: 'file' });
  }
  const long = { path: 'x'.repeat(101), sizeBytes: 0, type: 'file', modifiedAt } as const;
  expect(() => encodeTarHeader(long)).toThrow('too long');
  const broken = encodeTarHeader({ path: 'a', sizeBytes: 5, type: 'file', modifiedAt });
  broken[0] = 0x62;
  expect(() => decodeTarHeader(broken, 'x')).toThrow('checksum');
});

test('checksums of two ranges combine to that of both', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.uint8Array({ maxLength: 5000 }), (a, b) => {
      const [first, second] = [Buffer.from(a), Buffer.from(b)];
      expect(combineCrc32c(crc32c(first), crc32c(second), second.length)).toBe(
        crc32c(Buffer.concat([first, second])),
      );
    }),
  );
});
