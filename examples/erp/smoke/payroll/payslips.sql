-- check: nobody is paid less than nothing
-- expect: no rows
SELECT * FROM erp.payslip WHERE net <= 0 OR net >= gross;

-- check: every employee has a payslip for every run
-- expect: true
SELECT (SELECT count(*) FROM erp.payslip) = (SELECT count(*) FROM erp.employee) * (SELECT count(*) FROM erp.payroll_run);

-- check: the books have every run of every company
-- expect: true
SELECT (SELECT count(*) FROM erp.journal_entry WHERE document LIKE 'payroll %')
  = (SELECT count(*) FROM erp.payroll_run) * (SELECT count(*) FROM erp.company);
