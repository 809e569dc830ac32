import { open, readFile, type FileHandle } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * A customer who never sleeps: places one order after the other and keeps a journal, outside of the database, of
 * those that the ERP confirmed. After everything that happened to the database, each line of the journal must be
 * found in it: that is what "no order lost" means. An order without an answer is asked for again under the same
 * number, so that none is doubled.
 */
export interface Writer extends AsyncDisposable {
  readonly committed: number;
  /** Orders the ERP refused because it was closed for users; each is asked for again. */
  readonly refused: number;
  readonly reconnects: number;
  /** What went wrong last that was neither a lost connection nor a closed ERP. */
  readonly lastError: string | undefined;
  /** Resolves when the order at work has its answer; none follows until `resume`. */
  pause: () => Promise<void>;
  resume: () => void;
  /** Resolves when `count` more orders were confirmed. */
  confirmed: (count: number, signal?: AbortSignal) => Promise<void>;
}

/** The counter at which orders are placed, whatever database is behind it. */
export interface Counter<Order extends { number: string }> {
  newOrder: () => Order;
  /** Resolves when the ERP has confirmed; the same order may come again. */
  place: (order: Order) => Promise<void>;
  /** Closed for users, the connection is gone, or anything else: its message. */
  judge: (error: unknown) => 'closed' | 'gone' | { message: string };
  /** Gives the connection up; the next order makes another. Never throws. */
  leave: () => Promise<void>;
}

/** `journal`: a file that gets one line per confirmed order, its number; appended to. `everyMs`: between two orders. */
export async function startOrders<Order extends { number: string }>(
  counter: Counter<Order>,
  { journal, everyMs }: { journal: string; everyMs: number },
): Promise<Writer> {
  const file = await open(journal, 'a');
  const state: State = { committed: 0, refused: 0, reconnects: 0, lastError: undefined };
  const stop = new AbortController();
  const gate = createGate();
  const running = run(counter, { everyMs, file, state, gate, signal: stop.signal });
  return {
    get committed() {
      return state.committed;
    },
    get refused() {
      return state.refused;
    },
    get reconnects() {
      return state.reconnects;
    },
    get lastError() {
      return state.lastError;
    },
    pause: gate.close,
    resume: gate.open,
    confirmed: async (count, signal) => {
      const goal = state.committed + count;
      while (state.committed < goal) {
        signal?.throwIfAborted();
        await wait(5);
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      gate.open();
      await running;
      await file.close();
    },
  };
}

interface State {
  committed: number;
  refused: number;
  reconnects: number;
  lastError: string | undefined;
}

interface Gate {
  close: () => Promise<void>;
  open: () => void;
  pass: () => Promise<void>;
}

/** `close` waits until whoever is inside comes to `pass` again. */
function createGate(): Gate {
  let opened = Promise.withResolvers<void>();
  let arrived = Promise.withResolvers<void>();
  let closed = false;
  return {
    close: async () => {
      if (!closed) {
        closed = true;
        opened = Promise.withResolvers();
        arrived = Promise.withResolvers();
      }
      await arrived.promise;
    },
    open: () => {
      closed = false;
      opened.resolve();
    },
    pass: async () => {
      if (!closed) return;
      arrived.resolve();
      await opened.promise;
    },
  };
}

interface Work {
  everyMs: number;
  file: FileHandle;
  state: State;
  gate: Gate;
  signal: AbortSignal;
}

async function run<Order extends { number: string }>(
  { newOrder, place, judge, leave }: Counter<Order>,
  { everyMs, file, state, gate, signal }: Work,
): Promise<void> {
  let order = newOrder();
  while (!signal.aborted) {
    await gate.pass();
    if (signal.aborted) break;
    try {
      await place(order);
      await file.appendFile(`${order.number}\n`);
      state.committed += 1;
      order = newOrder();
      await wait(everyMs, undefined, { signal }).catch(() => {});
    } catch (error) {
      const judged = judge(error);
      if (judged === 'closed') state.refused += 1;
      else if (judged === 'gone') {
        state.reconnects += 1;
        await leave();
      } else state.lastError = judged.message;
      await wait(100, undefined, { signal }).catch(() => {});
    }
  }
  await leave();
}

/** The numbers of a journal, each once. */
export async function readJournal(journal: string): Promise<string[]> {
  return [...new Set((await readFile(journal, 'utf8')).split('\n').filter((line) => line !== ''))];
}

export interface OrdersCompared {
  ordersCommitted: number;
  ordersFound: number;
  lost: string[];
}

/** How many orders of the journal the ERP confirmed, and how many of those it has. */
export function compareNumbers(confirmed: readonly string[], found: ReadonlySet<string>): OrdersCompared {
  const lost = confirmed.filter((number) => !found.has(number));
  return { ordersCommitted: confirmed.length, ordersFound: confirmed.length - lost.length, lost };
}
