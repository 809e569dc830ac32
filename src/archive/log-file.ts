import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { ClonaError } from '../errors.ts';
import { archiveError } from './durable-file.ts';
import { logTrailerBytes, type LogTrailer } from './format.ts';
import { largestLogFileBytes, openRegular, readRegular } from './regular-file.ts';

const skippableMagic = 0x184d2a50;
const frameHeadBytes = 8;

/** The trailer as a skippable frame of fixed length (RFC 8878, 3.1.2): any zstd passes over it. */
export function encodeLogTrailer(trailer: LogTrailer): Buffer {
  const bytes = Buffer.alloc(logTrailerBytes, ' ');
  bytes.writeUInt32LE(skippableMagic, 0);
  bytes.writeUInt32LE(logTrailerBytes - frameHeadBytes, 4);
  const text = JSON.stringify(trailer);
  if (Buffer.byteLength(text) > logTrailerBytes - frameHeadBytes)
    throw new Error('a log trailer is too long');
  bytes.write(text, frameHeadBytes);
  return bytes;
}

/** By hand: this module is loaded by threads, where a schema library costs more than the work. */
function isTrailer(value: unknown): value is LogTrailer {
  if (typeof value !== 'object' || value === null) return false;
  const { format, rawBytes, firstTime, lastTime, ...rest } = value as Record<keyof LogTrailer, unknown>;
  const texts = [rest.name, rest.systemIdentifier, rest.archivedAt, rest.sha256, rest.frameSha256];
  return (
    format === 1 &&
    Number.isSafeInteger(rawBytes) &&
    texts.every((text) => typeof text === 'string') &&
    [firstTime, lastTime].every((time) => time === null || typeof time === 'string')
  );
}

/** Reads the last bytes of a log file. Throws `archiveDamaged` where they are no trailer. */
export function decodeLogTrailer(bytes: Buffer, where: string): LogTrailer {
  const tail = bytes.subarray(Math.max(0, bytes.length - logTrailerBytes));
  if (
    tail.length < logTrailerBytes ||
    tail.readUInt32LE(0) !== skippableMagic ||
    tail.readUInt32LE(4) !== logTrailerBytes - frameHeadBytes
  ) {
    throw damaged(where, 'is cut off: it does not end with its facts');
  }
  let facts: unknown;
  try {
    facts = JSON.parse(tail.toString('utf8', frameHeadBytes));
  } catch (error) {
    throw damaged(where, 'ends with facts that do not read', error);
  }
  if (!isTrailer(facts)) throw damaged(where, 'ends with facts of another shape');
  return facts;
}

/** What a catalog needs to know of a log file, from its last bytes alone. */
export async function readLogTrailer(path: string): Promise<LogTrailer> {
  try {
    const handle = await openRegular(path);
    try {
      const { size } = await handle.stat();
      const length = Math.min(size, logTrailerBytes);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
      return decodeLogTrailer(buffer.subarray(0, bytesRead), path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw archiveError(error, path);
  }
}

/** A log file's segment, checked by every checksum it has. Throws `archiveDamaged` naming the file. */
export async function readLogSegment(path: string): Promise<{ segment: Buffer; trailer: LogTrailer }> {
  const bytes = await readRegular(path, { maxBytes: largestLogFileBytes }).catch((error: unknown) => {
    throw archiveError(error, path);
  });
  const trailer = decodeLogTrailer(bytes, path);
  return {
    segment: unpackLogFrame(bytes.subarray(0, bytes.length - logTrailerBytes), trailer, path),
    trailer,
  };
}

/** The frame before a trailer, unpacked and compared with it. */
export function unpackLogFrame(frame: Buffer, trailer: LogTrailer, where: string): Buffer {
  if (sha256(frame) !== trailer.frameSha256) throw damaged(where, 'does not match its checksum');
  let segment: Buffer;
  try {
    segment = zstdDecompressSync(frame, {
      chunkSize: Math.max(64 * 1024, trailer.rawBytes + 64),
      maxOutputLength: Math.max(64 * 1024, trailer.rawBytes + 64),
    });
  } catch (error) {
    throw damaged(where, 'does not unpack', error);
  }
  if (segment.length !== trailer.rawBytes || sha256(segment) !== trailer.sha256) {
    throw damaged(where, 'unpacks to something else than was archived');
  }
  return segment;
}

/** Where a file of the log lies in an archive, by the name the server gives it; undefined: not a name of the log. */
export function locateLogFile(folder: string, name: string): string | undefined {
  const [, timeline, kind] =
    /^([0-9A-F]{8})(?:[0-9A-F]{16}(\.partial|\.[0-9A-F]{8}\.backup)?|(\.history))$/.exec(name) ?? [];
  if (timeline === undefined) return undefined;
  if (name.endsWith('.history')) return join(folder, 'log', name);
  const ending = kind === undefined || kind === '.partial' ? '.zst' : '';
  return join(folder, 'log', timeline, `${name}${ending}`);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function damaged(where: string, what: string, cause?: unknown): ClonaError {
  return new ClonaError('archiveDamaged', `${where} ${what}`, {
    cause,
    hint: 'the mirror may hold a whole copy',
    details: { file: where },
  });
}

/** When the newest segment of the highest timeline came into an archive; null: it holds no log. LIVE need not be there. */
export async function readNewestArchivedAt(folder: string): Promise<string | null> {
  const log = join(folder, 'log');
  const list = async (path: string): Promise<string[]> =>
    (await readdir(path).catch((): string[] => [])).sort().toReversed();
  for (const timeline of (await list(log)).filter((name) => /^[0-9A-F]{8}$/.test(name))) {
    const segments = (await list(join(log, timeline))).filter((name) => /^[0-9A-F]{24}\.zst$/.test(name));
    for (const name of segments) {
      const trailer = await readLogTrailer(join(log, timeline, name)).catch(() => null);
      if (trailer !== null) return trailer.archivedAt;
    }
  }
  return null;
}
