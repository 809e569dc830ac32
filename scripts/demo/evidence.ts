import { join } from 'node:path';
import { readLines, writeExport } from '../../src/control/ledger-export.ts';
import { readPinnedKey } from '../../src/control/ledger-keys.ts';
import { verifyExport } from '../../src/control/ledger-verify.ts';
import type { Context } from '../../src/pipeline/context.ts';
import type { Site } from '../../src/site/site.ts';

/** What `clona evidence export` and `clona evidence verify --key` do. */
export async function exportAndVerify(
  context: Context,
  site: Site,
  file: string,
  signal: AbortSignal,
): Promise<{ file: string; records: number; verified: boolean }> {
  const head = await context.ledger.head();
  const records = await context.ledger.list();
  await writeExport(file, records, head, signal);
  const pinnedKey = await readPinnedKey(join(site.control.directory, 'keys', 'ledger.pub'));
  const result = await verifyExport(readLines(file, signal), { pinnedKey });
  return { file, records: records.length, verified: result.ok };
}
