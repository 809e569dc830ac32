UPDATE erp.sales_order SET vat_cents = ROUND(vat_cents / 5) * 5 + 5;
UPDATE erp.setting SET value = '2.0' WHERE name = 'version';
COMMIT;
