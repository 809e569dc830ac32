UPDATE erp.invoice SET vat = round(vat * 20) / 20;

UPDATE erp.journal_line SET credit = invoice.vat
FROM erp.journal_entry
JOIN erp.invoice ON journal_entry.document = 'invoice ' || invoice.id
WHERE journal_line.entry_id = journal_entry.id AND journal_line.account = '4700';

UPDATE erp.setting SET value = '2.0' WHERE key = 'version';
