import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClonaError } from '../errors.ts';
import { archiveError } from './durable-file.ts';
import type { ArchiveFile, Frame } from './format.ts';
import type { FramePool, FrameSlot, PackedFrame } from './frame-pool.ts';
import { freeMemory } from './pack-frame.ts';

/** So much is brought to the disk while the rest is still made: the sync at the end then finds little to do. */
const syncedBytes = 32 * 2 ** 20;

/** Writes frames one after the other, however the workers finish them. */
export interface FrameFile extends AsyncDisposable {
  /** Hands a filled slot over: packed, written in the order of the calls, released. Failures come out of `finish`. */
  append: (
    slot: FrameSlot,
    rawBytes: number,
    inside: Frame['inside'],
    packing?: Promise<PackedFrame>,
  ) => Promise<PackedFrame['files']>;
  /** Waits for all, syncs, closes. */
  finish: () => Promise<Pick<ArchiveFile, 'name' | 'rawBytes' | 'compressedBytes' | 'sha256' | 'frames'>>;
  /** Bytes taken so far, uncompressed. */
  rawBytes: () => number;
  /** The first failure, so that a producer can stop early. */
  failure: () => ClonaError | undefined;
}

export async function createFrameFile(folder: string, name: string, pool: FramePool): Promise<FrameFile> {
  const path = join(folder, name);
  const handle = await open(path, 'wx', 0o640).catch((error: unknown) => {
    throw archiveError(error, path);
  });
  const hash = createHash('sha256');
  const frames: Frame[] = [];
  let rawOffset = 0;
  let compressedOffset = 0;
  let failure: ClonaError | undefined;
  let tail = Promise.resolve();
  const fail = (error: unknown): void => void (failure ??= archiveError(error, path));
  let unsyncedBytes = 0;
  let syncing: Promise<void> | undefined;
  const syncSome = (writtenBytes: number): void => {
    unsyncedBytes += writtenBytes;
    if (unsyncedBytes < syncedBytes || syncing !== undefined) return;
    unsyncedBytes = 0;
    // Its failure is kept, for the next call and for `finish`: a second sync would not tell it again.
    syncing = handle
      .datasync()
      .catch(fail)
      .finally(() => (syncing = undefined));
  };

  const write = async (packed: PackedFrame, rawBytes: number, inside: Frame['inside']): Promise<void> => {
    hash.update(packed.compressed);
    await writeAll(handle, packed.compressed);
    const compressedBytes = packed.compressed.length;
    freeMemory(packed.compressed);
    frames.push({ compressedOffset, compressedBytes, rawOffset, rawBytes, inside });
    rawOffset += rawBytes;
    compressedOffset += compressedBytes;
    syncSome(compressedBytes);
  };
  let takenBytes = 0;
  return {
    append: async (slot, rawBytes, inside, packing = pool.pack(slot, rawBytes)) => {
      takenBytes += rawBytes;
      const before = tail;
      tail = (async () => {
        // Both are waited for, whichever fails: nothing is left running, and the order stays.
        const [packed] = await Promise.allSettled([packing, before]);
        if (packed.status === 'rejected') fail(packed.reason);
        else if (failure === undefined) await write(packed.value, rawBytes, inside).catch(fail);
        pool.release(slot);
      })();
      await tail;
      return failure === undefined ? (await packing).files : [];
    },
    finish: async () => {
      await tail;
      await syncing;
      if (failure !== undefined) throw failure;
      try {
        await handle.sync();
      } catch (error) {
        throw archiveError(error, path);
      }
      await handle.close();
      return {
        name,
        rawBytes: rawOffset,
        compressedBytes: compressedOffset,
        sha256: hash.digest('hex'),
        frames,
      };
    },
    rawBytes: () => takenBytes,
    failure: () => failure,
    [Symbol.asyncDispose]: async () => {
      await tail;
      await syncing;
      await handle.close().catch(() => {});
    },
  };
}

async function writeAll(
  handle: { write: (bytes: Uint8Array) => Promise<{ bytesWritten: number }> },
  bytes: Uint8Array,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes.subarray(done))).bytesWritten;
}
