/** The sample ERP on Oracle, version 1.9: amounts in cents. Statements of the real server's grammar, as far as the simulator knows it. */
export const schemaStatements = (password: string): string[] => [
  `CREATE USER erp IDENTIFIED BY "${password}" DEFAULT TABLESPACE erp QUOTA UNLIMITED ON erp`,
  'GRANT CREATE SESSION TO erp',
  'CREATE TABLE erp.setting (name VARCHAR2(30), value VARCHAR2(60))',
  'CREATE TABLE erp.customer (id NUMBER, name VARCHAR2(60), email VARCHAR2(80))',
  'CREATE TABLE erp.item (id NUMBER, sku VARCHAR2(20), price_cents NUMBER, stock NUMBER)',
  `CREATE TABLE erp.sales_order (order_no VARCHAR2(36), customer_id NUMBER, item_id NUMBER, quantity NUMBER,
    customer_reference VARCHAR2(60), net_cents NUMBER, vat_cents NUMBER, ordered_at DATE)`,
  'CREATE TABLE erp.journal_line (order_no VARCHAR2(36), account VARCHAR2(8), debit_cents NUMBER, credit_cents NUMBER)',
  'CREATE TABLE erp.mail_outbox (id NUMBER, recipient VARCHAR2(80), state VARCHAR2(10))',
];

export const constraintStatements: readonly string[] = [
  'ALTER TABLE erp.setting ADD CONSTRAINT setting_pk PRIMARY KEY (name)',
  'ALTER TABLE erp.customer ADD CONSTRAINT customer_pk PRIMARY KEY (id)',
  'ALTER TABLE erp.item ADD CONSTRAINT item_pk PRIMARY KEY (id)',
  'ALTER TABLE erp.sales_order ADD CONSTRAINT sales_order_pk PRIMARY KEY (order_no)',
  'ALTER TABLE erp.sales_order ADD CONSTRAINT sales_order_customer_fk FOREIGN KEY (customer_id) REFERENCES erp.customer (id)',
  'ALTER TABLE erp.sales_order ADD CONSTRAINT sales_order_item_fk FOREIGN KEY (item_id) REFERENCES erp.item (id)',
  'CREATE OR REPLACE VIEW erp.order_value AS SELECT order_no, net_cents + vat_cents AS gross_cents FROM erp.sales_order',
];

export const [customers, items] = [40, 60];

/** Settings, customers, items, mail that waits to be sent. Orders come from the writer. */
export function* firstRows(): Generator<string> {
  for (const [name, value] of [
    ['version', '1.9'],
    ['mail', 'on'],
  ]) {
    yield `INSERT INTO erp.setting VALUES ('${name}', '${value}')`;
  }
  for (let id = 1; id <= customers; id += 1)
    yield `INSERT INTO erp.customer VALUES (${id}, 'Customer ${id}', 'buyer${id}@example.com')`;
  for (let id = 1; id <= items; id += 1)
    yield `INSERT INTO erp.item VALUES (${id}, 'SKU-${id}', ${100 + id * 35}, 1000)`;
  for (let id = 1; id <= 5; id += 1)
    yield `INSERT INTO erp.mail_outbox VALUES (${id}, 'buyer${id}@example.com', 'waiting')`;
}
