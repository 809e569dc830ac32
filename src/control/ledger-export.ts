import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { canonicalJson } from './canonical-json.ts';
import { formatHead, type SignedHead } from './ledger-head.ts';
import type { LedgerRecord } from './ledger-record.ts';

/**
 * The form of an export: this line, one line a record, one line with the signed head, each ended by one line feed
 * and in canonical JSON. No byte of the file is outside a hash, a signature or this constant.
 */
export const exportHeader = '{"format":"clona-evidence/1"}';

/** Writes to a new name beside `path`, then renames: a half-written export never has the name of a whole one. */
export async function writeExport(
  path: string,
  records: AsyncIterable<LedgerRecord> | Iterable<LedgerRecord>,
  head: SignedHead,
  signal: AbortSignal,
): Promise<number> {
  const partial = `${path}.partial`;
  let count = 0;
  try {
    await using file = await open(partial, 'w', 0o644);
    await file.write(`${exportHeader}\n`);
    for await (const record of records) {
      signal.throwIfAborted();
      await file.write(`${canonicalJson(record)}\n`);
      count += 1;
    }
    await file.write(`${formatHead(head)}\n`);
    await file.sync();
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return count;
}

const longestLineBytes = 64 * 2 ** 20;

/**
 * The lines of a file as they are, without their line feeds. `null` in place of a line: bytes that are no UTF-8, a
 * last line without its line feed, or one too long to be a record.
 */
export async function* readLines(path: string, signal: AbortSignal): AsyncGenerator<string | null> {
  let rest: Buffer = Buffer.alloc(0);
  // The chunks of a stream without encoding are buffers.
  for await (const chunk of createReadStream(path, { signal }) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10, from)) {
      yield decode(rest.subarray(from, end));
      from = end + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > longestLineBytes) break;
  }
  if (rest.length > 0) yield null;
}

function decode(line: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line);
  } catch {
    return null;
  }
}
