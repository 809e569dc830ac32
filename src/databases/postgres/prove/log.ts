import { availableParallelism } from 'node:os';
import { refuseVanished } from '../../../archive/repository.ts';
import { ClonaError } from '../../../errors.ts';
import { silent, type OnProgress } from '../../../progress.ts';
import type { ArchivedLog, Backup, Catalog } from '../../../recovery/catalog.ts';
import { readCoverage, reachFrom, nextStart } from '../../../recovery/coverage.ts';
import { readLineage, tracePath, type Path } from '../../../recovery/lineage.ts';
import { readArchive, type ArchiveCatalog } from '../catalog.ts';
import type { FoundSegment } from '../catalog-log.ts';
import { formatSegmentName, formatTimeline, segmentStart } from '../lsn.ts';
import type { ArchiveProblem } from './checksum-report.ts';
import { createCheckPool, type CheckPool } from './check-pool.ts';
import type { LogFileTask } from './log-file-check.ts';

export interface LogProofOptions {
  archiveDir: string;
  mirrorDir?: string | undefined;
  label: string;
  workers?: number | undefined;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
}

/** Evidence of grade 2. Positions are decimal. */
export interface LogProofReport {
  passed: boolean;
  label: string;
  /** The log from `from` to `to` was proven; `to` is the newest that is archived on the way. */
  from: string;
  to: string;
  segments: number;
  rawBytes: number;
  gaps: { from: string; to: string | null }[];
  problems: ArchiveProblem[];
  /** What is wrong with one of two copies, the other being whole. */
  warnings: ArchiveProblem[];
  seconds: number;
}

/**
 * Grade 2 (R15): the archived log from the backup's start (or from where its own log ends) to the newest, without a gap,
 * along the path of CURRENT, or of the backup's own incarnation when it is an orphan's. Every segment is unpacked and held
 * against its checksums and page headers, in the archive and in the mirror; one whole copy suffices. .history files are
 * held against each other and against the record that begins their timeline.
 */
export async function proveLog(options: LogProofOptions): Promise<LogProofReport> {
  const { label, signal, onProgress = silent } = options;
  const started = performance.now();
  const found = await readArchive(options, signal);
  const backup = found.catalog.backups.find((one) => one.label === label);
  if (backup === undefined) {
    throw new ClonaError('archiveMissing', `the archive ${options.archiveDir} has no backup ${label}`, {
      hint: 'see: clona catalog --archive DIR',
    });
  }
  const report: LogProofReport = {
    passed: false,
    label,
    from: '0',
    to: '0',
    segments: 0,
    rawBytes: 0,
    gaps: [],
    problems: [],
    warnings: [],
    seconds: 0,
  };
  const { consistentFrom, start } = backup;
  if (backup.state !== 'available' || consistentFrom === null || start === null) {
    report.problems.push({ file: label, message: `the backup is ${backup.state}` });
  } else {
    const path = choosePath(found.catalog, backup);
    const low = backup.ownLog ? consistentFrom : start;
    const newest = findNewest(found.catalog, path, low);
    report.from = String(start);
    report.to = String(newest);
    report.gaps = findGapsBetween(found.catalog, path, low, newest);
    const tasks = planTasks(found, path, low, newest);
    onProgress({ step: `log of ${label}`, state: 'started', detail: `${tasks.length} segments` });
    await using pool = createCheckPool(options.workers ?? Math.min(8, availableParallelism()), signal);
    await Promise.all(tasks.map(async (task) => checkSegment(report, task, pool)));
    checkHistories(report, found, path);
    onProgress({ step: `log of ${label}`, state: 'done' });
  }
  report.passed = report.problems.length === 0 && report.gaps.length === 0;
  if (!report.passed) for (const { dir } of found.folders) await refuseVanished(dir);
  report.seconds = (performance.now() - started) / 1000;
  return report;
}

function choosePath(catalog: Catalog, { incarnation, consistentFrom }: Backup): Path {
  const lineage = readLineage(catalog);
  const current = tracePath(lineage, catalog.currentIncarnation);
  const depth = current.depthOf.get(incarnation);
  if (depth === undefined) return tracePath(lineage, incarnation);
  const cut = current.cuts[depth];
  const serves = cut === null || cut === undefined || (consistentFrom ?? 0n) <= cut;
  return serves ? current : tracePath(lineage, incarnation);
}

function findNewest(catalog: Catalog, path: Path, low: bigint): bigint {
  const { known } = readCoverage(catalog, path, 'online-log');
  return known.reduce((newest, { cutEnd }) => (cutEnd > newest ? cutEnd : newest), low);
}

function findGapsBetween(catalog: Catalog, path: Path, low: bigint, newest: bigint): LogProofReport['gaps'] {
  const [thread] = readCoverage(catalog, path, 'online-log').threads;
  const gaps: LogProofReport['gaps'] = [];
  // Positions of a catalog; branded once they were read.
  let at = low as Parameters<typeof reachFrom>[1];
  if (thread === undefined) return at < newest ? [{ from: String(at), to: String(newest) }] : [];
  while (at < newest) {
    const reached = reachFrom(thread.archived, at);
    if (reached >= newest) break;
    const next = nextStart(thread.archived, reached);
    gaps.push({ from: String(reached), to: String(next === null || next > newest ? newest : next) });
    if (next === null) break;
    at = next;
  }
  return gaps;
}

interface SegmentTask {
  segment: string;
  copies: FoundSegment[];
  limit: bigint | null;
  branch: LogFileTask['branch'];
  rules: LogFileTask['rules'];
}

function planTasks(found: ArchiveCatalog, path: Path, low: bigint, newest: bigint): SegmentTask[] {
  const { catalog, folders, header } = found;
  const { segmentSizeBytes, systemIdentifier } = header;
  const copies = new Map<string, FoundSegment[]>();
  for (const folder of folders) {
    for (const segment of folder.segments) {
      // What is only streamed so far has no checksum yet.
      if (segment.form === 'stream') continue;
      const name = formatSegmentName(segment, segmentSizeBytes);
      copies.set(name, [...(copies.get(name) ?? []), segment]);
    }
  }
  return catalog.logs
    .filter((log) => isWanted(log, path, low, newest))
    .map((log) => {
      const name = { timeline: log.incarnation, number: log.sequence };
      const segment = formatSegmentName(name, segmentSizeBytes);
      const begin = segmentStart(log.sequence, segmentSizeBytes);
      const depth = path.depthOf.get(log.incarnation);
      const limit = depth === undefined ? null : (path.cuts[depth] ?? null);
      return {
        segment,
        copies: copies.get(segment) ?? [],
        limit,
        branch: findBranch(found, log, begin, begin + BigInt(segmentSizeBytes)),
        rules: { segmentSizeBytes, systemIdentifier },
      };
    })
    .filter((task) => task.copies.length > 0);
}

function isWanted(log: ArchivedLog, path: Path, low: bigint, newest: bigint): boolean {
  const depth = path.depthOf.get(log.incarnation);
  if (depth === undefined) return false;
  const cut = path.cuts[depth] ?? null;
  const end = cut !== null && cut < log.next ? cut : log.next;
  // A segment that a branch begins in proves the branch, whatever of it is needed.
  return end > low && log.first < newest && (log.first < end || end === log.next);
}

function findBranch(
  found: ArchiveCatalog,
  log: ArchivedLog,
  begin: bigint,
  end: bigint,
): SegmentTask['branch'] {
  for (const { histories } of found.folders) {
    const last = histories.find(({ timeline }) => timeline === log.incarnation)?.history?.ends.at(-1);
    if (last === undefined || last.switchPoint < begin || last.switchPoint >= end) continue;
    return { timeline: log.incarnation, parent: last.timeline, position: last.switchPoint };
  }
  return null;
}

async function checkSegment(report: LogProofReport, task: SegmentTask, pool: CheckPool): Promise<void> {
  const { segment, copies, limit, branch, rules } = task;
  const hashes = new Set<string>();
  const faults: ArchiveProblem[] = [];
  let whole = 0;
  for (const { path, problem } of copies) {
    const findings =
      problem === null
        ? await pool.checkLogFile({ path, segment, limit, branch, rules })
        : new Error(problem);
    if (findings instanceof Error) faults.push({ file: path, message: findings.message });
    else {
      faults.push(...findings.problems.map((message) => ({ file: path, message })));
      if (findings.problems.length > 0) continue;
      whole += 1;
      hashes.add(findings.sha256);
      report.rawBytes += findings.rawBytes;
    }
  }
  report.segments += 1;
  if (whole === 0) {
    report.problems.push(...faults);
    if (faults.length === 0) report.problems.push({ file: segment, message: 'is in neither place' });
  } else report.warnings.push(...faults);
  if (hashes.size > 1)
    report.problems.push({
      file: segment,
      message: 'the archive and the mirror hold different content under this name',
    });
}

/** A timeline of the path needs its .history file, whole, and both copies must say the same. */
function checkHistories(report: LogProofReport, { folders, catalog }: ArchiveCatalog, path: Path): void {
  for (const { id, parent } of path.incarnations) {
    // The oldest timeline of an archive may be any: a server is given an archive late in its life.
    if (parent === null && catalog.incarnations.every((other) => other.id >= id)) continue;
    const name = `${formatTimeline(id)}.history`;
    const copies = folders.flatMap(({ histories }) => histories.filter(({ timeline }) => timeline === id));
    const whole = copies.filter(({ history }) => history !== null);
    for (const { path: file, problem } of copies) {
      if (problem !== null)
        (whole.length === 0 ? report.problems : report.warnings).push({ file, message: problem });
    }
    if (copies.length === 0) report.problems.push({ file: name, message: 'is not there' });
    const told = new Set(
      whole.map(({ history }) =>
        history?.ends.map(({ timeline, switchPoint }) => `${timeline}@${switchPoint}`).join(' '),
      ),
    );
    if (told.size > 1)
      report.problems.push({ file: name, message: 'the archive and the mirror tell of different branches' });
  }
}
