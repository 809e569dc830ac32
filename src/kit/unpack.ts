import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { ClonaError } from '../errors.ts';
import type { KitLimits } from './limits.ts';
import type { Tree } from './tree.ts';
import { readZstd } from './zstd.ts';
import { unpackZip } from './unpack-zip.ts';
import { TreeWriter } from './writer.ts';

type ArchiveForm = 'zip' | 'tar' | 'tar.gz' | 'tar.zst';

/**
 * Unpacks a kit's archive below `directory`, which is new. The form is told by the file's first bytes, not by
 * its name. Damaged archives, and whatever a folder may not hold either, are refused with `kitInvalid`; what was
 * written by then is the caller's to remove.
 */
export async function unpackArchive(
  file: string,
  directory: string,
  limits: KitLimits,
  signal: AbortSignal,
): Promise<Tree> {
  const form = await detectForm(file);
  const writer = new TreeWriter(directory, limits, signal);
  try {
    if (form === 'zip') await unpackZip(file, writer, limits);
    else await unpackTar(file, form, writer, limits, signal);
  } catch (cause) {
    if (cause instanceof ClonaError || signal.aborted || isSystemError(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ClonaError('kitInvalid', `the kit's archive (${form}) is damaged: ${why}`, {
      cause,
      hint: 'fetch it again, and compare its checksum with the vendor',
    });
  }
  return writer.finish();
}

/** ENOSPC and its like are told as they are; zlib's own codes (Z_…, ZSTD_…) mean damage. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

async function detectForm(file: string): Promise<ArchiveForm> {
  // A pipe would have to be read twice, and may let its reader wait for ever.
  if (!(await stat(file)).isFile()) {
    throw new ClonaError('kitInvalid', `${file} is neither a file nor a folder`, {
      hint: 'write the archive into a file first',
    });
  }
  const head = Buffer.alloc(512);
  await using handle = await open(file, 'r');
  const { bytesRead } = await handle.read(head, 0, head.length, 0);
  const starts = (...bytes: number[]): boolean => bytes.every((byte, index) => head[index] === byte);
  if (starts(0x50, 0x4b, 0x03, 0x04) || starts(0x50, 0x4b, 0x05, 0x06)) return 'zip';
  if (starts(0x1f, 0x8b)) return 'tar.gz';
  // The second is a frame without data, as parallel compressors put before each frame.
  if (starts(0x28, 0xb5, 0x2f, 0xfd) || ((head[0] ?? 0) >> 4 === 5 && head.readUIntLE(1, 3) === 0x184d2a))
    return 'tar.zst';
  if (bytesRead === 512 && head.subarray(257, 262).toString('latin1') === 'ustar') return 'tar';
  throw new ClonaError('kitInvalid', `${file} is no archive that clona knows`, {
    hint: 'a kit is a folder, or a zip, tar, tar.gz or tar.zst',
  });
}

async function unpackTar(
  file: string,
  form: Exclude<ArchiveForm, 'zip'>,
  writer: TreeWriter,
  limits: KitLimits,
  signal: AbortSignal,
): Promise<void> {
  const parser = extract();
  const check = checkTarStream(limits);
  const feeding =
    form === 'tar.gz'
      ? pipeline(createReadStream(file), createGunzip(), check, parser, { signal })
      : pipeline(form === 'tar' ? createReadStream(file) : readZstd(file, signal), check, parser, { signal });
  const reading = (async () => {
    for await (const entry of parser) {
      // tar-stream hands on the chunks that it is fed, and those are Buffers; its types do not say so.
      await addTarEntry(entry.header, entry as unknown as AsyncIterable<Buffer>, writer);
    }
  })();
  // The one that fails first takes the other with it; both are waited for, so that nothing runs on.
  const [read, fed] = await Promise.allSettled([reading, feeding]);
  const failures = [read, fed]
    .filter((result) => result.status === 'rejected')
    .map(({ reason }) => reason as unknown);
  const telling = failures.find((reason) => reason instanceof ClonaError) ?? failures.at(-1);
  if (failures.length > 0) throw telling;
}

const tarBlockBytes = 512;

/**
 * Headers and padding cost too: a tar of a million empty entries is a bomb without a byte of content. And a tar
 * that was cut between two entries reads like a whole one: only its closing zero blocks tell them apart (POSIX
 * pax, "ustar Interchange Format").
 */
function checkTarStream(limits: KitLimits): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  const most = limits.unpackedBytes + limits.entries * 4096;
  return async function* (source) {
    let bytes = 0;
    let tail: Buffer = Buffer.alloc(0);
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > most)
        throw new ClonaError('kitInvalid', `the kit's archive unpacks to more than ${most} bytes`);
      tail = Buffer.concat([tail, chunk.subarray(-2 * tarBlockBytes)]).subarray(-2 * tarBlockBytes);
      yield chunk;
    }
    if (tail.length < 2 * tarBlockBytes || tail.some((byte) => byte !== 0)) {
      throw new Error('it ends before its closing blocks');
    }
  };
}

async function addTarEntry(
  header: Header,
  content: AsyncIterable<Buffer>,
  writer: TreeWriter,
): Promise<void> {
  const { name, type, mode, linkname, pax } = header;
  // Without its holes such a file would silently be another one.
  const isSparse =
    typeof pax === 'object' && pax !== null && Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'));
  if (isSparse)
    throw new ClonaError('kitInvalid', `the kit's archive holds "${name}" as a sparse file`, {
      hint: 'pack it without --sparse',
    });
  if (type === 'file' || type === 'contiguous-file') {
    await writer.addFile(name, mode, content);
    return;
  }
  await drain(content);
  if (type === 'directory') writer.addFolder(name);
  else if (type === 'symlink') writer.addLink(name, linkname);
  else if (type === 'link') await writer.addCopy(name, linkname, (path) => createReadStream(path));
  else
    throw new ClonaError(
      'kitInvalid',
      `the kit's archive holds "${name}", a ${type ?? 'kind of entry that clona does not know'}`,
    );
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _chunk of stream) {
    // Entries that are no files have no content of interest.
  }
}
