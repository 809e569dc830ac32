-- check: stock is what the movements say
-- expect: no rows
SELECT warehouse_id, item_id FROM erp.stock
FULL JOIN (SELECT warehouse_id, item_id, sum(quantity) AS moved FROM erp.stock_movement GROUP BY 1, 2) moved
  USING (warehouse_id, item_id)
WHERE quantity IS DISTINCT FROM moved;

-- check: both warehouses hold every item
-- expect: value 10000
SELECT count(*) FROM erp.stock;
