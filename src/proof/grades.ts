/**
 * The grades of R15. Each includes those before it: a record of grade 4 says that 1 to 3 held as well.
 * `alone`: can be proven with the archive alone; else a restored database is needed.
 */
export const gradeTable = {
  0: { name: 'exists', meaning: 'the files are there', alone: true },
  1: { name: 'checksums', meaning: 'checksums match: files, frames, pages, manifest', alone: true },
  2: { name: 'log', meaning: 'logs without a gap from start to the newest', alone: true },
  3: { name: 'opened', meaning: 'restored and opened past consistentFrom', alone: false },
  4: {
    name: 'imported',
    meaning: 'every row imported into the CLONA schema with constraints on',
    alone: false,
  },
  5: { name: 'counts', meaning: 'business counts agree with production', alone: false },
  6: { name: 'smoke', meaning: 'application smoke tests pass', alone: false },
} as const satisfies Record<number, { name: string; meaning: string; alone: boolean }>;

export type Grade = keyof typeof gradeTable;

/** What is remembered of a proof, in grades.json beside the backup. */
export interface ProofRecord {
  grade: number;
  at: string;
  evidence: string;
  detail: string;
}

export interface ProofOutcome {
  /** The grade that was tried. */
  grade: Grade;
  passed: boolean;
  at: string;
  evidence: string;
  detail: string;
}

/**
 * The records after one more proof. A failure takes back what it contradicts: the grade that was tried and all above
 * it, also when they had been proven before (the disk may have rotted since); the highest record left is the grade.
 */
export function rememberProof(records: readonly ProofRecord[], outcome: ProofOutcome): ProofRecord[] {
  const { grade, passed, at, evidence, detail } = outcome;
  if (passed) return [...records, { grade, at, evidence, detail }];
  const left = records.filter((record) => record.grade < grade);
  if (grade === 0) return left;
  return [
    ...left,
    { grade: currentGrade(left) ?? 0, at, evidence, detail: `grade ${grade} failed: ${detail}` },
  ];
}

/** The highest grade that holds; null: never proven. */
export function currentGrade(records: readonly ProofRecord[]): number | null {
  return records.reduce<number | null>(
    (best, { grade }) => (best === null || grade > best ? grade : best),
    null,
  );
}

/** When a grade was last proven, by itself or by a higher one (R15: each includes those before); null: never. */
export function provenAt(records: readonly ProofRecord[], grade: number): number | null {
  let newest: number | null = null;
  for (const record of records) {
    if (record.grade < grade) continue;
    const at = Date.parse(record.at);
    if (!Number.isNaN(at) && (newest === null || at > newest)) newest = at;
  }
  return newest;
}
