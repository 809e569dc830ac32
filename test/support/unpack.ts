import { mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import type { ArchiveFile, Frame } from '../../src/archive/format.ts';
import { decodeTarHeader, paddedBytes, tarBlockBytes } from '../../src/archive/tar-header.ts';

/** Unpacks an archive frame by frame, the last one first: each frame must serve without those before it. */
export async function unpackFrames(folder: string, archive: ArchiveFile, target: string): Promise<void> {
  const packed = await readFile(join(folder, archive.name));
  await mkdir(target, { recursive: true, mode: 0o700 });
  for (const frame of archive.frames.toReversed()) {
    const raw = zstdDecompressSync(
      packed.subarray(frame.compressedOffset, frame.compressedOffset + frame.compressedBytes),
    );
    if (raw.length !== frame.rawBytes)
      throw new Error(`a frame has ${raw.length} bytes, not ${frame.rawBytes}`);
    await unpackFrame(raw, frame.inside, target);
  }
}

async function unpackFrame(raw: Buffer, inside: Frame['inside'], target: string): Promise<void> {
  let at = 0;
  if (inside !== null) at += await put(raw, 0, inside.path, inside.fileOffset, inside.fileBytes, target);
  while (at < raw.length) {
    const header = raw.subarray(at, at + tarBlockBytes);
    const member = decodeTarHeader(header, 'frame');
    at += tarBlockBytes;
    if (member === undefined) continue;
    if (member.type === 'folder') await mkdir(join(target, member.path), { recursive: true, mode: 0o700 });
    else if (member.type === 'link') {
      const to = header.subarray(157, 257).toString('utf8').replace(/\0.*$/s, '');
      await symlink(to, join(target, member.path));
    } else at += await put(raw, at, member.path, 0, member.sizeBytes, target);
  }
}

async function put(
  raw: Buffer,
  at: number,
  path: string,
  offset: number,
  size: number,
  target: string,
): Promise<number> {
  const to = join(target, path);
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await writeFile(to, '', { flag: 'a', mode: 0o600 });
  const count = Math.min(size - offset, raw.length - at);
  const handle = await open(to, 'r+');
  await handle.write(raw, at, count, offset);
  await handle.close();
  return Math.min(paddedBytes(size) - offset, raw.length - at);
}
