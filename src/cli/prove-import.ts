import type { ProvenImport } from '../pipeline/prove-import.ts';
import { layTable } from '../recovery/table.ts';

/** What an import proved, for people. */
export function describeImport({ report, rejected }: ProvenImport): string {
  const { passed, schemas, dump, tables, rows, constraints, findings, warnings, rewritten, seconds } = report;
  const names = schemas.map(({ live, clone }) => `${live} as ${clone}`).join(', ');
  const failed = findings.filter(({ severity }) => severity === 'failed');
  const told = findings.filter(({ severity }) => severity === 'warning');
  const head = passed
    ? 'proven to grade 4'
    : `not proven: ${failed.length} findings, the copy is marked unusable`;
  return [
    `${head}: ${names}`,
    ...layTable([
      ['dump', dump.files.join(', ')],
      ['tables', String(tables)],
      ['rows', rows],
      ['constraints', String(constraints)],
      ['log of the export', report.exportVerdict],
      ['log of the import', `${report.importVerdict} (${report.importLog})`],
      ['seconds', seconds.toFixed(1)],
    ]),
    ...failed.map(({ object, text }) => `failed: ${object} ${text}`),
    ...told.map(({ object, text }) => `warning: ${object} ${text}`),
    ...warnings.map((text) => `warning: ${text}`),
    ...(rewritten.length === 0 ? [] : [`rewritten, because they named LIVE: ${rewritten.join(', ')}`]),
    ...rejected.map(({ name, reasons }) => `passed over: ${name}: ${reasons.join('; ')}`),
  ].join('\n');
}
