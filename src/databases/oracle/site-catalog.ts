import { ClonaError, toClonaError } from '../../errors.ts';
import type { Backup, Catalog } from '../../recovery/catalog.ts';
import type { DatabaseAddress } from '../database.ts';
import { buildCatalog } from './catalog.ts';
import { connectOracle } from './connect.ts';
import { readMemory, writeMemory, type OracleMemory } from './memory.ts';
import { readControlFile } from './read-control-file.ts';
import { mergeRemembered } from './remember.ts';
import { readRestoreFacts, type RestoreFacts } from './restore-facts.ts';

export interface OraclePlaces {
  archiveDir: string;
  mirrorDir?: string | undefined;
}

export interface OracleCatalog {
  catalog: Catalog;
  facts: RestoreFacts;
  /** When the control file was read; undefined: it was not, this is what was remembered. */
  readAt?: string | undefined;
  warnings: string[];
}

/**
 * The catalog of an Oracle database: its control file, with what earlier readings remember. A database that does not answer
 * leaves what is remembered, said as a warning; one that refuses us (password, grant) is an error.
 */
export async function readOracleCatalog(
  address: DatabaseAddress,
  places: OraclePlaces,
  signal: AbortSignal,
): Promise<OracleCatalog> {
  const remembered = await recall(places, signal);
  let live: { memory: OracleMemory; warnings: string[] };
  try {
    live = await readLive(address, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (remembered === undefined || !(error instanceof ClonaError) || error.exitCode !== 6) throw error;
    return fromMemory(remembered, `production does not answer (${error.message})`);
  }
  const { memory, warnings } = live;
  if (remembered === undefined) return { ...memory, warnings };
  refuseForeign(remembered, memory);
  const { catalog, forgotten } = mergeRemembered(memory.catalog, remembered.catalog);
  const facts = { ...memory.facts, pieces: { ...remembered.facts.pieces, ...memory.facts.pieces } };
  return { catalog, facts, readAt: memory.readAt, warnings: [...warnings, ...warnForgotten(forgotten)] };
}

/** Writes it where the archive and its mirror are, so that nothing is forgotten that the control file forgets. */
export async function rememberOracle(
  { catalog, facts }: OracleCatalog,
  { archiveDir, mirrorDir }: OraclePlaces,
  readAt: string,
): Promise<void> {
  const folders = mirrorDir === undefined ? [archiveDir] : [archiveDir, mirrorDir];
  await writeMemory(folders, { catalog, facts, readAt });
}

/** By the archive's folder alone: for the day when production is gone. */
export async function recallOracle(
  places: OraclePlaces,
  signal: AbortSignal,
): Promise<OracleCatalog | undefined> {
  const remembered = await recall(places, signal);
  return remembered === undefined ? undefined : fromMemory(remembered, 'production is not asked');
}

function fromMemory({ catalog, facts, readAt }: OracleMemory, why: string): OracleCatalog {
  // What was the end of the online log then is not its end now.
  return { catalog, facts, warnings: [`${why}: this is what was remembered at ${readAt}`] };
}

/** The newer of archive and mirror; a broken one is no hindrance while the other one can be read. */
async function recall(
  { archiveDir, mirrorDir }: OraclePlaces,
  signal: AbortSignal,
): Promise<OracleMemory | undefined> {
  const found: OracleMemory[] = [];
  let failure: Error | undefined;
  for (const folder of mirrorDir === undefined ? [archiveDir] : [archiveDir, mirrorDir]) {
    try {
      const memory = await readMemory(folder, signal);
      if (memory !== undefined) found.push(memory);
    } catch (error) {
      signal.throwIfAborted();
      failure = toClonaError(error);
    }
  }
  if (found.length === 0 && failure !== undefined) throw failure;
  return found.sort((a, b) => (a.readAt < b.readAt ? 1 : -1))[0];
}

async function readLive(
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<{ memory: OracleMemory; warnings: string[] }> {
  await using session = await connectOracle(address, signal, { module: 'clona catalog' });
  const { rows, warnings } = await readControlFile(session);
  const built = buildCatalog(rows, address.oracle?.timeZone);
  const facts = readRestoreFacts(rows, built);
  const readAt = new Date(built.clock.nowMs).toISOString();
  return { memory: { catalog: built.catalog, facts, readAt }, warnings: [...warnings, ...built.warnings] };
}

function refuseForeign(remembered: OracleMemory, live: OracleMemory): void {
  if (remembered.facts.dbid === live.facts.dbid) return;
  throw new ClonaError(
    'archiveForeign',
    `the server is database ${live.facts.dbid} (${live.facts.name}), the archive is of ${remembered.facts.dbid} (${remembered.facts.name})`,
    { hint: 'name the archive of this database; a clone has a DBID of its own' },
  );
}

function warnForgotten(labels: readonly string[]): string[] {
  if (labels.length === 0) return [];
  const some = labels.slice(0, 3).join(', ');
  const more = labels.length > 3 ? ` and ${labels.length - 3} more` : '';
  return [
    `the control file has forgotten ${some}${more}: raise CONTROL_FILE_RECORD_KEEP_TIME above the days of the policy, and CATALOG the pieces again`,
  ];
}

/**
 * Adds what the control file does not list by itself, a hot backup or an export that clona made or found, to what is
 * remembered. `pieces`: its files, as the machine of the database sees them. The control file must have been remembered before.
 */
export async function rememberBackup(
  places: OraclePlaces,
  backup: Backup,
  pieces: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const remembered = await recall(places, signal);
  if (remembered === undefined) {
    throw new ClonaError('archiveAbsent', `nothing is remembered in ${places.archiveDir} yet`, {
      hint: 'clona catalog first',
    });
  }
  const { catalog, facts, readAt } = remembered;
  const backups = [...catalog.backups.filter(({ label }) => label !== backup.label), backup];
  const known = { ...facts, pieces: { ...facts.pieces, [backup.label]: [...pieces] } };
  await rememberOracle({ catalog: { ...catalog, backups }, facts: known, warnings: [] }, places, readAt);
}

/** A grade that a proof gave (R15), remembered beside the control file, which knows no grades. */
export async function rememberGrade(
  places: OraclePlaces,
  label: string,
  grade: number | null,
  signal: AbortSignal,
): Promise<void> {
  const remembered = await recall(places, signal);
  const backup = remembered?.catalog.backups.find((one) => one.label === label);
  if (remembered === undefined || backup === undefined) {
    throw new ClonaError('archiveAbsent', `no backup ${label} is remembered in ${places.archiveDir}`);
  }
  await rememberBackup(places, { ...backup, grade }, remembered.facts.pieces[label] ?? [], signal);
}
