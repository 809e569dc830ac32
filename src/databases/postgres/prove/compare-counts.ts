import type { DatabaseAddress } from '../../database.ts';
import { connect } from '../connect.ts';
import { compareNumbers } from './compare-numbers.ts';
import { askInSnapshot, type Answer, type BusinessCount, type TakenCounts } from './counts.ts';

export interface CountComparison {
  name: string;
  column: string;
  restored: string | null;
  low: string | null;
  high: string | null;
  agrees: boolean;
}

/** Evidence of grade 5. */
export interface CountReport {
  passed: boolean;
  mode: TakenCounts['mode'];
  reason: string | null;
  restorePoint: string;
  comparisons: CountComparison[];
}

/**
 * Grade 5, the restored side: the same questions in the restored database (recovered exactly to the restore point), held
 * against production's numbers. As bounds, a number must lie between what was seen before and after the point.
 */
export async function compareBusinessCounts(options: {
  address: DatabaseAddress;
  counts: readonly BusinessCount[];
  taken: TakenCounts;
  signal: AbortSignal;
}): Promise<CountReport> {
  const { address, counts, taken, signal } = options;
  await using session = await connect(address, signal, { applicationName: 'clona counts' });
  return compareAnswers(taken, await askInSnapshot(session, counts));
}

/** The numbers of the restored side, whoever asked them, against production's. Pure. */
export function compareAnswers(taken: TakenCounts, answers: readonly Answer[]): CountReport {
  const restored = new Map(answers.map(({ name, values }) => [name, values]));
  const comparisons = taken.counts.flatMap(({ name, low, high }) =>
    Object.keys(low).map((column): CountComparison => {
      const value = restored.get(name)?.[column] ?? null;
      const [from, to] = [low[column] ?? null, high[column] ?? null];
      return { name, column, restored: value, low: from, high: to, agrees: lies(value, from, to) };
    }),
  );
  return {
    passed: comparisons.length > 0 && comparisons.every(({ agrees }) => agrees),
    mode: taken.mode,
    reason: taken.reason,
    restorePoint: taken.restorePoint,
    comparisons,
  };
}

function lies(value: string | null, low: string | null, high: string | null): boolean {
  if (value === null || low === null || high === null) return value === low || value === high;
  return compareNumbers(low, value) <= 0 && compareNumbers(value, high) <= 0;
}
