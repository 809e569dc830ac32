-- Checks for people who write SQL: each statement is one check, the comments before it say what it must give.
-- department: accounting

-- check: in every entry debit and credit are the same
-- expect: no rows
SELECT entry_id, sum(debit) AS debit, sum(credit) AS credit
FROM erp.journal_line GROUP BY entry_id HAVING sum(debit) <> sum(credit);

-- check: debit and credit are the same in all
-- expect: value 0
SELECT sum(debit) - sum(credit) FROM erp.journal_line;

-- check: every invoice is in the books with its gross amount
-- expect: no rows
SELECT invoice.id FROM erp.invoice
LEFT JOIN erp.journal_entry ON document = 'invoice ' || invoice.id
LEFT JOIN erp.journal_line ON entry_id = journal_entry.id AND account = '2100'
WHERE debit IS DISTINCT FROM gross;
