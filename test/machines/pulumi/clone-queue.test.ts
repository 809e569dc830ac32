import { describe, expect, test } from 'vitest';
import { CloneQueue, limitEngines } from '../../../src/machines/pulumi/clone-queue.ts';
import { placesOf } from '../../../src/machines/pulumi/many.ts';

const { signal } = new AbortController();

describe('the queue of clones', () => {
  test('never has more at work in a place than it takes, and loses nobody', async () => {
    const queue = new CloneQueue();
    const busy = new Map<string, number>();
    const most = new Map<string, number>();
    const count = (name: string, by: number): void => {
      busy.set(name, (busy.get(name) ?? 0) + by);
      most.set(name, Math.max(most.get(name) ?? 0, busy.get(name) ?? 0));
    };
    const done = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const places = new Map([
          ['engines', 7],
          [`host ${index % 3}`, 2],
        ]);
        return queue.run(places, signal, async () => {
          for (const name of places.keys()) count(name, 1);
          await new Promise((resolve) => setImmediate(resolve));
          for (const name of places.keys()) count(name, -1);
          return index;
        });
      }),
    );
    expect(done).toEqual(Array.from({ length: 60 }, (_, index) => index));
    expect(Object.fromEntries(most)).toEqual({ engines: 6, 'host 0': 2, 'host 1': 2, 'host 2': 2 });
  });

  test('a full place holds up only those who need it', async () => {
    const queue = new CloneQueue();
    const order: string[] = [];
    const { promise: open, resolve } = Promise.withResolvers<void>();
    const first = queue.run(new Map([['a', 1]]), signal, async () => open);
    const second = queue.run(new Map([['a', 1]]), signal, async () => order.push('a again'));
    await queue.run(new Map([['b', 1]]), signal, async () => order.push('b'));
    resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['b', 'a again']);
  });

  test('work that fails makes room, and work that was aborted while it waited never starts', async () => {
    const queue = new CloneQueue();
    const place = new Map([['a', 1]]);
    const stop = new AbortController();
    const { promise: open, reject } = Promise.withResolvers<void>();
    const failing = queue.run(place, signal, async () => open);
    const aborted = queue.run(place, stop.signal, async () => 'started');
    stop.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    reject(new Error('failed'));
    await expect(failing).rejects.toThrow('failed');
    expect(await queue.run(place, signal, async () => 'next')).toBe('next');
  });
});

test('engines at once are bounded by memory and cores, and one always fits', () => {
  const gib = 1024 ** 3;
  expect(limitEngines(3 * gib, 8)).toBe(5);
  expect(limitEngines(64 * gib, 2)).toBe(8);
  expect(limitEngines(gib / 10, 4)).toBe(1);
});

test('a clone needs room in its vCenter, its cluster and its datastore', () => {
  const limits = { engines: 4, vcenter: 32, host: 8, datastore: 6 };
  const places = placesOf(
    {
      platform: 'vsphere',
      source: 'live',
      vsphere: {
        address: { server: 'vc', user: 'u', password: 'p' },
        places: { datacenter: 'DC', cluster: 'C', datastoreCluster: 'POD' },
        network: { portGroup: 'nowhere' },
        guest: { user: 'u', privateKeyFile: 'k', hostKey: 'h', platform: 'linux', port: 22 },
        systemDisk: '/opt',
        dataDisk: '/data',
      },
    },
    limits,
  );
  expect(Object.fromEntries(places)).toEqual({
    engines: 4,
    'vcenter vc': 32,
    'host vc C': 8,
    'datastore vc POD': 6,
  });
});
