import { createWriteStream } from 'node:fs';
import { once } from 'node:events';

/** How large a catalog is to be. */
export interface CatalogSize {
  logs: number;
  backups: number;
  incarnations: number;
}

/** Deterministic and good enough to scatter things (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const epoch = Date.parse('2017-03-08T00:00:00Z');
const origin = 1_000_000_000_000;
/** Positions that one log holds. */
const span = 1000;

/**
 * Writes a catalog file: a main line of incarnations, every third incarnation an ORPHAN beside it; two threads;
 * backups of all kinds; 1 log in 200 missing. `shuffled`: logs in no order, the worst case for sorting.
 */
export async function writeLargeCatalog(file: string, size: CatalogSize, shuffled: boolean): Promise<void> {
  const next = random(42);
  const out = createWriteStream(file);
  const put = async (text: string): Promise<void> => {
    if (!out.write(text)) await once(out, 'drain');
  };
  const perIncarnation = Math.floor(size.logs / size.incarnations / 2);
  const parents = Array.from({ length: size.incarnations }, (_, index) => {
    if (index === 0) return null;
    // Ids 3, 6, 9 … are left again: the next one goes on from before them.
    return index % 3 === 0 ? index - 1 : index;
  });
  const branches = parents.map(() => 0);
  for (const [index, parent] of parents.entries()) {
    branches[index] = parent === null ? origin : branches[parent - 1]! + perIncarnation * span; // parents come first
  }
  const incarnations = parents.map((parent, index) =>
    JSON.stringify({
      id: index + 1,
      parent,
      branchPosition: String(branches[index]),
      openedAt: time(branches[index]!),
    }),
  );
  let current = size.incarnations;
  if (current % 3 === 0) current -= 1;
  await put(
    `{"engine":"oracle","database":"ERP","currentIncarnation":${current},\n"incarnations":[${incarnations.join(',\n')}],\n`,
  );
  await put('"backups":[');
  for (let index = 0; index < size.backups; index += 1) {
    const on = Math.floor((index * size.incarnations) / size.backups);
    const start = branches[on]! + Math.floor(next() * perIncarnation * span);
    const kind = ['managed', 'hot', 'quiesced', 'export'][Math.floor(next() * 4)]!;
    await put(
      `${index === 0 ? '' : ',\n'}${JSON.stringify({
        label: `B${index}`,
        incarnation: on + 1,
        kind,
        start: String(start),
        consistentFrom: String(kind === 'quiesced' ? start : start + 500),
        startedAt: time(start),
        finishedAt: time(start + 500),
        device: 'disk-b',
        state: next() < 0.02 ? 'missing' : 'available',
        ownLog: next() < 0.1,
        grade: Math.floor(next() * 7),
        pinned: false,
        bytes: 1048576,
      })}`,
    );
  }
  await put('],\n"logs":[');
  const order = Uint32Array.from({ length: size.incarnations * perIncarnation * 2 }, (_, index) => index);
  if (shuffled) shuffle(order, next);
  for (const [written, index] of order.entries()) {
    const on = Math.floor(index / (perIncarnation * 2));
    const sequence = (index % (perIncarnation * 2)) >> 1;
    const first = branches[on]! + sequence * span;
    await put(
      `${written === 0 ? '' : ',\n'}${JSON.stringify({
        incarnation: on + 1,
        thread: (index & 1) + 1,
        sequence: sequence + 1,
        first: String(first),
        next: String(first + span),
        firstTime: time(first),
        nextTime: time(first + span),
        state: next() < 0.005 && sequence < perIncarnation - 100 ? 'missing' : 'available',
      })}`,
    );
  }
  const end = branches[current - 1]! + perIncarnation * span;
  const online = [1, 2].map((thread) =>
    JSON.stringify({
      incarnation: current,
      thread,
      first: String(end),
      end: String(end + 400),
      firstTime: time(end),
      endTime: time(end + 400),
    }),
  );
  await put(`],\n"onlineLogs":[${online.join(',\n')}]}\n`);
  out.end();
  await once(out, 'close');
}

function time(position: number): string {
  return new Date(epoch + (position - origin) * 10).toISOString();
}

function shuffle(order: Uint32Array, next: () => number): void {
  for (let index = order.length - 1; index > 0; index -= 1) {
    const other = Math.floor(next() * (index + 1));
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
}
