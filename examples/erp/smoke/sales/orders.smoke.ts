import { expect, test } from 'clona/smoke';

test('an order can be placed, and is in stock, books and e-invoices', async ({ sql, machine, skip }) => {
  // On LIVE nothing is written by a test: the session is read-only there, and the ERP is closed.
  if (machine.role === 'live') skip();
  await sql`UPDATE erp.setting SET value = 'open' WHERE key = 'users'`;
  const [order] = await sql<{ id: string }>`
    SELECT erp.place_order(gen_random_uuid(), 17, ARRAY[4, 5], 'smoke test') AS id`;
  const [found] = await sql<{ lines: string; moved: string; balance: string; waiting: string }>`
    SELECT count(DISTINCT line_no) AS lines,
      (SELECT sum(quantity) FROM erp.stock_movement WHERE document = 'invoice ' || o.invoice_id) AS moved,
      (SELECT sum(debit - credit) FROM erp.journal_line JOIN erp.journal_entry e ON e.id = entry_id
        WHERE document = 'invoice ' || o.invoice_id) AS balance,
      (SELECT count(*) FROM erp.e_invoice_outbox e WHERE e.invoice_id = o.invoice_id) AS waiting
    FROM erp.sales_order o JOIN erp.invoice_line l USING (invoice_id) WHERE o.id = ${order?.id} GROUP BY o.invoice_id`;
  expect(found).toEqual({ lines: '2', moved: '-2.000', balance: '0.00', waiting: '1' });
  // What a test writes on staging is rolled back when it ends.
});

test('every order has its invoice', async ({ sql }) => {
  const orphans = await sql`
    SELECT o.id FROM erp.sales_order o LEFT JOIN erp.invoice i ON i.id = invoice_id WHERE i.id IS NULL LIMIT 5`;
  expect(orphans).toEqual([]);
});
