import { randomUUID } from 'node:crypto';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Client, DatabaseError } from 'pg';
import type { ErpAddress } from './load.ts';

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

export interface WriterOptions {
  address: ErpAddress;
  /** A file that gets one line per confirmed order: its number. Appended to. */
  journal: string;
  /** Pause between two orders, in milliseconds; default 20. */
  everyMs?: number;
}

const customers = 5000;
const items = 5000;
/** The ERP's own word for "closed for users" (sql/4-functions.sql). */
const closedState = 'ERP01';

export async function startWriter({ address, journal, everyMs = 20 }: WriterOptions): Promise<Writer> {
  const file = await open(journal, 'a');
  const state = { committed: 0, refused: 0, reconnects: 0, lastError: undefined as string | undefined };
  const stop = new AbortController();
  const gate = createGate();
  const running = run({ address, everyMs, file, state, gate, signal: stop.signal });
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
  address: ErpAddress;
  everyMs: number;
  file: FileHandle;
  state: { committed: number; refused: number; reconnects: number; lastError: string | undefined };
  gate: Gate;
  signal: AbortSignal;
}

async function run({ address, everyMs, file, state, gate, signal }: Work): Promise<void> {
  let client: Client | undefined;
  let order = newOrder();
  while (!signal.aborted) {
    await gate.pass();
    if (signal.aborted) break;
    try {
      client ??= await connect(address);
      await client.query('SELECT erp.place_order($1, $2, $3, $4)', order);
      await file.appendFile(`${order[0]}\n`);
      state.committed += 1;
      order = newOrder();
      await wait(everyMs, undefined, { signal }).catch(() => {});
    } catch (error) {
      if (error instanceof DatabaseError && error.code === closedState) state.refused += 1;
      else if (error instanceof DatabaseError && !/^(?:57P|08)/.test(error.code ?? ''))
        state.lastError = error.message;
      else {
        state.reconnects += 1;
        await client?.end().catch(() => {});
        client = undefined;
      }
      await wait(100, undefined, { signal }).catch(() => {});
    }
  }
  await client?.end().catch(() => {});
}

async function connect(address: ErpAddress): Promise<Client> {
  // A server that went away without a word must not hold the writer.
  const limits = { connectionTimeoutMillis: 2000, query_timeout: 15_000, application_name: 'erp writer' };
  const client = new Client({ ...address, ...limits });
  client.on('error', () => {
    // The next query tells.
  });
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
  return client;
}

function newOrder(): [string, number, number[], string] {
  const number = randomUUID();
  const pick = (count: number): number => 1 + Math.floor(Math.random() * count);
  return [number, pick(customers), [pick(items), pick(items)], `WEB-${number.slice(0, 18)}`];
}

/** How many orders of the journal the ERP confirmed, and how many of those it has. */
export async function compareOrders(
  address: ErpAddress,
  journal: string,
): Promise<{ ordersCommitted: number; ordersFound: number; lost: string[] }> {
  const numbers = [...new Set((await readFile(journal, 'utf8')).split('\n').filter((line) => line !== ''))];
  const client = await connect(address);
  try {
    const { rows } = await client.query<{ order_no: string }>(
      'SELECT order_no FROM erp.sales_order WHERE order_no = ANY ($1::uuid[])',
      [numbers],
    );
    const found = new Set(rows.map((row) => row.order_no));
    const lost = numbers.filter((number) => !found.has(number));
    return { ordersCommitted: numbers.length, ordersFound: found.size, lost };
  } finally {
    await client.end();
  }
}

/**
 * What customers do and kit 2.2 did not expect: the same reference for two orders. The demo does it on LIVE after
 * staging was restored, so that the kit passes there and breaks here.
 */
export async function sendReferenceTwice(address: ErpAddress): Promise<string> {
  const reference = 'PO sent twice';
  const client = await connect(address);
  try {
    for (const item of [1, 2]) {
      await client.query('SELECT erp.place_order($1, 4711, $2, $3)', [randomUUID(), [item], reference]);
    }
  } finally {
    await client.end();
  }
  return reference;
}

/** `node examples/erp/writer.ts JOURNAL`, the address in PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD; ends by SIGTERM. */
async function main(journal: string): Promise<void> {
  const {
    PGHOST = '127.0.0.1',
    PGPORT = '5432',
    PGDATABASE = 'postgres',
    PGUSER = 'postgres',
    PGPASSWORD,
  } = process.env;
  const address = {
    host: PGHOST,
    port: Number(PGPORT),
    database: PGDATABASE,
    user: PGUSER,
    password: PGPASSWORD,
  };
  const stopped = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.resolve());
  const writer = await startWriter({ address, journal });
  await stopped.promise;
  await writer[Symbol.asyncDispose]();
  const { committed, refused, reconnects } = writer;
  process.stdout.write(`${JSON.stringify({ committed, refused, reconnects })}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv[2] ?? 'orders.journal');
}
