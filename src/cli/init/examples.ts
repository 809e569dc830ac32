import type { SiteAnswers } from '../../site/template.ts';
import { defaultAnswers } from '../../site/template.ts';

/** Answers for `clona init --from-example NAME`; the files of examples/NAME are written beside the site file. */
export const examples: Readonly<Record<string, SiteAnswers>> = {
  erp: {
    ...defaultAnswers,
    name: 'erp',
    live: 'erp-live',
    dba: 'dba',
    kitSource: 'kits/2.1',
    businessCounts: [
      { name: 'invoices', sql: 'select count(*), coalesce(sum(total), 0) from invoices' },
      { name: 'ledger', sql: 'select count(*), coalesce(sum(debit - credit), 0) from ledger' },
    ],
    departments: [
      { name: 'sales', keyUsers: ['sanja'], checks: ['write an order and find it again'] },
      { name: 'accounting', keyUsers: ['amra'], checks: ['post an invoice with VAT', 'the ledger balances'] },
      { name: 'payroll', keyUsers: ['petar'], checks: ['compute a salary'] },
    ],
  },
};
