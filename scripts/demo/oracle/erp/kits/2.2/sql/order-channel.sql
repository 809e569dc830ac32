ALTER TABLE erp.sales_order ADD (channel VARCHAR2(10));
UPDATE erp.sales_order SET channel = 'web';
COMMIT;
