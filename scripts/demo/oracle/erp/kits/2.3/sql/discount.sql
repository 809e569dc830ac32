CREATE TABLE erp.discount (days NUMBER, percent NUMBER);
INSERT INTO erp.discount VALUES (8, 2);
UPDATE erp.setting SET value = '2.3' WHERE name = 'version';
COMMIT;
