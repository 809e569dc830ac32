import type { CountReport } from '../../databases/postgres/prove/compare-counts.ts';

/** What one grade of a proof came to, in words. */
export interface Finding<Grade extends number = number> {
  /** What is reached with it. */
  grade: Grade;
  passed: boolean;
  said: string;
}

export function sayFinding({ grade, passed, said }: Finding): string {
  return `grade ${grade} ${passed ? 'proven' : 'failed'}: ${said}`;
}

/** Grade 3: the restore before this step threw where it did not come so far. */
export function findOpened(position: string): Finding<3> {
  return { grade: 3, passed: true, said: `restored and opened at ${position}` };
}

export const nothingCounted: Finding<5> = {
  grade: 5,
  passed: false,
  said: 'the site counts nothing: database.businessCounts',
};

/** Grade 5: production's numbers against those of the restored database. */
export function findCounts({ passed, mode, reason, comparisons }: CountReport): Finding<5> {
  const wrong = comparisons.filter(({ agrees }) => !agrees);
  const how = mode === 'exact' ? 'exactly' : `as bounds (${reason ?? 'no lock'})`;
  const said =
    wrong.length === 0
      ? `${comparisons.length} business counts agree ${how}`
      : wrong
          .map(
            ({ name, column, restored, low, high }) =>
              `${name}.${column}: ${restored}, production had ${low}${low === high ? '' : ` to ${high}`}`,
          )
          .join('; ');
  return { grade: 5, passed, said };
}
