import type { BackupHeader } from '../../../archive/format.ts';
import { ClonaError } from '../../../errors.ts';
import { formatSegmentName } from '../lsn.ts';
import type { BackupManifest } from '../manifest.ts';
import type { ArchiveProblem, ChecksumReport } from './checksum-report.ts';
import type { FilePiece, FrameFindings } from './frame-check.ts';
import { logPageBytes, type LogPageFault } from './log-pages.ts';
import { compareWithManifest } from './manifest-check.ts';
import type { PageVerdict } from './page-checksum.ts';

const keptProblems = 200;

/** Collects what the threads that check a backup find (grade 1), and judges it as a whole. */
export class ChecksumFindings {
  readonly #label: string;
  readonly #problems: ArchiveProblem[] = [];
  #omitted = 0;
  #rawBytes = 0;
  readonly #pieces = new Map<string, FilePiece[]>();
  readonly #logFaults: { segment: string; fault: LogPageFault }[] = [];
  #pages: Record<PageVerdict, number> | null = null;
  #compressedBytes = 0;

  constructor(label: string) {
    this.#label = label;
  }

  get passed(): boolean {
    return this.#problems.length === 0;
  }

  countPages(): void {
    this.#pages ??= { good: 0, new: 0, later: 0, damaged: 0, 'torn-new': 0 };
  }

  add(file: string, message: string): void {
    if (this.#problems.length < keptProblems) this.#problems.push({ file, message });
    else this.#omitted += 1;
  }

  /** Runs a step whose failure is a finding about `file`. */
  async attempt<Value>(file: string, step: () => Promise<Value>): Promise<Value | null> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof ClonaError && error.exitCode >= 130) throw error;
      this.add(file, error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  take(findings: FrameFindings, prefix: string): void {
    for (const piece of findings.pieces) {
      const path = prefix + piece.path;
      const pieces = this.#pieces.get(path);
      if (pieces === undefined) this.#pieces.set(path, [piece]);
      else pieces.push(piece);
      this.#rawBytes += piece.bytes;
    }
    if (this.#pages !== null) {
      for (const verdict of Object.keys(findings.pages) as PageVerdict[]) {
        this.#pages[verdict] += findings.pages[verdict];
      }
    }
    for (const { path, block, verdict } of findings.damagedPages) {
      // Half-written when it was copied: the log holds the whole page.
      if (verdict === 'damaged')
        this.add(prefix + path, `the page of block ${block} does not match its checksum`);
    }
    this.#logFaults.push(...findings.logFaults);
  }

  /** A backup that carries its log must carry all of it, from start to consistentFrom. */
  checkCarriedLog(header: BackupHeader, segmentSizeBytes: number): void {
    this.#compressedBytes = header.compressedBytes;
    if (!header.ownLog) return;
    const [start, end] = [BigInt(header.start), BigInt(header.consistentFrom)];
    const size = BigInt(segmentSizeBytes);
    for (let number = start / size; number * size < end; number += 1n) {
      const name = formatSegmentName({ timeline: header.timeline, number: Number(number) }, segmentSizeBytes);
      const pieces = this.#pieces.get(`pg_wal/${name}`) ?? [];
      if (pieces.reduce((sum, { bytes }) => sum + bytes, 0) !== segmentSizeBytes) {
        this.add(`pg_wal/${name}`, 'is not carried whole, though the backup says it carries its log');
      }
    }
    const last = formatSegmentName(
      { timeline: header.timeline, number: Number((end - 1n) / size) },
      segmentSizeBytes,
    );
    for (const { segment, fault } of this.#logFaults) {
      const isWanted = fault.position < end && fault.position + BigInt(logPageBytes) > start;
      // Behind a log switch a segment is empty; the last one must hold the log up to consistentFrom.
      if (isWanted && (!fault.restEmpty || segment === last)) {
        this.add(`pg_wal/${segment}`, `the page at ${fault.position} ${fault.message}`);
      }
    }
  }

  compare(manifest: BackupManifest): void {
    for (const { file, message } of compareWithManifest(manifest, this.#pieces)) this.add(file, message);
  }

  report(seconds: number): ChecksumReport {
    return {
      passed: this.passed,
      label: this.#label,
      files: this.#pieces.size,
      rawBytes: this.#rawBytes,
      compressedBytes: this.#compressedBytes,
      pages: this.#pages,
      problems: this.#problems,
      problemsOmitted: this.#omitted,
      seconds,
    };
  }
}
