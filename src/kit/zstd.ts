import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createZstdDecompress } from 'node:zlib';

/** Frames that hold no data (RFC 8878, 3.1.2): the lower four bits are free. */
const skippableMagic = 0x184d2a50;

/**
 * Decodes a file of one zstd frame or many: parallel compressors write many, and node:zlib stops after the first.
 * A cut frame is an error of zlib.
 */
export async function* readZstd(file: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  const head = Buffer.alloc(8);
  for (let offset = 0; offset < size;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(head, 0, head.length, offset);
    if (bytesRead === head.length && (head.readUInt32LE(0) & 0xffff_fff0) >>> 0 === skippableMagic) {
      offset += head.length + head.readUInt32LE(4);
      continue;
    }
    const source = createReadStream(file, { start: offset, signal });
    const decoder = createZstdDecompress();
    source.once('error', (error) => decoder.destroy(error));
    source.pipe(decoder);
    for await (const chunk of decoder) yield chunk as Buffer; // no encoding was set
    source.destroy();
    // What the frame took of its input; the next one begins there.
    if (decoder.bytesWritten === 0) throw new Error('a zstd frame is empty');
    offset += decoder.bytesWritten;
  }
}
