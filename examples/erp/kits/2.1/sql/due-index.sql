DROP INDEX CONCURRENTLY IF EXISTS erp.invoice_due_on;
CREATE INDEX CONCURRENTLY invoice_due_on ON erp.invoice (due_on);
