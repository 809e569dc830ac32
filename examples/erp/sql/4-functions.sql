SET search_path = erp;

-- One order with its invoice, stock, books and e-invoice, all or nothing. The same order_no twice is one order:
-- who got no answer asks again. The row of the setting is locked for reading, so that closing the ERP waits for
-- the orders at work and every later one is refused.
CREATE FUNCTION place_order(p_order_no uuid, p_customer integer, p_items integer[], p_reference text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_order bigint;
  v_invoice bigint;
  v_entry bigint;
  v_warehouse smallint := 1 + p_customer % 2;
BEGIN
  PERFORM FROM erp.setting WHERE key = 'users' AND value = 'open' FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the ERP is closed for users' USING ERRCODE = 'ERP01';
  END IF;
  SELECT id INTO v_order FROM erp.sales_order WHERE order_no = p_order_no;
  IF FOUND THEN
    RETURN v_order;
  END IF;
  v_invoice := nextval(pg_get_serial_sequence('erp.invoice', 'id'));
  INSERT INTO erp.invoice (id, company_id, customer_id, number, issued_on, net, vat)
  SELECT v_invoice, 1 + p_customer % 3, p_customer, 'R-' || lpad(v_invoice::text, 8, '0'), current_date,
    sum(price), sum(round(price * percent / 100, 2))
  FROM unnest(p_items) AS wanted (id) JOIN erp.item USING (id) JOIN erp.vat_rate ON code = vat_code;
  INSERT INTO erp.invoice_line (invoice_id, line_no, item_id, quantity, unit_price, vat_code, net, vat)
  SELECT v_invoice, line_no, item.id, 1, price, vat_code, price, round(price * percent / 100, 2)
  FROM unnest(p_items) WITH ORDINALITY AS wanted (id, line_no) JOIN erp.item USING (id) JOIN erp.vat_rate ON code = vat_code;
  -- Always in the same order: two orders of the same items must not wait for each other in a circle.
  PERFORM FROM erp.stock WHERE warehouse_id = v_warehouse AND item_id = ANY (p_items) ORDER BY item_id FOR NO KEY UPDATE;
  UPDATE erp.stock SET quantity = quantity - ordered
  FROM (SELECT id, count(*) AS ordered FROM unnest(p_items) AS wanted (id) GROUP BY id) AS wanted
  WHERE warehouse_id = v_warehouse AND item_id = wanted.id;
  INSERT INTO erp.stock_movement (warehouse_id, item_id, quantity, document)
  SELECT v_warehouse, id, -1, 'invoice ' || v_invoice FROM unnest(p_items) AS wanted (id);
  INSERT INTO erp.journal_entry (company_id, document, booked_on)
  VALUES (1 + p_customer % 3, 'invoice ' || v_invoice, current_date) RETURNING id INTO v_entry;
  INSERT INTO erp.journal_line (entry_id, line_no, account, debit, credit)
  SELECT v_entry, line_no, account, debit, credit FROM erp.invoice
  CROSS JOIN LATERAL (VALUES (1, '2100', gross, 0), (2, '6100', 0, net), (3, '4700', 0, vat)) AS lines (line_no, account, debit, credit)
  WHERE id = v_invoice;
  INSERT INTO erp.e_invoice_outbox (invoice_id) VALUES (v_invoice);
  INSERT INTO erp.sales_order (order_no, customer_id, customer_reference, invoice_id)
  VALUES (p_order_no, p_customer, p_reference, v_invoice) RETURNING id INTO v_order;
  RETURN v_order;
END $$;

ANALYZE;
