import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { open, type Entry, type ZipFile } from 'yauzl';
import { ClonaError } from '../errors.ts';
import type { KitLimits } from './limits.ts';
import { tooLarge, tooMany } from './tree.ts';
import type { TreeWriter } from './writer.ts';

/** "Made by" systems whose upper half of the attributes is a Unix mode: 3 Unix, 19 macOS. */
const unixMakers: readonly number[] = [3, 19];
const typeMask = 0o170000;
const typeFile = 0o100000;
const typeFolder = 0o040000;
const typeLink = 0o120000;
const longestLinkBytes = 4096;

export async function unpackZip(file: string, writer: TreeWriter, limits: KitLimits): Promise<void> {
  const zip = await openZip(file);
  try {
    if (zip.entryCount > limits.entries * 2) throw tooMany(limits);
    for await (const entry of readEntries(zip)) await addZipEntry(zip, entry, writer, limits);
  } finally {
    zip.close();
  }
}

async function openZip(file: string): Promise<ZipFile> {
  return new Promise((resolve, reject) => {
    // strictFileNames: a backslash is refused (by our own check), not taken for a separator.
    const options = { lazyEntries: true, autoClose: false, strictFileNames: true };
    open(file, options, (error, zip) => (error ? reject(error) : resolve(zip)));
  });
}

async function* readEntries(zip: ZipFile): AsyncGenerator<Entry> {
  for (;;) {
    const entry = await new Promise<Entry | null>((resolve, reject) => {
      const settle = (result: Entry | null, error?: Error): void => {
        zip.removeAllListeners('entry').removeAllListeners('end').removeAllListeners('error');
        if (error === undefined) resolve(result);
        else reject(error);
      };
      zip.once('entry', (next: Entry) => settle(next));
      zip.once('end', () => settle(null));
      zip.once('error', (error: Error) => settle(null, error));
      zip.readEntry();
    });
    if (entry === null) return;
    yield entry;
  }
}

async function addZipEntry(zip: ZipFile, entry: Entry, writer: TreeWriter, limits: KitLimits): Promise<void> {
  const name = readName(entry);
  if (entry.isEncrypted()) throw new ClonaError('kitInvalid', `the kit's archive holds "${name}" encrypted`);
  const hasMode = unixMakers.includes(entry.versionMadeBy >> 8);
  const mode = hasMode ? entry.externalFileAttributes >>> 16 : 0;
  const type = mode & typeMask;
  if (name.endsWith('/') || type === typeFolder) {
    writer.addFolder(name);
    return;
  }
  // What the header says is only a first, cheap check: the writer counts the bytes that come.
  if (entry.uncompressedSize > limits.unpackedBytes) throw tooLarge(limits);
  if (type === typeLink) {
    if (entry.uncompressedSize > longestLinkBytes)
      throw new ClonaError('kitInvalid', `the link "${name}" is too long`);
    writer.addLink(name, await readText(await openEntry(zip, entry)));
  } else if (type === typeFile || type === 0) {
    await writer.addFile(name, mode, await openEntry(zip, entry));
  } else {
    throw new ClonaError(
      'kitInvalid',
      `the kit's archive holds "${name}", which is neither file, folder nor link`,
    );
  }
}

const utf8Flag = 0x0800;
const unicodePathField = 0x7075;

/**
 * A zip made on Unix under a locale without UTF-8 holds the name's bytes and does not say what they are; by the
 * letter of the format they would be code page 437. Unix tools take them as they are, and so do we.
 */
function readName(entry: Entry): string {
  const said = (entry.generalPurposeBitFlag & utf8Flag) !== 0;
  const unix = unixMakers.includes(entry.versionMadeBy >> 8);
  if (said || !unix || entry.extraFields.some(({ id }) => id === unicodePathField)) return entry.fileName;
  return entry.fileNameRaw.toString('utf8');
}

async function openEntry(zip: ZipFile, entry: Entry): Promise<Readable> {
  const stream = await new Promise<Readable>((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream)));
  });
  return Readable.from(checkCrc(stream, entry));
}

/** yauzl checks sizes, not checksums: a flipped bit in a stored entry would pass. */
async function* checkCrc(source: AsyncIterable<Buffer>, entry: Entry): AsyncGenerator<Buffer> {
  let sum = 0;
  for await (const chunk of source) {
    sum = crc32(chunk, sum);
    yield chunk;
  }
  if (sum !== entry.crc32) throw new Error(`the checksum of "${entry.fileName}" does not match`);
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer); // no encoding was set
  return Buffer.concat(chunks).toString('utf8');
}
