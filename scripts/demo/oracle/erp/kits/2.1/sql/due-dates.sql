PROMPT due dates
ALTER TABLE erp.sales_order ADD (due_on DATE);
UPDATE erp.sales_order SET due_on = ordered_at + 14;
CREATE OR REPLACE VIEW erp.due_order AS SELECT order_no, due_on FROM erp.sales_order;
UPDATE erp.setting SET value = '2.1' WHERE name = 'version';
COMMIT;
