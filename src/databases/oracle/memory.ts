import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../archive/durable-file.ts';
import { ClonaError } from '../../errors.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import { catalogToJson } from '../../recovery/catalog-json.ts';
import { parseCatalog } from '../../recovery/parse-catalog.ts';
import type { RestoreFacts } from './restore-facts.ts';

/** In the folder of the archive: a catalog file (docs/catalog.md) with what a restore needs beside it. */
export const memoryName = 'oracle-catalog.json';

export interface OracleMemory {
  catalog: Catalog;
  /** When the control file was read. */
  readAt: string;
  facts: RestoreFacts;
}

/** What was remembered in a folder; undefined: nothing yet. Throws `archiveDamaged` when it cannot be read. */
export async function readMemory(folder: string, signal: AbortSignal): Promise<OracleMemory | undefined> {
  const path = join(folder, memoryName);
  const text = await readFile(path, { encoding: 'utf8', signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new ClonaError('archiveMissing', `cannot read ${path}`, { cause: error });
  });
  if (text === undefined) return undefined;
  try {
    const { oracle } = JSON.parse(text) as { oracle?: { readAt: string; facts: RestoreFacts } };
    if (oracle === undefined) throw new Error('it has no part "oracle"');
    return { catalog: parseCatalog(text), ...oracle };
  } catch (cause) {
    throw new ClonaError('archiveDamaged', `${path} is no catalog that clona wrote`, {
      cause,
      hint: 'take it from the mirror, or remove it: the control file alone then says what there is',
    });
  }
}

/** Into every folder, each whole or as it was. */
export async function writeMemory(folders: readonly string[], memory: OracleMemory): Promise<void> {
  const { catalog, readAt, facts } = memory;
  const text = `${JSON.stringify({ ...catalogToJson(catalog), oracle: { readAt, facts } })}\n`;
  for (const folder of folders) await writeDurably(join(folder, memoryName), text);
}
