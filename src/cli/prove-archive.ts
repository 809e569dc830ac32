import { listBackups, openArchive } from '../archive/repository.ts';
import {
  describeChecksums,
  describeLog,
  type ArchiveProof,
} from '../databases/postgres/prove/prove-archive.ts';
import { ClonaError } from '../errors.ts';
import type { DueProofs } from '../pipeline/prove-due.ts';
import { gradeTable, type Grade } from '../proof/grades.ts';

/** The newest backup of an archive by its end; one whose header does not read comes last. */
export async function newestLabel(archiveDir: string): Promise<string> {
  const backups = await listBackups(await openArchive(archiveDir));
  const [newest] = backups.toSorted((a, b) =>
    (a.header?.finishedAt ?? '') < (b.header?.finishedAt ?? '') ? 1 : -1,
  );
  if (newest !== undefined) return newest.label;
  throw new ClonaError('archiveMissing', `the archive ${archiveDir} holds no backup`);
}

export function describeArchiveProof({ label, grade, passed, checksums, log }: ArchiveProof): string {
  const lines = [
    `backup ${label}: grade ${grade} (${gradeTable[grade].name})${passed ? '' : ', and no further'}`,
  ];
  lines.push(`  1 checksums  ${mark(checksums.passed)} ${describeChecksums(checksums)}`);
  for (const { file, message } of checksums.problems.slice(0, 20)) lines.push(`      ${file}: ${message}`);
  if (log !== null) {
    lines.push(`  2 log        ${mark(log.passed)} ${describeLog(log)}`);
    for (const { from, to } of log.gaps) lines.push(`      gap from ${from} to ${to ?? 'the end'}`);
    for (const { file, message } of log.problems.slice(0, 20)) lines.push(`      ${file}: ${message}`);
    for (const { file, message } of log.warnings.slice(0, 20))
      lines.push(`      warning: ${file}: ${message} (the other copy is whole)`);
  }
  return lines.join('\n');
}

function mark(passed: boolean): string {
  return passed ? 'ok    ' : 'FAILED';
}

/** Positions as decimal strings. */
export function dueToJson({ decision, proofs, needRestore }: DueProofs): unknown {
  const { newestProvable, gaps, ...rest } = decision;
  return {
    ...rest,
    newestProvable: newestProvable === null ? null : String(newestProvable),
    gaps: gaps.map(({ from, to, acknowledged, ...gap }) => ({
      ...gap,
      from: String(from),
      to: String(to),
      acknowledged:
        acknowledged === null ? null : { by: acknowledged.by, why: acknowledged.why, at: acknowledged.at },
    })),
    proofs,
    needRestore,
  };
}

export function describeDue({ decision, proofs, needRestore }: DueProofs): string {
  const lines =
    proofs.length === 0
      ? ['nothing was due that the archive alone can prove']
      : proofs.map(describeArchiveProof);
  for (const { label, grade, provenAt } of decision.backups) {
    // Grades are 0 to 6.
    const name =
      grade === null
        ? 'never proven'
        : `grade ${grade} (${gradeTable[grade as Grade].name}) of ${provenAt ?? 'an unknown time'}`;
    lines.push(`${label}: ${name}`);
  }
  if (decision.newestProvable !== null) lines.push(`newest provable position: ${decision.newestProvable}`);
  for (const { from, to, acknowledged } of decision.gaps) {
    if (acknowledged !== null)
      lines.push(`gap from ${from} to ${to}: acknowledged by ${acknowledged.by}: ${acknowledged.why}`);
  }
  for (const { label, wanted } of needRestore)
    lines.push(`${label}: grade ${wanted} needs a restored database: clona refresh`);
  for (const warning of decision.warnings) lines.push(`warning: ${warning}`);
  return lines.join('\n');
}
