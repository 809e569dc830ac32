ALTER TABLE erp.customer ADD COLUMN discount_percent numeric(4, 2) NOT NULL DEFAULT 0 CHECK (discount_percent BETWEEN 0 AND 10);
CREATE TABLE erp.discount (
  invoice_id bigint PRIMARY KEY REFERENCES erp.invoice,
  amount numeric(14, 2) NOT NULL CHECK (amount > 0),
  granted_on date NOT NULL
);
UPDATE erp.setting SET value = '2.3' WHERE key = 'version';
