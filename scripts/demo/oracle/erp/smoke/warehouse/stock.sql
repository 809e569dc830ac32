-- check: nothing is in stock less than never
-- expect: no rows
SELECT id FROM erp.item WHERE stock < 0;
