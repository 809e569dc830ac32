import type { PageVerdict } from './page-checksum.ts';

export interface ArchiveProblem {
  /** A file of the archive, or a file inside it. */
  file: string;
  message: string;
}

/** Evidence of grade 1. */
export interface ChecksumReport {
  passed: boolean;
  label: string;
  files: number;
  rawBytes: number;
  compressedBytes: number;
  /** null: the cluster has no data checksums, its pages could not be judged. */
  pages: Record<PageVerdict, number> | null;
  problems: ArchiveProblem[];
  problemsOmitted: number;
  seconds: number;
}
