import { join } from 'node:path';
import type { ArchiveFile, BackupHeader, Frame } from '../../../../archive/format.ts';
import { ClonaError } from '../../../../errors.ts';
import type { PartOrigin } from './file-ledger.ts';

/** Reads each frame from the first copy of a backup that is whole, and remembers what had to come from another one. */
export class FrameReader {
  readonly #header: BackupHeader;
  readonly #sources: readonly string[];
  readonly #repairs: string[];
  /** Per archive and frame: the copy it was last read from. */
  readonly #copyOf = new Map<string, number>();

  /** `sources`: folders that hold this backup, the primary first. `repairs` is added to. */
  constructor(header: BackupHeader, sources: readonly string[], repairs: string[]) {
    this.#header = header;
    this.#sources = sources;
    this.#repairs = repairs;
  }

  /** `run` reads one frame from one file, and throws `archiveDamaged` where it cannot. */
  async read<Result>(
    origin: PartOrigin,
    run: (source: string, frame: Frame, archive: ArchiveFile) => Promise<Result>,
  ): Promise<Result> {
    const archive = this.#header.archives[origin.archive]!; // origins are made of the header's own lists
    const frame = archive.frames[origin.frame]!;
    const key = `${origin.archive}/${origin.frame}`;
    for (let copy = this.#copyOf.get(key) ?? 0; ; copy += 1) {
      this.#copyOf.set(key, copy);
      try {
        return await run(join(this.#sources[copy]!, archive.name), frame, archive); // below the length
      } catch (error) {
        if (!(error instanceof ClonaError) || error.kind !== 'archiveDamaged') throw error;
        const what = `backup ${this.#header.label}: ${archive.name}: frame ${origin.frame}`;
        if (copy + 1 >= this.#sources.length)
          throw damagedEverywhere(`${what}: ${error.message}`, error, this.#sources.length);
        this.#repairs.push(
          `${what} is damaged in ${this.#sources[copy]} and was taken from ${this.#sources[copy + 1]}`,
        );
      }
    }
  }

  /** A file of whole frames is not what the manifest says: from now on they are read from the next copy. */
  turnToOther(problem: string, origins: readonly PartOrigin[]): void {
    const copy = Math.max(
      ...origins.map(({ archive, frame }) => this.#copyOf.get(`${archive}/${frame}`) ?? 0),
    );
    const what = `backup ${this.#header.label}: ${problem}`;
    if (copy + 1 >= this.#sources.length) throw damagedEverywhere(what, undefined, this.#sources.length);
    this.#repairs.push(`${what} in ${this.#sources[copy]}; taken from ${this.#sources[copy + 1]}`);
    for (const { archive, frame } of origins) this.#copyOf.set(`${archive}/${frame}`, copy + 1);
  }
}

export function damagedEverywhere(what: string, cause: unknown, copies: number): ClonaError {
  return new ClonaError('archiveDamaged', `${what}: damaged${copies > 1 ? ' in every copy' : ''}`, {
    cause,
    hint: copies > 1 ? 'another backup may serve' : 'name the mirror, or take another backup',
  });
}
