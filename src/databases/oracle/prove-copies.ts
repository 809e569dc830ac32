import type { Catalog } from '../../recovery/catalog.ts';
import { ClonaError } from '../../errors.ts';
import { hashFile, hashPacked } from './keep-logs.ts';
import { findIncarnation, type KeptLog } from './kept-logs.ts';
import { findGapAfter, type OracleProof } from './prove.ts';
import type { RestoreFacts } from './restore-facts.ts';

/**
 * Grades 1 and 2 of copies of clona's own (R15): every file and every kept log up to its consistent position still has the checksum that was
 * taken when it was made, and the log goes on from there to the newest without a gap. Read on this host, which sees the archive. Throws
 * `usage` for copies that others made: nobody took their checksums.
 */
export async function proveCopies(
  catalog: Catalog,
  facts: RestoreFacts,
  label: string,
  signal: AbortSignal,
): Promise<OracleProof> {
  const files = facts.copies?.[label]?.files ?? [];
  const backup = catalog.backups.find((one) => one.label === label);
  if (backup === undefined || files.length === 0 || files.some(({ sha256 }) => sha256 === undefined)) {
    throw new ClonaError('usage', `nobody took the checksums of ${label}`, {
      hint: 'it is proven by restoring it: clona restore --until backup:LABEL',
    });
  }
  const reasons: string[] = [];
  for (const { path, sha256 } of files) {
    const found = await hashFile(path, signal).catch(() => null);
    signal.throwIfAborted();
    if (found !== sha256)
      reasons.push(`${path} ${found === null ? 'cannot be read' : 'has another checksum'}`);
  }
  for (const log of logsOf(backup, catalog, facts)) {
    if (!(await isWholeLog(log, signal))) reasons.push(`${log.path} is not the log that was kept`);
  }
  if (reasons.length > 0) return { label, grade: 0, passed: false, reasons, log: '' };
  const gap = findGapAfter(catalog, label);
  return { label, grade: gap === null ? 2 : 1, passed: true, reasons: gap === null ? [] : [gap], log: '' };
}

/** What was kept of the log between start and consistentFrom. */
function logsOf(
  { incarnation, start, consistentFrom }: Catalog['backups'][number],
  catalog: Catalog,
  { keptLogs = {} }: RestoreFacts,
): KeptLog[] {
  if (start === null || consistentFrom === null) return [];
  return Object.values(keptLogs).filter(
    ({ branch, first, next, path }) =>
      path.endsWith('.zst') &&
      findIncarnation(branch, catalog) === incarnation &&
      BigInt(first) < consistentFrom &&
      BigInt(next) > start,
  );
}

async function isWholeLog({ path, mirror, sha256 }: KeptLog, signal: AbortSignal): Promise<boolean> {
  for (const place of mirror === undefined ? [path] : [path, mirror]) {
    const found = await hashPacked(place, signal).catch(() => null);
    signal.throwIfAborted();
    if (found !== null && found === sha256) return true;
  }
  return false;
}
