import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  FrameQueue,
  type FrameOfFile,
} from '../../../../../src/databases/postgres/restore/unpack/frame-queue.ts';

function framesOf(sizes: readonly number[]): FrameOfFile[] {
  return sizes.flatMap((count, file) =>
    Array.from({ length: count }, (_, frame) => ({
      origin: { archive: 0, frame: file * 1000 + frame },
      path: `base/${file}`,
      bytes: 4,
    })),
  );
}

test('every frame is handed out once, however many are taken before one is put back', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 9 });
  const run = fc.property(
    sizes,
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 6 }),
    (counts, files, atOnce) => {
      const frames = framesOf(counts);
      const queue = new FrameQueue(frames, files);
      const running: FrameOfFile[] = [];
      const seen: FrameOfFile[] = [];
      for (let next = queue.take(); next !== undefined; next = queue.take()) {
        seen.push(next);
        running.push(next);
        if (running.length === atOnce) queue.putBack(running.shift()!);
      }
      expect(new Set(seen)).toEqual(new Set(frames));
      expect(seen).toHaveLength(frames.length);
    },
  );
  fc.assert(run);
});

test('as long as there are other files, no two threads are given the same one', () => {
  const queue = new FrameQueue(framesOf([8, 8, 8, 8]), 8);
  const running = [queue.take(), queue.take(), queue.take(), queue.take()];
  for (let round = 0; round < 28; round += 1) {
    expect(new Set(running.map((frame) => frame?.path)).size).toBe(4);
    queue.putBack(running.shift()!);
    running.push(queue.take());
  }
});

test('a file that is larger than all the others together is shared at the end', () => {
  const queue = new FrameQueue(framesOf([2, 40]), 4);
  const order = Array.from({ length: 42 }, () => {
    const frame = queue.take()!;
    queue.putBack(frame);
    return frame.path;
  });
  expect(order[0]).toBe('base/1');
  expect(order.indexOf('base/0')).toBeGreaterThan(30);
});
