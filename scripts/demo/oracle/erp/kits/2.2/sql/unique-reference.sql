ALTER TABLE erp.sales_order ADD CONSTRAINT sales_order_reference_uk UNIQUE (customer_id, customer_reference);
UPDATE erp.setting SET value = '2.2' WHERE name = 'version';
COMMIT;
