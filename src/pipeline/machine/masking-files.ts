import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { MaskingFile } from '../../databases/postgres/masking.ts';
import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';

/** The site's masking SQL (R23), in its order. */
export async function readMaskingFiles(site: Site): Promise<MaskingFile[]> {
  const files: MaskingFile[] = [];
  for (const path of site.staging.masking) {
    const sql = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new ClonaError('fileUnreadable', `the masking file ${path} cannot be read`, { cause });
    });
    files.push({ name: basename(path), sql });
  }
  return files;
}
