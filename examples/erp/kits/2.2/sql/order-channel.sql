ALTER TABLE erp.sales_order ADD COLUMN channel text NOT NULL DEFAULT 'web' CHECK (channel IN ('web', 'phone', 'mail'));
