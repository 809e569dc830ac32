import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import { checkLinks } from './links.ts';
import { defaultKitLimits, type KitLimits } from './limits.ts';
import type { TreeEntry } from './tree-entry.ts';
import { checkEntryPath, compareUtf8 } from './paths.ts';
import type { EntryMode } from './tree-entry.ts';

export interface Tree {
  directory: string;
  /** In byte order of their paths. */
  entries: TreeEntry[];
  totalBytes: number;
  warnings: string[];
}

/** Reads a kit's folder without following a link; refuses what a kit may not hold (`kitInvalid`). */
export async function readTree(
  directory: string,
  signal: AbortSignal,
  limits: KitLimits = defaultKitLimits,
): Promise<Tree> {
  const entries: TreeEntry[] = [];
  const folders: string[] = [''];
  while (folders.length > 0) {
    const folder = folders.pop()!;
    for (const path of await listFolder(directory, folder, limits)) {
      signal.throwIfAborted();
      const entry = await readEntry(directory, path);
      if (entry === 'folder') folders.push(path);
      else entries.push(entry);
      if (entries.length + folders.length > limits.entries) throw tooMany(limits);
    }
  }
  return finishTree(directory, entries, limits);
}

async function listFolder(directory: string, folder: string, limits: KitLimits): Promise<string[]> {
  let names: Buffer[];
  try {
    names = await readdir(join(directory, folder), { encoding: 'buffer' });
  } catch (cause) {
    throw new ClonaError('kitInvalid', `cannot read the kit's folder ${join(directory, folder)}`, { cause });
  }
  const decoder = new TextDecoder('utf-8', { fatal: false });
  return names.map((name) =>
    checkEntryPath(folder === '' ? decoder.decode(name) : `${folder}/${decoder.decode(name)}`, limits.depth),
  );
}

async function readEntry(directory: string, path: string): Promise<TreeEntry | 'folder'> {
  const full = join(directory, path);
  const stats = await lstat(full);
  if (stats.isDirectory()) return 'folder';
  if (stats.isSymbolicLink()) {
    const link = await readlink(full);
    return { path, mode: '120000', sizeBytes: Buffer.byteLength(link), link };
  }
  if (!stats.isFile()) {
    throw new ClonaError(
      'kitInvalid',
      `the kit holds "${path}", which is neither a file, a folder nor a link`,
    );
  }
  return { path, mode: fileMode(stats.mode), sizeBytes: stats.size };
}

export function fileMode(mode: number): EntryMode {
  return (mode & 0o100) === 0 ? '100644' : '100755';
}

/** Sorts and checks what was read; shared by folders and archives, so that both refuse the same. */
export function finishTree(directory: string, entries: TreeEntry[], limits: KitLimits): Tree {
  entries.sort((left, right) => compareUtf8(left.path, right.path));
  const totalBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  if (entries.length > limits.entries) throw tooMany(limits);
  if (totalBytes > limits.unpackedBytes) throw tooLarge(limits);
  if (entries.length === 0) throw new ClonaError('kitInvalid', 'the kit is empty');
  checkLinks(entries);
  return { directory, entries, totalBytes, warnings: nameWarnings(entries) };
}

export function tooMany(limits: KitLimits): ClonaError {
  return new ClonaError('kitInvalid', `the kit holds more than ${limits.entries} files`);
}

export function tooLarge(limits: KitLimits): ClonaError {
  return new ClonaError('kitInvalid', `the kit is larger than ${limits.unpackedBytes} bytes when unpacked`);
}

/** Names that are two files here and one file on Windows or macOS. */
function nameWarnings(entries: readonly TreeEntry[]): string[] {
  const warnings: string[] = [];
  const seen = new Map<string, string>();
  const reported = new Set<string>();
  for (const { path } of entries) {
    if (path.normalize('NFC') !== path)
      warnings.push(`"${path}" is not in Unicode form NFC: macOS may rename it`);
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count += 1) {
      const prefix = parts.slice(0, count).join('/');
      const folded = prefix.normalize('NFC').toLowerCase();
      const other = seen.get(folded);
      if (other === undefined) seen.set(folded, prefix);
      else if (other !== prefix && !reported.has(folded)) {
        reported.add(folded);
        warnings.push(`"${other}" and "${prefix}" are one name where case does not count`);
      }
    }
  }
  return warnings;
}
