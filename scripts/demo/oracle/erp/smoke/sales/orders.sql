-- check: every order is of a customer
-- expect: no rows
SELECT order_no FROM erp.sales_order WHERE customer_id NOT IN (SELECT id FROM erp.customer);

-- check: orders have a value
-- expect: no rows
SELECT order_no FROM erp.sales_order WHERE net_cents + vat_cents <= 0;
