import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { connect } from '../../databases/postgres/connect.ts';
import { ClonaError } from '../../errors.ts';
import { withProgress } from '../../progress.ts';
import type { Site } from '../../site/site.ts';
import type { Step } from '../operations.ts';
import type { MachineAccess } from './access.ts';

/** The site's masking, each file in one transaction; which text ran is evidence (R23). It may be repeated. */
export async function maskMachine(
  site: Site,
  machine: MachineAccess,
  step: Step,
): Promise<{ maskedAt: string | null; files: string[] }> {
  const files: string[] = [];
  for (const path of site.staging.masking) {
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new ClonaError('fileUnreadable', `the masking file ${path} cannot be read`, { cause });
    });
    const hash = createHash('sha256').update(text).digest('hex');
    await withProgress(step.onProgress, `mask: ${basename(path)}`, async () => {
      await using session = await connect(machine.address, step.signal, { applicationName: 'clona masking' });
      await session.query(text);
    });
    files.push(`${basename(path)} sha256:${hash}`);
  }
  return { maskedAt: files.length === 0 ? null : new Date().toISOString(), files };
}
