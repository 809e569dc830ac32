import { expect, test } from 'vitest';
import {
  describeLongWork,
  summarizeLongRows,
  type LongRow,
} from '../../../src/databases/oracle/long-operations.ts';

const block: LongRow = ['block', 'db_block_size', '8192', '0', null, null];
const rman = (name: string, done: number, total: number, left: string | null, context = '1'): LongRow => [
  'rman',
  `RMAN: ${name}`,
  String(done),
  String(total),
  left,
  context,
];

test.each<[string, LongRow[], string | null]>([
  ['nothing is told', [block], null],
  [
    'one step runs',
    [block, rman('full datafile restore', 250, 1000, '30'), rman('aggregate output', 0, 4000, null)],
    '6 %, about 30 s left',
  ],
  [
    'steps that are through count by their aggregate, once',
    [
      rman('full datafile restore', 1000, 1000, '0'),
      rman('full datafile restore', 500, 1000, '600'),
      rman('aggregate output', 1000, 4000, '7200'),
      block,
    ],
    '37 %, about 2.0 h left',
  ],
  [
    'what a backup writes is not added to what it reads',
    [block, rman('full datafile backup', 10, 100, '100'), rman('full datafile backup', 5, 50, '9', '2')],
    '10 %, about 2 min left',
  ],
  ['no step tells its time', [block, rman('incremental datafile restore', 99_999, 100_000, null)], '99 %'],
  [
    'recovery applies logs',
    [block, ['redo', 'Log Files', '12', '0', null, null], ['redo', 'Redo Applied', '340', '0', null, null]],
    'recovery: 12 logs applied',
  ],
])('%s', (_, rows, said) => {
  const found = summarizeLongRows(rows);
  expect(found === null ? null : describeLongWork(found)).toBe(said);
});

test('blocks become bytes by the size of the block that the database has', () => {
  const rows = [
    ['block', 'db_block_size', '16384', '0', null, null],
    rman('full datafile restore', 3, 10, null),
  ];
  expect(summarizeLongRows(rows)).toMatchObject({ doneBytes: 49_152, totalBytes: 163_840, percent: 30 });
});
