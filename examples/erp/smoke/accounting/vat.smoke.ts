import { expect, test } from 'clona/smoke';

test('the VAT of an invoice is the sum of its lines', async ({ sql }) => {
  const wrong = await sql`
    SELECT invoice.id FROM erp.invoice JOIN erp.invoice_line ON invoice_id = invoice.id
    GROUP BY invoice.id HAVING sum(invoice_line.vat) <> invoice.vat OR sum(invoice_line.net) <> invoice.net LIMIT 5`;
  expect(wrong).toEqual([]);
});

test('every line has the VAT of its rate', async ({ sql }) => {
  const [found] = await sql<{ wrong: string }>`
    SELECT count(*) AS wrong FROM erp.invoice_line JOIN erp.vat_rate ON code = vat_code
    WHERE vat <> round(net * percent / 100, 2)`;
  expect(found?.wrong).toBe('0');
});
