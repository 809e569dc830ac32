import { combineCrc32c } from '../../../../archive/crc32c-combine.ts';
import { formatCrc32c } from '../../../../archive/crc32c.ts';
import { ClonaError } from '../../../../errors.ts';
import type { BackupManifest, ManifestFile } from '../../manifest.ts';
import type { UnpackedPart } from './unpack-job.ts';

/** Where a part came from: the archive of the backup and the frame in it. */
export interface PartOrigin {
  archive: number;
  frame: number;
}

interface OpenFile {
  parts: Map<number, UnpackedPart>;
  bytes: number;
  origins: PartOrigin[];
}

export type FileVerdict =
  | { kind: 'unfinished' }
  | { kind: 'whole' }
  /** Its content must be read again: the manifest's checksum is of a kind that parts cannot be put together to. */
  | { kind: 'read'; file: ManifestFile }
  | { kind: 'wrong'; problem: string; origins: PartOrigin[] };

/**
 * Keeps account of every file of a backup while its parts come in any order, and judges each by the manifest.
 * Pure: knows neither disk nor thread.
 */
export class FileLedger {
  readonly #expected: Map<string, ManifestFile>;
  readonly #open = new Map<string, OpenFile>();
  readonly #whole = new Set<string>();

  constructor(manifest: BackupManifest) {
    // The tar's names are read as UTF-8, so the manifest's are too.
    this.#expected = new Map(
      manifest.files.map((file) => [Buffer.from(file.rawPath, 'latin1').toString('utf8'), file]),
    );
  }

  expects(path: string): ManifestFile | undefined {
    return this.#expected.get(path);
  }

  paths(): IterableIterator<string> {
    return this.#expected.keys();
  }

  /** A file that was found whole on disk before anything was unpacked. */
  markWhole(path: string): void {
    this.#whole.add(path);
  }

  /** Forgets what was told of a file, so that its parts can come again from another copy. */
  forget(path: string): void {
    this.#open.delete(path);
    this.#whole.delete(path);
  }

  take(part: UnpackedPart, origin: PartOrigin): FileVerdict {
    if (this.#whole.has(part.path)) return { kind: 'whole' };
    const open = this.#open.get(part.path) ?? {
      parts: new Map<number, UnpackedPart>(),
      bytes: 0,
      origins: [],
    };
    this.#open.set(part.path, open);
    if (!open.parts.has(part.offset)) {
      open.parts.set(part.offset, part);
      open.bytes += part.bytes;
      open.origins.push(origin);
    }
    if (open.bytes < part.fileBytes) return { kind: 'unfinished' };
    const verdict = this.#judge(part, open);
    if (verdict.kind === 'whole') {
      this.#whole.add(part.path);
      this.#open.delete(part.path);
    }
    return verdict;
  }

  #judge({ path, fileBytes }: UnpackedPart, open: OpenFile): FileVerdict {
    const wrong = (problem: string): FileVerdict => ({ kind: 'wrong', problem, origins: open.origins });
    const expected = this.#expected.get(path);
    // The log that a backup carries is proven by the server that replays it; the manifest leaves it out.
    if (expected === undefined)
      return path.startsWith('pg_wal/') ? { kind: 'whole' } : wrong(`${path} is not in its manifest`);
    if (expected.sizeBytes !== fileBytes) {
      return wrong(`${path} has ${fileBytes} bytes and should have ${expected.sizeBytes}`);
    }
    if (expected.checksum === null) return { kind: 'whole' };
    if (expected.checksum.algorithm !== 'CRC32C') return { kind: 'read', file: expected };
    return formatCrc32c(joinParts(open)) === expected.checksum.hex
      ? { kind: 'whole' }
      : wrong(`${path} does not match its checksum`);
  }

  /** The first file of the manifest that never came, as an error; undefined: all came and matched. */
  findMissing(label: string): ClonaError | undefined {
    for (const path of this.#expected.keys()) {
      if (!this.#whole.has(path)) {
        return new ClonaError(
          'archiveDamaged',
          `backup ${label}: ${path} is in its manifest but not in its archives`,
        );
      }
    }
    return undefined;
  }
}

function joinParts({ parts }: OpenFile): number {
  let joined = 0;
  for (const part of [...parts.values()].sort((a, b) => a.offset - b.offset)) {
    joined = combineCrc32c(joined, part.crc32c, part.bytes);
  }
  return joined;
}
