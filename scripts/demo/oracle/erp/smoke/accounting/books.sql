-- check: debit and credit are the same in all
-- expect: value 0
SELECT SUM(debit_cents) - SUM(credit_cents) FROM erp.journal_line;

-- check: the VAT of the orders is what the ledger owes
-- expect: value 0
SELECT (SELECT SUM(vat_cents) FROM erp.sales_order) - (SELECT SUM(credit_cents) FROM erp.journal_line WHERE account = '4700') FROM dual;

-- check: every order is in the books
-- expect: no rows
SELECT order_no FROM erp.sales_order WHERE order_no NOT IN (SELECT order_no FROM erp.journal_line);
