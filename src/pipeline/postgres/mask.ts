import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { maskDatabase, type MaskingFile, type MaskReport } from '../../databases/postgres/masking.ts';
import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import type { Step } from '../operations.ts';
import type { MachineAccess } from '../machine/access.ts';

/** The site's masking, all of it or nothing; which text ran on how many rows is evidence (R23). It may be repeated. */
export async function maskMachine(site: Site, machine: MachineAccess, step: Step): Promise<MaskReport> {
  const files: MaskingFile[] = [];
  for (const path of site.staging.masking) {
    const sql = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new ClonaError('fileUnreadable', `the masking file ${path} cannot be read`, { cause });
    });
    files.push({ name: basename(path), sql });
  }
  const { signal, onProgress } = step;
  return maskDatabase({ address: machine.address, files, now: () => new Date(), signal, onProgress });
}
