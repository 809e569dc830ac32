import { join } from 'node:path';
import { archiveError, errorCode, writeDurably } from '../../archive/durable-file.ts';
import { largestDocumentBytes, readRegular } from '../../archive/regular-file.ts';
import { ClonaError } from '../../errors.ts';
import { withFileLock } from '../../machines/local/lock.ts';
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
  /** Counts the writings. */
  revision?: number | undefined;
}

/** What was remembered in a folder; undefined: nothing yet. Throws `archiveDamaged` when it cannot be read. */
export async function readMemory(folder: string, signal: AbortSignal): Promise<OracleMemory | undefined> {
  const path = join(folder, memoryName);
  const content = await readRegular(path, { maxBytes: largestDocumentBytes, signal }).catch(
    (error: unknown) => {
      signal.throwIfAborted();
      // Where the folder itself is none, whoever looks for an archive says so.
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      throw archiveError(error, path);
    },
  );
  if (content === undefined) return undefined;
  const text = content.toString('utf8');
  try {
    const { oracle } = JSON.parse(text) as { oracle?: Omit<OracleMemory, 'catalog'> };
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
  const { catalog, ...oracle } = memory;
  const text = `${JSON.stringify({ ...catalogToJson(catalog), oracle })}\n`;
  for (const folder of folders) await writeDurably(join(folder, memoryName), text);
}

/** Runs `work` while nobody else changes what is remembered. Throws `locked` when another run holds it for two minutes. */
export async function holdMemory<Result>(
  folder: string,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  const path = join(folder, `.${memoryName}.lock`);
  try {
    return await withFileLock(path, signal, work);
  } catch (error) {
    signal.throwIfAborted();
    throw archiveError(error, path);
  }
}
