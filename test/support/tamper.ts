import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { BackupHeader } from '../../src/archive/format.ts';

/**
 * Changes one byte of a file inside a backup so that every frame is still whole and of the same length: only the manifest
 * tells. The file must be large enough to have a frame of its own. Returns the file's path.
 */
export async function tamperWithFile(backupDir: string, header: BackupHeader): Promise<string> {
  const [archive] = header.archives;
  const frame = archive?.frames.find(({ inside }) => inside !== null);
  const inside = frame?.inside ?? null;
  if (archive === undefined || frame === undefined || inside === null)
    throw new Error('no file of several frames');
  const file = await open(join(backupDir, archive.name), 'r+');
  try {
    const packed = Buffer.alloc(frame.compressedBytes);
    await file.read(packed, 0, packed.length, frame.compressedOffset);
    const raw = zstdDecompressSync(packed);
    raw[100]! ^= 1;
    const again = [6, 9, 12, 15, 19]
      .values()
      .map((level) => packAt(level, raw))
      .find((found) => found.length + 8 <= packed.length);
    if (again === undefined) throw new Error('packed anew it is longer');
    // A skippable frame (RFC 8878, 3.1.2) fills up to the old length.
    const rest = Buffer.alloc(packed.length - again.length);
    rest.writeUInt32LE(0x184d2a50, 0);
    rest.writeUInt32LE(rest.length - 8, 4);
    await file.write(Buffer.concat([again, rest]), 0, packed.length, frame.compressedOffset);
  } finally {
    await file.close();
  }
  return inside.path;
}

function packAt(level: number, raw: Buffer): Buffer {
  return zstdCompressSync(raw, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: raw.length,
  });
}
