import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildTimelineTree, parseTimelineHistory } from '../../../src/databases/postgres/timeline.ts';
import { ClonaError } from '../../../src/errors.ts';

const reason = 'before 2026-11-21 10:00:00+00';

function tree(files: Record<number, string>, seen: number[] = []) {
  return buildTimelineTree(
    Object.entries(files).map(([timeline, text]) => parseTimelineHistory(text, Number(timeline))),
    seen,
  );
}

function rows(files: Record<number, string>, seen: number[] = []) {
  return tree(files, seen).branches.map((row) => [row.timeline, row.parent, Number(row.branchPosition)]);
}

test('a history file with blank lines, comments and odd reasons is read', () => {
  const text = `1\t0/3000158\tno recovery target specified\n\n# by hand\n2\t0/5000000\t${reason}\t\n\n`;
  expect(parseTimelineHistory(text, 4)).toEqual({
    timeline: 4,
    ends: [
      { timeline: 1, switchPoint: 0x3000158n, reason: 'no recovery target specified' },
      { timeline: 2, switchPoint: 0x5000000n, reason },
    ],
  });
});

test('a line without a reason is read, as the server reads it', () => {
  expect(parseTimelineHistory('1\t0/3000158\n', 2).ends).toHaveLength(1);
});

test.each([
  ['', 'line 1 ends without naming a parent'],
  ['\n\n', 'line 3 ends without naming a parent'],
  ['1\t0/30001', 'line 1 is cut off'],
  ['1\t0/3000158\tx\n2\t0/4', 'line 2 is cut off'],
  ['one\t0/3000158\tx\n', 'line 1 reads'],
  ['1\t3000158\tx\n', 'line 1 reads'],
  ['1\t0/0\tx\n', 'line 1 reads'],
  ['1\t0/30001580000\tx\n', 'line 1 reads'],
  ['99999999999\t0/3\tx\n', 'line 1 reads'],
  ['2\t0/3000158\tx\n1\t0/4000000\tx\n', 'line 2 names timeline 1 after 2'],
  ['5\t0/3000158\tx\n', 'line 1 names timeline 5 after 0'],
  ['0\t0/3000158\tx\n', 'line 1 names timeline 0 after 0'],
])('history %j is refused: %s', (text, expected) => {
  expect(() => parseTimelineHistory(text, 5)).toThrow(`00000005.history: ${expected}`);
});

function outcome(read: () => unknown): string {
  try {
    read();
    return 'read';
  } catch (error) {
    return error instanceof ClonaError ? error.kind : 'other error';
  }
}

test('any text gives a history or an error of the archive, never another one', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom('1\t0/1000000\tx', '2\t0/2000000\t', '', '#', '\t', '7 0/1'),
  );
  fc.assert(
    fc.property(
      fc.array(line),
      fc.constantFrom('\n', ''),
      fc.integer({ min: 1, max: 9 }),
      (lines, end, timeline) => {
        expect(outcome(() => parseTimelineHistory(lines.join('\n') + end, timeline))).not.toBe('other error');
      },
    ),
    { numRuns: 5000 },
  );
});

test('the worked example: 4 branches from 2, skipping 3', () => {
  const files = {
    2: '1\t0/200\tx\n',
    3: '1\t0/200\tx\n\n2\t0/400\tx\n',
    4: '1\t0/200\tx\n\n2\t0/300\tx\n',
  };
  expect(rows(files, [1])).toEqual([
    [1, null, 0],
    [2, 1, 0x200],
    [3, 2, 0x400],
    [4, 2, 0x300],
  ]);
});

test('a parent that began only after the switch point is replaced by the deepest that began before it', () => {
  // Recovery was told to follow 2 (from 1 at 0/500) and stopped at 0/400: the server wrote 2 as the parent.
  expect(rows({ 3: '1\t0/500\tx\n2\t0/400\tx\n' })).toEqual([
    [1, null, 0],
    [2, 1, 0x500],
    [3, 1, 0x400],
  ]);
  // At the very beginning of 2 nothing of 2 was replayed.
  expect(rows({ 3: '1\t0/500\tx\n2\t0/500\tx\n' })[2]).toEqual([3, 1, 0x500]);
  expect(rows({ 5: '1\t0/500\tx\n2\t0/700\tx\n4\t0/600\tx\n' })).toEqual([
    [1, null, 0],
    [2, 1, 0x500],
    [4, 2, 0x700],
    [5, 2, 0x600],
  ]);
});

test('a lost history file is known from a descendant, else named', () => {
  expect(tree({ 3: '1\t0/200\tx\n2\t0/400\tx\n' }, [1, 2, 3]).warnings).toEqual([]);
  const { branches, warnings } = tree({ 2: '1\t0/200\tx\n' }, [1, 2, 3]);
  expect(branches.at(-1)).toEqual({ timeline: 3, parent: null, branchPosition: 0n });
  expect(warnings).toEqual(['00000003.history is missing: where timeline 3 begins is not known']);
});

test('two files that contradict each other are damage', () => {
  expect(() => tree({ 2: '1\t0/200\tx\n', 3: '1\t0/300\tx\n2\t0/400\tx\n' })).toThrow(
    '00000002.history and 00000003.history contradict each other: timeline 2 begins from 1 at 0/200, or from 1 at 0/300',
  );
});

test('positions rise along every path, whatever the files say', () => {
  const history = fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { minLength: 1 }).chain((timelines) =>
    fc.tuple(
      fc.constant([...timelines].sort((a, b) => a - b)),
      fc.array(fc.integer({ min: 1, max: 9 }), {
        minLength: timelines.length,
        maxLength: timelines.length,
      }),
    ),
  );
  fc.assert(
    fc.property(history, ([timelines, points]) => {
      const text = timelines.map((timeline, index) => `${timeline}\t0/${points[index]}\tx\n`).join('');
      const { branches } = tree({ 9: text });
      const positionOf = new Map(branches.map((row) => [row.timeline, row.branchPosition]));
      const falling = branches.filter(
        (row) => row.parent !== null && positionOf.get(row.parent)! >= row.branchPosition,
      );
      expect(falling).toEqual([]);
    }),
  );
});
