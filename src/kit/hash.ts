import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import { readTree, type Tree } from './tree.ts';
import type { TreeEntry } from './tree-entry.ts';

/** The detached signature signs the hash, so it cannot be part of it: the only file of a kit that is left out. */
export const signatureFile = 'kit.sig';

/** Begins every hashed text, so that the hash of a kit is never the hash of something else. */
const preamble = 'clona-kit-1\n';

export interface KitHash {
  /** SHA-256, 64 lower-case hex digits. */
  hash: string;
  files: number;
  bytes: number;
  warnings: string[];
}

/**
 * The hash by which a kit is known (docs/decisions/0060-kit-hash.md): SHA-256 over the preamble and then, for
 * each file and link in byte order of its UTF-8 path, path, mode and content, each preceded by its length in
 * bytes as an unsigned 64-bit big-endian number. Empty folders, times and owners do not count.
 */
export async function hashKit(directory: string, signal: AbortSignal): Promise<KitHash> {
  return hashTree(await readTree(directory, signal), signal);
}

export async function hashTree(tree: Tree, signal: AbortSignal): Promise<KitHash> {
  const hash = createHash('sha256').update(preamble);
  const counted = tree.entries.filter((entry) => entry.path !== signatureFile);
  for (const entry of counted) {
    signal.throwIfAborted();
    addField(hash, Buffer.from(entry.path));
    addField(hash, Buffer.from(entry.mode));
    if (entry.link === undefined) await addFile(hash, tree.directory, entry, signal);
    else addField(hash, Buffer.from(entry.link));
  }
  const bytes = counted.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  return { hash: hash.digest('hex'), files: counted.length, bytes, warnings: tree.warnings };
}

function addLength(hash: Hash, length: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  hash.update(bytes);
}

function addField(hash: Hash, content: Buffer): void {
  addLength(hash, content.length);
  hash.update(content);
}

async function addFile(hash: Hash, directory: string, entry: TreeEntry, signal: AbortSignal): Promise<void> {
  addLength(hash, entry.sizeBytes);
  let read = 0;
  for await (const chunk of createReadStream(join(directory, entry.path), {
    highWaterMark: 2 ** 20,
    signal,
  })) {
    const bytes = chunk as Buffer; // no encoding was asked for
    read += bytes.length;
    hash.update(bytes);
  }
  if (read !== entry.sizeBytes) {
    throw new ClonaError('kitInvalid', `"${entry.path}" changed while the kit was being hashed`, {
      hint: 'hash the kit when nobody writes to it',
    });
  }
}

/** Takes 64 hex digits, also in capitals or after "sha256:"; anything else is a usage error. */
export function parseKitHash(text: string): string {
  const digits = text
    .trim()
    .toLowerCase()
    .replace(/^sha256:/, '');
  if (!/^[0-9a-f]{64}$/.test(digits)) {
    throw new ClonaError('usage', `"${text.slice(0, 80)}" is not the hash of a kit`, {
      hint: 'a kit hash is 64 hex digits, as `clona kit hash` prints it',
    });
  }
  return digits;
}
