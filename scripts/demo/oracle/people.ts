import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import {
  compareNumbers,
  readJournal,
  startOrders,
  type OrdersCompared,
} from '../../../examples/erp/order-loop.ts';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import { connectOracle, type OracleSession } from '../../../src/databases/oracle/connect.ts';
import type { People } from '../world.ts';
import { customers, items } from './erp/schema.ts';

interface Order {
  number: string;
  customer: number;
  item: number;
  quantity: number;
  reference: string;
  netCents: number;
}

const { signal: never } = new AbortController();

/** `erp`: the application's own user at LIVE's listener. `owner`: an administrator, for what somebody changes by hand. */
export function workOnOracle(erp: DatabaseAddress, owner: DatabaseAddress): People {
  return {
    startWriter: async (journal) => startCounter(erp, journal),
    compareOrders: async (journal) => compareOrders(erp, journal),
    async sendReferenceTwice() {
      await using session = await connectOracle(erp, never);
      for (const number of [randomUUID(), randomUUID()])
        await bookAtLast(session, { ...newOrder(), number, customer: 17, reference: 'PO sent twice' });
    },
    async changeSchema(signal) {
      await using session = await connectOracle(owner, signal);
      await session.execute('ALTER TABLE erp.customer ADD (quick_fix VARCHAR2(20))');
    },
    async readLogEnd(signal) {
      await using session = await connectOracle(owner, signal);
      return (await session.query('SELECT TO_CHAR(CURRENT_SCN + 1) FROM V$DATABASE'))[0]?.[0] ?? '0';
    },
  };
}

async function startCounter(erp: DatabaseAddress, journal: string): ReturnType<People['startWriter']> {
  let session: OracleSession | undefined;
  let asked = '';
  return startOrders<Order>(
    {
      newOrder,
      async place(order) {
        session ??= await connectOracle(erp, never, {
          module: 'erp',
          timeoutMs: 2000,
          callTimeoutMs: 15_000,
        });
        // Asked before, without an answer: it may be there.
        const isThere = asked === order.number && (await findOrders(session, [order.number])).size > 0;
        asked = order.number;
        if (!isThere) await book(session, order);
      },
      judge(error) {
        const message = error instanceof Error ? error.message : String(error);
        // Restricted; or somebody changes the very table.
        if (/ORA-(?:01035|00054)/.test(message)) return 'closed';
        return /ORA-(?:01033|01034|01089|01012|00028|12\d{3}|03113|03114)|NJS-5\d\d|NJS-003|NJS-123/.test(
          message,
        )
          ? 'gone'
          : { message };
      },
      async leave() {
        await session?.[Symbol.asyncDispose]();
        session = undefined;
      },
    },
    { journal, everyMs: 250 },
  );
}

function newOrder(): Order {
  const number = randomUUID();
  const pick = (count: number): number => 1 + Math.floor(Math.random() * count);
  const [item, quantity] = [pick(items), pick(5)];
  const netCents = quantity * (100 + item * 35);
  const reference = `WEB-${number.slice(0, 18)}`;
  return { number, customer: pick(customers), item, quantity, reference, netCents };
}

/** An order, and its entry in the books: what the customer owes, what was sold, the VAT that is owed. */
async function book(session: OracleSession, order: Order): Promise<void> {
  const { number, customer, item, quantity, reference, netCents } = order;
  const vat = Math.round(netCents * 0.2);
  try {
    await session.execute(
      `INSERT INTO erp.sales_order (order_no, customer_id, item_id, quantity, customer_reference, net_cents, vat_cents, ordered_at)
       VALUES (:no, :customer, :item, :quantity, :reference, :net, :vat, SYSDATE)`,
      { no: number, customer, item, quantity, reference, net: netCents, vat },
    );
    for (const [account, debit, credit] of [
      ['2000', netCents + vat, 0],
      ['6000', 0, netCents],
      ['4700', 0, vat],
    ] as const) {
      await session.execute(
        'INSERT INTO erp.journal_line (order_no, account, debit_cents, credit_cents) VALUES (:no, :account, :debit, :credit)',
        { no: number, account, debit, credit },
      );
    }
    await session.driver.commit();
  } catch (error) {
    await session.driver.rollback().catch(() => {});
    throw error;
  }
}

/** The simulator locks tables, not rows: where a real server takes both orders at once, here one is told to come again. */
async function bookAtLast(session: OracleSession, order: Order): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await book(session, order);
    } catch (error) {
      if (tries === 200 || !(error instanceof Error) || !error.message.includes('ORA-00054')) throw error;
      await wait(20);
    }
  }
}

async function findOrders(session: OracleSession, numbers: readonly string[]): Promise<Set<string>> {
  const rows = await session.query('SELECT order_no FROM erp.sales_order');
  const wanted = new Set(numbers);
  return new Set(
    rows.flatMap(([number]) =>
      number !== null && number !== undefined && wanted.has(number) ? [number] : [],
    ),
  );
}

export async function compareOrders(address: DatabaseAddress, journal: string): Promise<OrdersCompared> {
  const numbers = await readJournal(journal);
  await using session = await connectOracle(address, never);
  return compareNumbers(numbers, await findOrders(session, numbers));
}
