import { readFile } from 'node:fs/promises';
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

/** The catalog of `--catalog FILE`. */
export async function readCatalogFile(options: OptionValues, signal: AbortSignal): Promise<Catalog> {
  return parseCatalog(await readInputFile(requireOption(options, 'catalog', 'FILE'), signal));
}

export function requireOption(options: OptionValues, name: string, what: string): string {
  const value = options[name];
  if (typeof value !== 'string' || value === '') {
    throw new ClonaError('usage', `--${name} ${what} is missing`);
  }
  return value;
}
