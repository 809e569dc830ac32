import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import type { Catalog } from '../recovery/catalog.ts';
import { parseCatalog } from '../recovery/parse-catalog.ts';
import type { OptionValues } from './verb.ts';

/** The text of a file named on the command line; `fileUnreadable` (exit 2) when it cannot be read. */
export async function readInputFile(path: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(path, { encoding: 'utf8', signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new ClonaError('fileUnreadable', `cannot read ${path}`, { cause });
  }
}

/** From this size on a catalog is read in pieces: its text and its raw records never exist as a whole. */
const largeBytes = 16 * 2 ** 20;

/** The catalog of `--catalog FILE`. */
export async function readCatalogFile(options: OptionValues, signal: AbortSignal): Promise<Catalog> {
  const path = requireOption(options, 'catalog', 'FILE');
  const large = await isLargeFile(path);
  const catalog = large ? await streamCatalog(path, signal) : null;
  return catalog ?? parseCatalog(await readInputFile(path, signal));
}

/** A pipe cannot be read twice, so it does not count as large. */
async function isLargeFile(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    return found.isFile() && found.size >= largeBytes;
  } catch {
    return false; // reading it will say why
  }
}

/** null: something is wrong with it; reading it as a whole will name the place. */
async function streamCatalog(path: string, signal: AbortSignal): Promise<Catalog | null> {
  const { startCatalogStream } = await import('../recovery/catalog-stream.ts');
  const stream = startCatalogStream();
  try {
    const chunks = createReadStream(path, { encoding: 'utf8', highWaterMark: 2 ** 20, signal });
    for await (const chunk of chunks) stream.push(chunk as string); // the encoding makes it text
    return stream.end();
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

export function requireOption(options: OptionValues, name: string, what: string): string {
  const value = options[name];
  if (typeof value !== 'string' || value === '') {
    throw new ClonaError('usage', `--${name} ${what} is missing`);
  }
  return value;
}
