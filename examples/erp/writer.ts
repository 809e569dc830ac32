import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { Client, DatabaseError } from 'pg';
import type { ErpAddress } from './load.ts';
import { compareNumbers, readJournal, startOrders, type OrdersCompared, type Writer } from './order-loop.ts';

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
  let client: Client | undefined;
  return startOrders(
    {
      newOrder,
      place: async ({ number, customer, items: ordered, reference }) => {
        client ??= await connect(address);
        await client.query('SELECT erp.place_order($1, $2, $3, $4)', [number, customer, ordered, reference]);
      },
      judge: (error) => {
        if (!(error instanceof DatabaseError)) return 'gone';
        if (error.code === closedState) return 'closed';
        return /^(?:57P|08)/.test(error.code ?? '') ? 'gone' : error;
      },
      leave: async () => {
        await client?.end().catch(() => {});
        client = undefined;
      },
    },
    { journal, everyMs },
  );
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

interface Order {
  number: string;
  customer: number;
  items: number[];
  reference: string;
}

function newOrder(): Order {
  const number = randomUUID();
  const pick = (count: number): number => 1 + Math.floor(Math.random() * count);
  const ordered = [pick(items), pick(items)];
  return { number, customer: pick(customers), items: ordered, reference: `WEB-${number.slice(0, 18)}` };
}

/** How many orders of the journal the ERP confirmed, and how many of those it has. */
export async function compareOrders(address: ErpAddress, journal: string): Promise<OrdersCompared> {
  const numbers = await readJournal(journal);
  const client = await connect(address);
  try {
    const { rows } = await client.query<{ order_no: string }>(
      'SELECT order_no FROM erp.sales_order WHERE order_no = ANY ($1::uuid[])',
      [numbers],
    );
    return compareNumbers(numbers, new Set(rows.map((row) => row.order_no)));
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
