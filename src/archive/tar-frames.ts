import { ClonaError } from '../errors.ts';
import type { ArchiveFile, Frame } from './format.ts';
import { frameBytes } from './frame-job.ts';
import type { FrameFile } from './frame-file.ts';
import type { FramePool, FrameSlot } from './frame-pool.ts';
import {
  decodeTarHeader,
  encodeTarHeader,
  paddedBytes,
  tarBlockBytes,
  type TarMember,
} from './tar-header.ts';

/** Frames that begin inside a file begin at a whole page of any size PostgreSQL can be built with. */
export const insideAlignmentBytes = 32 * 1024;

/** A frame is closed before a member that does not fit, unless that would leave it nearly empty. */
export const smallestFrameBytes = frameBytes / 4;

/**
 * Takes a tar as it comes, in pieces of any size, and cuts it into frames (src/archive/format.ts, Frame). The end of
 * archive is taken off, so that members can be added, and put back by `finish`.
 */
export class TarFramer {
  readonly #pool: FramePool;
  readonly #file: FrameFile;
  readonly #where: string;
  #slot: FrameSlot | undefined;
  #used = 0;
  #inside: Frame['inside'] = null;
  #member: { path: string; sizeBytes: number } = { path: '', sizeBytes: 0 };
  /** Bytes of the member's content and padding that have passed, and that are still to come. */
  #passed = 0;
  #left = 0;
  readonly #header = Buffer.alloc(tarBlockBytes);
  #headerUsed = 0;
  #headerTotal = 0;
  #pendingHeader = false;

  constructor(pool: FramePool, file: FrameFile, where: string) {
    this.#pool = pool;
    this.#file = file;
    this.#where = where;
  }

  /** Takes bytes from `from` on and returns how many; fewer than given means: wait for `whenWritable` and go on. */
  write(chunk: Buffer, from = 0): number {
    let at = from;
    for (;;) {
      if (this.#pendingHeader && !this.#beginMember()) break;
      if (at >= chunk.length) break;
      if (this.#left === 0) at += this.#collectHeader(chunk, at);
      else {
        const taken = this.#copyContent(chunk, at);
        if (taken === 0) break;
        at += taken;
      }
    }
    return at - from;
  }

  async whenWritable(): Promise<void> {
    const failure = this.#file.failure();
    if (failure !== undefined) throw failure;
    await this.#pool.whenFree();
  }

  /** Writes all of a chunk, waiting where needed. */
  async writeAll(chunk: Buffer): Promise<void> {
    for (let at = this.write(chunk); at < chunk.length || this.#pendingHeader; at += this.write(chunk, at)) {
      await this.whenWritable();
    }
  }

  /** Adds one more member, with its padding. */
  async addMember(member: TarMember & { modifiedAt: Date }, content: Buffer): Promise<void> {
    await this.writeAll(encodeTarHeader(member));
    await this.writeAll(content);
    await this.writeAll(Buffer.alloc(paddedBytes(content.length) - content.length));
  }

  /** Adds the end of archive and waits until everything is on disk. */
  async finish(): Promise<Pick<ArchiveFile, 'name' | 'rawBytes' | 'compressedBytes' | 'sha256' | 'frames'>> {
    // The last member's header may still wait for a slot.
    await this.writeAll(Buffer.alloc(0));
    if (this.#left > 0 || this.#headerUsed > 0) {
      throw new ClonaError('databaseFailed', `${this.#where} ended inside the member ${this.#member.path}`);
    }
    while (this.#room() < 2 * tarBlockBytes) {
      if (this.#slot !== undefined) this.#close();
      else await this.whenWritable();
      this.#slot ??= this.#pool.take();
    }
    this.#slot?.bytes.fill(0, this.#used, this.#used + 2 * tarBlockBytes);
    this.#used += 2 * tarBlockBytes;
    this.#close();
    return this.#file.finish();
  }

  #room(): number {
    return this.#slot === undefined ? 0 : frameBytes - this.#used;
  }

  /** Gathers 512 bytes; a block of zeros (the end of archive) is dropped. */
  #collectHeader(chunk: Buffer, at: number): number {
    const count = Math.min(tarBlockBytes - this.#headerUsed, chunk.length - at);
    chunk.copy(this.#header, this.#headerUsed, at, at + count);
    this.#headerUsed += count;
    if (this.#headerUsed < tarBlockBytes) return count;
    this.#headerUsed = 0;
    const member = decodeTarHeader(this.#header, this.#where);
    if (member === undefined) return count;
    this.#member = member;
    this.#headerTotal = tarBlockBytes + paddedBytes(member.sizeBytes);
    this.#pendingHeader = true;
    return count;
  }

  /** Puts the gathered header into a frame, a new one where the member would not fit; false: no slot is free. */
  #beginMember(): boolean {
    const tooLarge = this.#headerTotal > this.#room();
    if (
      this.#slot !== undefined &&
      tooLarge &&
      (this.#used >= smallestFrameBytes || this.#room() < tarBlockBytes)
    ) {
      this.#close();
    }
    if (!this.#open(null)) return false;
    this.#slot?.bytes.set(this.#header, this.#used);
    this.#used += tarBlockBytes;
    this.#left = this.#headerTotal - tarBlockBytes;
    this.#passed = 0;
    this.#pendingHeader = false;
    return true;
  }

  #copyContent(chunk: Buffer, at: number): number {
    if (this.#contentRoom() === 0) this.#close();
    const { path, sizeBytes } = this.#member;
    if (!this.#open({ path, fileOffset: this.#passed, fileBytes: sizeBytes })) return 0;
    const count = Math.min(this.#left, chunk.length - at, this.#contentRoom());
    chunk.copy(this.#slot!.bytes, this.#used, at, at + count);
    this.#used += count;
    this.#passed += count;
    this.#left -= count;
    return count;
  }

  /** Room for content; where the rest of the member does not fit, only up to the last aligned offset in this frame. */
  #contentRoom(): number {
    if (this.#slot === undefined) return 0;
    const room = this.#room();
    if (this.#left <= room) return room;
    const end = this.#passed + room;
    return Math.max(0, end - (end % insideAlignmentBytes) - this.#passed);
  }

  #open(inside: Frame['inside']): boolean {
    if (this.#slot !== undefined) return true;
    this.#slot = this.#pool.take();
    this.#inside = inside;
    return this.#slot !== undefined;
  }

  #close(): void {
    if (this.#slot === undefined) return;
    const failure = this.#file.failure();
    if (failure !== undefined) throw failure;
    // Its failure is kept by the file, for the next call and for `finish`.
    void this.#file.append(this.#slot, this.#used, this.#inside).catch(() => {});
    this.#slot = undefined;
    this.#used = 0;
    this.#inside = null;
  }
}
