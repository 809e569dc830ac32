import { stat } from 'node:fs/promises';
import { errorCode } from '../../../archive/durable-file.ts';
import type { Backup } from '../../../recovery/catalog.ts';
import { withKeptLogs, withoutKeptLogs, type KeptLog } from '../kept-logs.ts';
import type { OracleCatalog } from '../site-catalog.ts';
import { describeFound, type FoundArchives } from './found.ts';
import { scanArchiveFolder } from './scan.ts';

/**
 * Looks into the archive folders (as this host sees them) and adds what the control file does not list: hot and cold copies,
 * exports, logs beside them. What was found there once and is gone is missing from now on. What is no archive is told.
 */
export async function addFoundArchives(
  oracle: OracleCatalog,
  folders: readonly string[],
  signal: AbortSignal,
): Promise<OracleCatalog & { passedOver: FoundArchives['passedOver'] }> {
  const sets = [];
  const warnings = [...oracle.warnings];
  const seen: string[] = [];
  for (const folder of new Set(folders)) {
    try {
      const here = await scanArchiveFolder(folder, signal);
      // One that is empty may be the mount point of a disk that is away: nothing in it is taken for lost.
      if (here.length > 0) seen.push(folder);
      sets.push(...here);
    } catch (error) {
      signal.throwIfAborted();
      if (errorCode(error) === undefined) throw error;
      warnings.push(
        `the archive folder ${folder} cannot be read: ${error instanceof Error ? error.message : ''}`,
      );
    }
  }
  const gone = await findGone(oracle, seen);
  const left = oracle.catalog.backups.map((backup): Backup =>
    gone.has(backup.label) ? { ...backup, state: 'missing' } : backup,
  );
  const known = { ...oracle.catalog, backups: left.filter(({ state }) => state !== 'missing') };
  const looked = { ...oracle.facts, keptLogs: await lookForLogs(oracle.facts.keptLogs ?? {}) };
  const found = describeFound(sets, known, oracle.facts);
  const { catalog, facts } = merge(
    { ...oracle, facts: looked, catalog: { ...oracle.catalog, backups: left } },
    found,
  );
  for (const { name, reasons } of found.passedOver.slice(0, 10)) {
    warnings.push(`${name} is passed over: ${reasons.join('; ')}`);
  }
  if (found.passedOver.length > 10)
    warnings.push(`${found.passedOver.length - 10} more files are passed over`);
  return { ...oracle, catalog, facts, warnings, passedOver: found.passedOver };
}

function merge(
  { catalog, facts }: OracleCatalog,
  found: FoundArchives,
): Pick<OracleCatalog, 'catalog' | 'facts'> {
  const old = new Map(catalog.backups.map((backup) => [backup.label, backup]));
  const pieces = { ...facts.pieces };
  const copies = { ...facts.copies };
  const backups = new Map(old);
  for (const { backup, pieces: own, copies: copied } of found.backups) {
    const grade = Math.max(old.get(backup.label)?.grade ?? 0, backup.grade ?? 0);
    backups.set(backup.label, { ...backup, grade });
    pieces[backup.label] = own;
    if (copied !== undefined) copies[backup.label] = copied;
  }
  const keptLogs = { ...facts.keptLogs };
  for (const log of found.logs) keptLogs[log.path] = log;
  return {
    catalog: withKeptLogs(
      withoutKeptLogs({ ...catalog, backups: [...backups.values()] }),
      Object.values(keptLogs),
    ),
    facts: { ...facts, pieces, copies, keptLogs },
  };
}

/** Kept logs of which neither the file nor its mirror is there any more. */
async function lookForLogs(kept: Readonly<Record<string, KeptLog>>): Promise<Record<string, KeptLog>> {
  const now: Record<string, KeptLog> = {};
  for (const [path, log] of Object.entries(kept)) {
    const isHere = (await isThere(path)) || (log.mirror !== undefined && (await isThere(log.mirror)));
    now[path] = { ...log, state: isHere ? 'available' : 'missing' };
  }
  return now;
}

/** What cannot be looked at is taken for there. */
async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => errorCode(error) !== 'ENOENT',
  );
}

/** Copies and exports of which a file lay in one of these folders and is there no more. */
async function findGone({ catalog, facts }: OracleCatalog, folders: readonly string[]): Promise<Set<string>> {
  const gone = new Set<string>();
  for (const { label, kind } of catalog.backups) {
    const isOurs = kind === 'export' || kind === 'hot' || kind === 'quiesced';
    if (!isOurs && facts.copies?.[label] === undefined) continue;
    for (const path of facts.pieces[label] ?? []) {
      if (!folders.some((folder) => path.startsWith(folder))) continue;
      if (!(await isThere(path))) gone.add(label);
    }
  }
  return gone;
}
