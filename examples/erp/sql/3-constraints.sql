-- After the load: it is faster to check once than row by row.
SET search_path = erp;

ALTER TABLE app_user ADD PRIMARY KEY (id), ADD UNIQUE (login),
  ADD FOREIGN KEY (department_id) REFERENCES department;
ALTER TABLE customer ADD PRIMARY KEY (id);
ALTER TABLE item ADD PRIMARY KEY (id), ADD UNIQUE (sku), ADD FOREIGN KEY (vat_code) REFERENCES vat_rate;
ALTER TABLE stock ADD PRIMARY KEY (warehouse_id, item_id), ADD FOREIGN KEY (warehouse_id) REFERENCES warehouse,
  ADD FOREIGN KEY (item_id) REFERENCES item;
ALTER TABLE stock_movement ADD PRIMARY KEY (id), ADD FOREIGN KEY (warehouse_id, item_id) REFERENCES stock;
ALTER TABLE invoice ADD PRIMARY KEY (id), ADD UNIQUE (number), ADD FOREIGN KEY (company_id) REFERENCES company,
  ADD FOREIGN KEY (customer_id) REFERENCES customer;
ALTER TABLE invoice_line ADD PRIMARY KEY (invoice_id, line_no), ADD FOREIGN KEY (invoice_id) REFERENCES invoice,
  ADD FOREIGN KEY (item_id) REFERENCES item, ADD FOREIGN KEY (vat_code) REFERENCES vat_rate;
ALTER TABLE sales_order ADD PRIMARY KEY (id), ADD UNIQUE (order_no), ADD FOREIGN KEY (customer_id) REFERENCES customer,
  ADD FOREIGN KEY (invoice_id) REFERENCES invoice;
ALTER TABLE journal_entry ADD PRIMARY KEY (id), ADD UNIQUE (document), ADD FOREIGN KEY (company_id) REFERENCES company;
ALTER TABLE journal_line ADD PRIMARY KEY (entry_id, line_no), ADD FOREIGN KEY (entry_id) REFERENCES journal_entry,
  ADD FOREIGN KEY (account) REFERENCES account;
ALTER TABLE employee ADD PRIMARY KEY (id), ADD UNIQUE (tax_number), ADD FOREIGN KEY (company_id) REFERENCES company;
ALTER TABLE payroll_run ADD PRIMARY KEY (id);
ALTER TABLE payslip ADD PRIMARY KEY (run_id, employee_id), ADD FOREIGN KEY (run_id) REFERENCES payroll_run,
  ADD FOREIGN KEY (employee_id) REFERENCES employee;
ALTER TABLE e_invoice_outbox ADD PRIMARY KEY (id), ADD FOREIGN KEY (invoice_id) REFERENCES invoice;
ALTER TABLE mail_outbox ADD PRIMARY KEY (id);
ALTER TABLE payment_order ADD PRIMARY KEY (id);
CREATE INDEX ON invoice (customer_id);
CREATE INDEX ON stock_movement (warehouse_id, item_id);
CREATE INDEX ON e_invoice_outbox (state) WHERE state = 'waiting';

-- Rows of the load carry their numbers; what comes after goes on from there.
SELECT setval(pg_get_serial_sequence('erp.' || name, 'id'), last)
FROM (VALUES ('app_user', 60), ('customer', 5000), ('item', 5000), ('invoice', 20000), ('sales_order', 20000),
  ('journal_entry', 20036), ('employee', 300), ('payroll_run', 12)) AS counted (name, last);
