import { expect, test } from 'vitest';
import { openThreadPool } from '../../src/archive/thread-pool.ts';

/** A thread that answers a number with its double, and `null` never; `-1` ends it. */
const doubling = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', (n) => {
      if (n === -1) process.exit(3);
      if (n !== null) parentPort.postMessage(2 * n);
    });`)}`,
);

function open(options: { ahead?: number; signal?: AbortSignal } = {}) {
  return openThreadPool<number | null, number>({
    module: doubling,
    count: 2,
    workerData: undefined,
    name: 'test',
    ...options,
  });
}

test.each([1, 3])('every question gets its own answer, with up to %i given to a thread', async (ahead) => {
  await using pool = open({ ahead });
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  expect(await Promise.all(numbers.map(async (n) => pool.ask(n)))).toEqual(numbers.map((n) => 2 * n));
});

test('whoever waits is told when the pool is aborted, when a thread ends, and when it is closed', async () => {
  const abort = new AbortController();
  await using aborted = open({ ahead: 2, signal: abort.signal });
  const waiting = [null, null, null, null, null, null].map(async (n) => aborted.ask(n));
  abort.abort(new Error('enough'));
  for (const asked of waiting) await expect(asked).rejects.toThrow('enough');
  await expect(aborted.ask(1)).rejects.toThrow('enough');

  await using broken = open();
  await expect(broken.ask(-1)).rejects.toThrow('a thread (test) ended');

  const closed = open();
  const left = closed.ask(null);
  await Promise.all([expect(left).rejects.toThrow('are closed'), closed[Symbol.asyncDispose]()]);
});
