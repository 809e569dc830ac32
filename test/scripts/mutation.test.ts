import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readReasons } from '../../scripts/mutation/reasons.ts';
import {
  listSurvivors,
  scoreOf,
  tally,
  type FileResult,
  type Mutant,
} from '../../scripts/mutation/results.ts';
import { layTables } from '../../scripts/mutation/tables.ts';

const source = [
  'function f(a: number): number {',
  '  if (a < 1 || a > 9) {',
  '    return 0;',
  '  }',
  '}',
].join('\n');

function mutant(status: string, replacement: string, from: [number, number], to: [number, number]): Mutant {
  const [start, end] = [from, to].map(([line, column]) => ({ line, column }));
  return { mutatorName: 'Some', status, replacement, location: { start: start!, end: end! } }; // two of them
}

const result: FileResult = {
  file: 'src/retention/f.ts',
  measuredAt: '2025-03-01T12:00:00.000Z',
  source,
  mutants: [
    mutant('Survived', '{}', [2, 23], [4, 4]),
    mutant('NoCoverage', 'a <= 1', [2, 7], [2, 12]),
    mutant('Killed', 'true', [2, 7], [2, 12]),
    mutant('Timeout', 'false', [2, 7], [2, 12]),
  ],
};

test('what no test noticed is filed under its lines before and after, on one line each', () => {
  expect(listSurvivors(result).map(({ line, code, becomes }) => [line, code, becomes])).toEqual([
    [2, 'if (a < 1 || a > 9) { return 0; }', 'if (a < 1 || a > 9) {}'],
    [2, 'if (a < 1 || a > 9) {', 'if (a <= 1 || a > 9) {'],
  ]);
});

test('a score counts what was noticed, endless loops too; nothing to notice is whole', () => {
  expect(tally(result.mutants)).toEqual({ detected: 2, undetected: 2 });
  expect(scoreOf(tally(result.mutants))).toBe(50);
  expect(scoreOf(tally([]))).toBe(100);
});

test('the page names the score of folder and file, and each survivor with its reason or without', () => {
  const [first, second] = listSurvivors(result);
  const reason = { ...first!, why: 'It is dead.' };
  const page = layTables(
    [result],
    [
      { survivor: first!, reason },
      { survivor: second!, reason: undefined },
    ],
  );
  expect(page).toContain('| **src/retention** | 50.0 % | 2 | 2 | 2025-03-01 |');
  expect(page).toContain('| f.ts | 50.0 % | 2 | 2 | 2025-03-01 |');
  expect(page).toContain('`if (a < 1 \\|\\| a > 9) {}` | It is dead. |');
  expect(page).toContain('`if (a <= 1 \\|\\| a > 9) {` | **no reason yet** |');
});

test('every reason is of a file that is there, and says something', () => {
  for (const { file, why, code, becomes } of readReasons()) {
    expect(readFileSync(file, 'utf8')).not.toBe('');
    expect(why.length, code).toBeGreaterThan(10);
    expect(becomes).not.toBe(code);
  }
});
