import { openArchive, readGrades, writeGrades } from '../../archive/repository.ts';
import { checkStructure } from '../../databases/postgres/prove/amcheck.ts';
import { proveChecksums } from '../../databases/postgres/prove/checksums.ts';
import { compareBusinessCounts } from '../../databases/postgres/prove/compare-counts.ts';
import { proveLog } from '../../databases/postgres/prove/log.ts';
import { rememberProof, type Grade } from '../../proof/grades.ts';
import { dropClone } from '../../databases/postgres/prove/clone-database.ts';
import { importIntoClona } from '../../databases/postgres/prove/import.ts';
import { defaultWorkers } from '../../databases/postgres/restore/default-workers.ts';
import type { Bearing, Proof, Step } from '../operations.ts';
import { withMachine, type MachineAccess, type SiteAccess } from '../machine/access.ts';
import { findCounts, findOpened, nothingCounted, sayFinding, type Finding } from '../machine/findings.ts';

/**
 * Grades 1 to 5 of the backup that staging was restored from (R15), each remembered with what was found. The first
 * that fails ends it: a grade includes those before it.
 */
export async function proveStaging(
  access: SiteAccess,
  name: string,
  backup: string,
  expected: Bearing,
  step: Step,
): Promise<Proof> {
  return withMachine(access, name, step.signal, async (machine) =>
    proveMachine({ access, machine, backup, expected, step }),
  );
}

async function proveMachine(subject: Subject): Promise<Proof> {
  const { access, backup, step } = subject;
  const archive = await openArchive(access.site.archive.location);
  const findings: Finding<Grade>[] = [];
  let grade = 0;
  for (const look of looks) {
    const finding = await look(subject);
    findings.push(finding);
    // A failure takes back what it contradicts, also what an earlier proof had found.
    const outcome = { ...finding, detail: finding.said, at: new Date().toISOString(), evidence: step.key };
    await writeGrades(archive, backup, rememberProof(await readGrades(archive, backup), outcome));
    if (!finding.passed) break;
    grade = finding.grade;
  }
  return { backup, grade, provenAt: new Date().toISOString(), findings: findings.map(sayFinding) };
}

interface Subject {
  access: SiteAccess;
  machine: MachineAccess;
  backup: string;
  expected: Bearing;
  step: Step;
}

const looks: readonly ((subject: Subject) => Promise<Finding<Grade>>)[] = [
  proveFiles,
  proveArchivedLog,
  proveOpened,
  proveRows,
  proveCounts,
];

async function proveFiles({ access, backup, step }: Subject): Promise<Finding<Grade>> {
  const report = await proveChecksums({
    archiveDir: access.site.archive.location,
    label: backup,
    workers: access.site.archive.workers,
    signal: step.signal,
    onProgress: step.onProgress,
  });
  const pages = report.pages === null ? 'the cluster has no page checksums' : `${report.pages.good} pages`;
  const damaged = report.problems.slice(0, 5).map(({ file, message }) => `${file}: ${message}`);
  const said = report.passed
    ? `${report.files} files and ${pages} match their checksums`
    : damaged.join('; ');
  return { grade: 1, passed: report.passed, said };
}

async function proveArchivedLog({ access, backup, step }: Subject): Promise<Finding<Grade>> {
  const { location, mirror, workers } = access.site.archive;
  const { signal, onProgress } = step;
  const places = { archiveDir: location, mirrorDir: mirror };
  const report = await proveLog({ ...places, label: backup, workers, signal, onProgress });
  const { passed, segments, from, to, gaps, problems } = report;
  const wrong = [
    ...gaps.map((gap) => `a gap from ${gap.from} to ${gap.to ?? 'the end'}`),
    ...problems.slice(0, 5).map(({ file, message }) => `${file}: ${message}`),
  ];
  const said = passed ? `${segments} segments from ${from} to ${to} without a gap` : wrong.join('; ');
  return { grade: 2, passed, said };
}

async function proveOpened({ expected }: Subject): Promise<Finding<Grade>> {
  return findOpened(expected.position);
}

/** R23: the copy holds what masking would hide, so it goes right after the proof. */
async function proveRows({ access, machine, step }: Subject): Promise<Finding<Grade>> {
  const { address } = machine;
  const { site } = access;
  const common = {
    address,
    database: address.database,
    workers: defaultWorkers(),
    signal: step.signal,
    onProgress: step.onProgress,
  };
  const prefix = site.staging.clonaPrefix === 'X' ? 'x' : 'clona';
  const imported = await importIntoClona({ ...common, cloneName: site.name.replaceAll('-', '_'), prefix });
  await dropClone(address, imported.cloneDatabase, step.signal);
  if (!imported.passed) {
    const named = imported.problems.slice(0, 5).map(({ object, message }) => `${object}: ${message}`);
    return { grade: 4, passed: false, said: named.join('; ') };
  }
  const structure = await checkStructure(common);
  if (!structure.passed) {
    const named = structure.problems.slice(0, 5).map(({ object, message }) => `${object}: ${message}`);
    return { grade: 4, passed: false, said: named.join('; ') };
  }
  const checked = structure.available
    ? `, ${structure.indexes} indexes well-formed`
    : ', structure not checked (no amcheck)';
  return {
    grade: 4,
    passed: true,
    said: `${imported.rows} rows of ${imported.tables.length} tables imported, ${imported.constraints.validated} constraints validated${checked}`,
  };
}

async function proveCounts({ access, machine, expected, step }: Subject): Promise<Finding<Grade>> {
  if (expected.taken === null || expected.taken.counts.length === 0) return nothingCounted;
  return findCounts(
    await compareBusinessCounts({
      address: machine.address,
      counts: access.site.database.businessCounts,
      taken: expected.taken,
      signal: step.signal,
    }),
  );
}
