import { openArchive, readGrades, writeGrades } from '../../../archive/repository.ts';
import { ClonaError } from '../../../errors.ts';
import type { OnProgress } from '../../../progress.ts';
import { currentGrade, rememberProof, type ProofOutcome, type ProofRecord } from '../../../proof/grades.ts';
import { proveChecksums } from './checksums.ts';
import type { ArchiveProblem, ChecksumReport } from './checksum-report.ts';
import { proveLog, type LogProofReport } from './log.ts';

export interface ArchiveProofOptions {
  archiveDir: string;
  mirrorDir?: string | undefined;
  label: string;
  /** How far: 1 checksums, 2 the log as well. */
  grade: 1 | 2;
  workers?: number | undefined;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** What the archive alone can prove of one backup. */
export interface ArchiveProof {
  label: string;
  passed: boolean;
  /** The highest grade that held, 0 where the checksums did not. */
  grade: 0 | 1 | 2;
  checksums: ChecksumReport;
  /** null: not asked for, or the checksums failed already. */
  log: LogProofReport | null;
}

/** Grades 1 and 2 of one backup with nothing but the folder of its archive (and its mirror). */
export async function proveFromArchive(options: ArchiveProofOptions): Promise<ArchiveProof> {
  const { label, grade } = options;
  const checksums = await proveChecksums(options);
  if (!checksums.passed) return { label, passed: false, grade: 0, checksums, log: null };
  if (grade === 1) return { label, passed: true, grade: 1, checksums, log: null };
  const log = await proveLog(options).catch((error: unknown) => asFinding(error, options));
  return { label, passed: log.passed, grade: log.passed ? 2 : 1, checksums, log };
}

/** A catalog that cannot be made of the files is what the proof found. */
function asFinding(error: unknown, { label, archiveDir }: ArchiveProofOptions): LogProofReport {
  const isFinding = error instanceof ClonaError && /^archive(?:Damaged|Foreign|Gap)$/.test(error.kind);
  if (!isFinding) throw error;
  const problems: ArchiveProblem[] = [{ file: archiveDir, message: error.message }];
  return {
    passed: false,
    label,
    from: '0',
    to: '0',
    segments: 0,
    rawBytes: 0,
    gaps: [],
    problems,
    warnings: [],
    seconds: 0,
  };
}

/** Each grade as what is remembered of it. */
export function outcomesOf(proof: ArchiveProof, evidence: string, now: Date): ProofOutcome[] {
  const at = now.toISOString();
  const { checksums, log } = proof;
  const outcomes: ProofOutcome[] = [
    { grade: 1, passed: checksums.passed, at, evidence, detail: describeChecksums(checksums) },
  ];
  if (log !== null) outcomes.push({ grade: 2, passed: log.passed, at, evidence, detail: describeLog(log) });
  return outcomes;
}

/** Writes the grades beside the backup; returns its grade from now on. */
export async function rememberArchiveProof(
  archiveDir: string,
  proof: ArchiveProof,
  evidence: string,
  now: Date,
): Promise<number | null> {
  const archive = await openArchive(archiveDir);
  // A record of grades that does not read proves nothing, and is replaced.
  let records: readonly ProofRecord[] = await readGrades(archive, proof.label);
  for (const outcome of outcomesOf(proof, evidence, now)) records = rememberProof(records, outcome);
  await writeGrades(archive, proof.label, records);
  return currentGrade(records);
}

export function describeChecksums({ passed, files, rawBytes, pages, problems }: ChecksumReport): string {
  if (!passed)
    return `${problems.length} problems, the first: ${problems[0]?.file ?? ''} ${problems[0]?.message ?? ''}`;
  const judged = pages === null ? 'no page checksums in this cluster' : `${pages.good} pages good`;
  return `${files} files, ${(rawBytes / 2 ** 20).toFixed(0)} MiB, ${judged}`;
}

export function describeLog({ passed, from, to, segments, gaps, problems }: LogProofReport): string {
  if (passed) return `${segments} segments from ${from} to ${to} without a gap`;
  const [gap] = gaps;
  if (gap !== undefined) return `the log has a gap from ${gap.from} to ${gap.to}`;
  return `${problems.length} problems, the first: ${problems[0]?.file ?? ''} ${problems[0]?.message ?? ''}`;
}
