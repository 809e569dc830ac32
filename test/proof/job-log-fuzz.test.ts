import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeJobLog } from '../../src/proof/job-log.ts';

const fragments = fc.constantFrom(
  '. . ',
  '"A"."B"',
  '"A"."B":"P"',
  ' 17.08 KB ',
  ' 12 rows',
  'ORA-31693: x',
  'ORA-39083: Object type TABLE',
  'IMP-00015:',
  'RMAN-00569: =',
  'Starting ',
  ':  system/******** tables=A.B',
  ' successfully completed at 10:00:00',
  'Recovery Manager complete.',
  'Export terminated successfully without warnings.',
  ' "CREATE TABLE "B"',
  '\n',
  '\r\n',
  ' '.repeat(50),
  '12:',
  '9'.repeat(40),
  '行',
  '\ufeff',
);

test('any mixture of the pieces of logs is judged without an exception and without a contradiction', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fragments, fc.string({ maxLength: 20 })), { maxLength: 60 }), (pieces) => {
      const judged = judgeJobLog(pieces.join(''));
      expect(judged.verdict === 'ok' || judged.verdict === 'warning' ? judged.closing : 'x').not.toBeNull();
      if (judged.verdict === 'ok') expect(judged.findings).toEqual([]);
      for (const rows of Object.values(judged.rows)) expect(rows).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 3000 },
  );
});

test.each([
  ['spaces', ' '],
  ['dots', '. . '],
  ['digits', '9'],
  ['spaced digits', '1 '],
  ['clock times', '12:'],
  ['quotes', '"'],
  ['names', '"a"."b"'],
  ['capitals', 'AB '],
  ['dashes', '- '],
  ['letters', 'a'],
  ['commas', '1,234'],
  ['stars', '*'],
  ['rows', '. . "A"."B" 1 '],
  ['export', 'export '],
  ['colons', ':"'],
])('a line of nothing but %s costs next to nothing', (_name, piece) => {
  const line = piece.repeat(Math.ceil(8000 / piece.length));
  const text = Array.from({ length: 200 }, () => line).join('\n');
  // A pattern that backtracks takes minutes here and runs into the test's timeout.
  expect(judgeJobLog(`${text}\n. . ${line}\nORA-39083: ${line}\n. ${line}`).verdict).not.toBe('ok');
});
