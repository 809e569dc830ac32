-- About 300,000 rows, the same in every load: everything is computed from the number of the row.
SET search_path = erp;

INSERT INTO setting VALUES
  ('version', '1.9'),
  ('users', 'open'),
  ('e-invoicing', 'https://e-invoices.example/submit'),
  ('mail', 'smtp://mail.example:25'),
  ('bank', 'https://bank.example/payments');
INSERT INTO company VALUES
  (1, 'Bosna Trade', 'BA100000001'), (2, 'Una Food', 'BA100000002'), (3, 'Drina Logistics', 'BA100000003');
INSERT INTO department VALUES (1, 'accounting'), (2, 'warehouse'), (3, 'payroll'), (4, 'sales');
INSERT INTO vat_rate VALUES ('STD', 17), ('EXP', 0);
INSERT INTO warehouse VALUES (1, 'Sarajevo'), (2, 'Tuzla');
INSERT INTO account VALUES
  ('2100', 'receivables'), ('4500', 'contributions payable'), ('4510', 'income tax payable'),
  ('4520', 'salaries payable'), ('4700', 'VAT payable'), ('5200', 'wages'), ('6100', 'revenue');
INSERT INTO job VALUES ('send e-invoices', '*/5 * * * *', true), ('send mail', '* * * * *', true),
  ('send payments', '0 12 * * *', true), ('close the day', '55 23 * * *', true);

INSERT INTO app_user (id, login, full_name, email, password_hash, department_id)
SELECT g, 'user' || g, 'User Number ' || g, 'user' || g || '@erp.example', md5('password' || g), 1 + g % 4
FROM generate_series(1, 60) g;

INSERT INTO customer (id, name, email, phone, iban, city)
SELECT g, 'Customer ' || g, 'office@customer' || g || '.example', '+387 33 ' || (100000 + g),
  'BA39' || lpad((g * 7919)::text, 16, '0'), (ARRAY['Sarajevo', 'Tuzla', 'Zenica', 'Mostar', 'Bihać'])[1 + g % 5]
FROM generate_series(1, 5000) g;

INSERT INTO item (id, sku, name, price, vat_code)
SELECT g, 'SKU-' || lpad(g::text, 6, '0'), 'Item ' || g, 1 + (g * 37 % 49900) / 100.0,
  CASE WHEN g % 10 = 0 THEN 'EXP' ELSE 'STD' END
FROM generate_series(1, 5000) g;

INSERT INTO invoice_line (invoice_id, line_no, item_id, quantity, unit_price, vat_code, net, vat)
SELECT i, l, item.id, quantity, item.price, item.vat_code, quantity * item.price,
  round(quantity * item.price * percent / 100, 2)
FROM generate_series(1, 20000) i
CROSS JOIN generate_series(1, 3) l
CROSS JOIN LATERAL (SELECT 1 + (i + l) % 9 AS quantity) q
JOIN item ON item.id = 1 + (i * 31 + l * 977) % 5000
JOIN vat_rate ON vat_rate.code = item.vat_code;

INSERT INTO invoice (id, company_id, customer_id, number, issued_on, net, vat)
SELECT invoice_id, 1 + invoice_id % 3, 1 + (invoice_id * 7919) % 5000, 'R-' || lpad(invoice_id::text, 8, '0'),
  date '2025-01-01' + (invoice_id % 365)::integer, sum(net), sum(vat)
FROM invoice_line GROUP BY invoice_id;

INSERT INTO sales_order (id, order_no, customer_id, customer_reference, invoice_id, ordered_at)
SELECT id, md5('order' || id)::uuid, customer_id, 'PO-' || lpad(id::text, 8, '0'), id, issued_on
FROM invoice;

INSERT INTO stock_movement (warehouse_id, item_id, quantity, document, moved_at)
SELECT warehouse.id, item.id, 100000, 'opening stock', '2025-01-01' FROM warehouse CROSS JOIN item;
INSERT INTO stock_movement (warehouse_id, item_id, quantity, document, moved_at)
SELECT 1 + invoice_id % 2, item_id, -quantity, 'invoice ' || invoice_id, '2025-06-30' FROM invoice_line;
INSERT INTO stock (warehouse_id, item_id, quantity)
SELECT warehouse_id, item_id, sum(quantity) FROM stock_movement GROUP BY warehouse_id, item_id;

INSERT INTO journal_entry (id, company_id, document, booked_on)
SELECT id, company_id, 'invoice ' || id, issued_on FROM invoice;
INSERT INTO journal_line (entry_id, line_no, account, debit, credit)
SELECT id, line_no, account, debit, credit
FROM invoice
CROSS JOIN LATERAL (VALUES (1, '2100', gross, 0), (2, '6100', 0, net), (3, '4700', 0, vat)) AS lines (line_no, account, debit, credit);

INSERT INTO employee (id, company_id, full_name, tax_number, iban, gross_salary)
SELECT g, 1 + g % 3, 'Employee ' || g, lpad((g * 104729)::text, 13, '0'), 'BA38' || lpad((g * 6151)::text, 16, '0'),
  1200 + g * 53 % 3800
FROM generate_series(1, 300) g;
INSERT INTO payroll_run (id, month)
SELECT g, (date '2025-01-01' + make_interval(months => g - 1))::date FROM generate_series(1, 12) g;
INSERT INTO payslip (run_id, employee_id, gross, contributions, tax)
SELECT run.id, employee.id, gross_salary, contributions, round((gross_salary - contributions) * 0.10, 2)
FROM payroll_run run CROSS JOIN employee
CROSS JOIN LATERAL (SELECT round(gross_salary * 0.31, 2) AS contributions) c;
INSERT INTO journal_entry (id, company_id, document, booked_on)
SELECT 20000 + run_id * 3 + company_id - 3, company_id, 'payroll ' || run_id || ' of ' || company_id, max(month)
FROM payslip JOIN employee ON employee.id = employee_id JOIN payroll_run ON payroll_run.id = run_id
GROUP BY run_id, company_id;
INSERT INTO journal_line (entry_id, line_no, account, debit, credit)
SELECT 20000 + run_id * 3 + company_id - 3, line_no, account, debit, credit
FROM (
  SELECT run_id, company_id, sum(gross) AS gross, sum(contributions) AS contributions, sum(tax) AS tax, sum(net) AS net
  FROM payslip JOIN employee ON employee.id = employee_id GROUP BY run_id, company_id
) run
CROSS JOIN LATERAL (VALUES (1, '5200', gross, 0), (2, '4500', 0, contributions), (3, '4510', 0, tax), (4, '4520', 0, net))
  AS lines (line_no, account, debit, credit);

INSERT INTO e_invoice_outbox (invoice_id, state, queued_at)
SELECT id, CASE WHEN id > 19990 THEN 'waiting' ELSE 'sent' END, issued_on FROM invoice;
INSERT INTO mail_outbox (recipient, subject)
SELECT email, 'Your invoice' FROM customer WHERE id <= 20;
INSERT INTO payment_order (iban, amount)
SELECT iban, net FROM payslip JOIN employee ON employee.id = employee_id WHERE run_id = 12;
