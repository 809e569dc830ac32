import { maskDatabase, type MaskReport } from '../../databases/postgres/masking.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import { readMaskingFiles } from '../machine/masking-files.ts';
import type { Step } from '../operations.ts';

/** The site's masking, all of it or nothing; which text ran on how many rows is evidence (R23). It may be repeated. */
export async function maskMachine(site: Site, machine: MachineAccess, step: Step): Promise<MaskReport> {
  const files = await readMaskingFiles(site);
  const { signal, onProgress } = step;
  return maskDatabase({ address: machine.address, files, now: () => new Date(), signal, onProgress });
}
