import { constants } from 'node:fs';
import { open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { encodeDocument, readDocument } from './document.ts';
import { archiveError, errorCode, makeFolderDurably, syncFolder, writeDurably } from './durable-file.ts';
import { requireFile } from './regular-file.ts';
import type { Archive } from './repository.ts';

/**
 * The log's mirror: what a receiver took from the server's own stream, before the segment was full.
 *
 *   stream/<timeline, 8 hex>/<segment, 24 hex>   raw bytes; a file shorter than a segment ends where the stream ended
 *   stream/status.json                           MirrorStatus, about once a second
 *
 * A restore takes a segment from `log/` first and from here when it is not there yet.
 */
export const mirrorFolder = 'stream';

export interface MirrorStatus {
  format: 1;
  /** On disk here, and the server's own end when it last said so; positions as decimal strings. */
  flushed: string;
  serverEnd: string;
  timeline: number;
  /** The last moment at which everything the server had was on disk here. */
  caughtUpAt: string;
  at: string;
}

const mirrorStatusSchema: z.ZodType<MirrorStatus> = z.object({
  format: z.literal(1),
  flushed: z.string(),
  serverEnd: z.string(),
  timeline: z.number(),
  caughtUpAt: z.string(),
  at: z.string(),
});

export async function writeMirrorStatus(archive: Archive, status: MirrorStatus): Promise<void> {
  await writeDurably(join(archive.folder, mirrorFolder, 'status.json'), encodeDocument(status));
}

/** Undefined where no receiver ever wrote one. */
export async function readMirrorStatus(archive: Archive): Promise<MirrorStatus | undefined> {
  return readDocument(join(archive.folder, mirrorFolder, 'status.json'), mirrorStatusSchema);
}

/** The upper bound of what would be lost if production and its log vanished at `nowMs`: seconds, not positions. */
export function lossSeconds(status: MirrorStatus, nowMs: number): number {
  return Math.max(0, (nowMs - Date.parse(status.caughtUpAt)) / 1000);
}

export interface MirroredSegment {
  /** Name of the segment, 24 hex digits. */
  name: string;
  path: string;
  sizeBytes: number;
}

/** Segments of one timeline's folder name (8 hex digits), in order; the last one may be short. */
export async function listMirrored(archive: Archive, timelineName: string): Promise<MirroredSegment[]> {
  const folder = join(archive.folder, mirrorFolder, timelineName);
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw archiveError(error, folder);
  });
  const segments = names.filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  const found = await Promise.all(
    segments.map(async (name) => {
      const path = join(folder, name);
      // Removed since it was listed, or a link to nothing.
      const sizeBytes = (await stat(path).catch(() => undefined))?.size;
      return sizeBytes === undefined ? [] : [{ name, path, sizeBytes }];
    }),
  );
  return found.flat();
}

/** Writes the pieces of one stream into segment files, in order; nothing counts as written before `sync`. */
export class MirrorWriter implements AsyncDisposable {
  readonly #archive: Archive;
  readonly #segmentName: (number: number) => string;
  readonly #timelineName: string;
  #open: { number: number; handle: FileHandle } | undefined;
  #unsyncedFolder = false;

  /** `segmentName` gives the name of the segment with that number on this timeline. */
  constructor(archive: Archive, timelineName: string, segmentName: (number: number) => string) {
    this.#archive = archive;
    this.#timelineName = timelineName;
    this.#segmentName = segmentName;
  }

  /** Writes bytes that begin at `position`; they may end in a later segment. */
  async write(position: bigint, bytes: Buffer): Promise<void> {
    const size = this.#archive.header.segmentSizeBytes;
    let at = position;
    let rest = bytes;
    while (rest.length > 0) {
      const number = Number(at / BigInt(size));
      const offset = Number(at % BigInt(size));
      const piece = rest.subarray(0, size - offset);
      const handle = await this.#segment(number);
      await handle.write(piece, 0, piece.length, offset).catch((error: unknown) => {
        throw archiveError(error, join(this.#archive.folder, mirrorFolder));
      });
      at += BigInt(piece.length);
      rest = rest.subarray(piece.length);
    }
  }

  async sync(): Promise<void> {
    await this.#open?.handle.datasync();
    if (this.#unsyncedFolder) await syncFolder(this.#folder);
    this.#unsyncedFolder = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.handle.close();
    this.#open = undefined;
  }

  get #folder(): string {
    return join(this.#archive.folder, mirrorFolder, this.#timelineName);
  }

  async #segment(number: number): Promise<FileHandle> {
    if (this.#open?.number === number) return this.#open.handle;
    await this.sync();
    await this[Symbol.asyncDispose]();
    await makeFolderDurably(this.#folder);
    const path = join(this.#folder, this.#segmentName(number));
    // Not truncated: a stream that begins again writes the same bytes over what is there.
    const handle = await open(path, constants.O_RDWR | constants.O_NONBLOCK).catch(async (error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw archiveError(error, path);
      this.#unsyncedFolder = true;
      return open(path, 'wx+', 0o640);
    });
    this.#open = { number, handle };
    requireFile(await handle.stat(), path);
    return handle;
  }
}
