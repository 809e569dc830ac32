import { ClonaError, toClonaError } from '../../errors.ts';
import type { Backup, Catalog } from '../../recovery/catalog.ts';
import type { DatabaseAddress } from '../database.ts';
import { buildCatalog } from './catalog.ts';
import { connectOracle } from './connect.ts';
import { warnOfLeftBackupMode } from './cure-left.ts';
import { withKeptLogs, withoutKeptLogs } from './kept-logs.ts';
import { holdMemory, readMemory, writeMemory, type OracleMemory } from './memory.ts';
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
  const { remembered, damage } = await recall(places, signal);
  let live: { memory: OracleMemory; warnings: string[] };
  try {
    live = await readLive(address, places, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (remembered === undefined || !(error instanceof ClonaError) || error.exitCode !== 6) throw error;
    return fromMemory(remembered, `production does not answer (${error.message})`, damage);
  }
  const { memory } = live;
  const warnings = [...damage, ...live.warnings];
  if (remembered === undefined) return { ...memory, warnings };
  refuseForeign(remembered, memory);
  const { catalog, forgotten, warnings: doubts } = mergeRemembered(memory.catalog, remembered.catalog);
  const facts = mergeFacts(memory.facts, remembered.facts);
  return {
    catalog: withKeptLogs(catalog, Object.values(facts.keptLogs ?? {})),
    facts,
    readAt: memory.readAt,
    warnings: [...warnings, ...doubts, ...warnForgotten(forgotten)],
  };
}

/**
 * Writes it where the archive and its mirror are, so that nothing is forgotten that the control file forgets. Another run may have
 * written meanwhile: what it added (a backup, a grade) is merged in, and of two readings the later one counts.
 */
export async function rememberOracle(
  { catalog, facts }: OracleCatalog,
  places: OraclePlaces,
  readAt: string,
): Promise<void> {
  await changeMemory(places, (now) => {
    const given: OracleMemory = { catalog: withoutKeptLogs(catalog), facts, readAt };
    if (now === undefined) return given;
    refuseForeign(now, given);
    const [later, earlier] = now.readAt > readAt ? [now, given] : [given, now];
    const merged = mergeRemembered(later.catalog, earlier.catalog).catalog;
    return {
      catalog: { ...merged, backups: withGradesOf(merged.backups, now.catalog.backups) },
      facts: mergeFacts(later.facts, earlier.facts),
      readAt: later.readAt,
    };
  });
}

/** A grade is only ever given to what is remembered, so what is remembered now has the newest. */
function withGradesOf(backups: readonly Backup[], now: readonly Backup[]): Backup[] {
  const grades = new Map(now.map(({ label, grade }) => [label, grade]));
  return backups.map((backup) => ({ ...backup, grade: grades.get(backup.label) ?? backup.grade }));
}

/** One writer at a time, in this process or another: what is remembered is read again, changed and written as one. */
async function changeMemory(
  places: OraclePlaces,
  change: (now: OracleMemory | undefined) => OracleMemory,
  signal = new AbortController().signal,
): Promise<void> {
  const { archiveDir, mirrorDir } = places;
  const folders = mirrorDir === undefined ? [archiveDir] : [archiveDir, mirrorDir];
  await holdMemory(archiveDir, signal, async () => {
    const { remembered } = await recall(places, signal);
    await writeMemory(folders, { ...change(remembered), revision: (remembered?.revision ?? 0) + 1 });
  });
}

/** Pieces and control files that the server has forgotten are still in their places. */
function mergeFacts(later: RestoreFacts, earlier: RestoreFacts): RestoreFacts {
  const [oldest] = later.controlFiles;
  const forgotten = earlier.controlFiles.filter(
    ({ checkpoint, handle }) =>
      (oldest === undefined || BigInt(checkpoint) < BigInt(oldest.checkpoint)) &&
      !later.controlFiles.some((one) => one.handle === handle),
  );
  return {
    ...later,
    controlFiles: [...forgotten, ...later.controlFiles],
    pieces: { ...earlier.pieces, ...later.pieces },
    copies: { ...earlier.copies, ...later.copies },
    keptLogs: { ...earlier.keptLogs, ...later.keptLogs },
  };
}

/** By the archive's folder alone: for the day when production is gone. */
export async function recallOracle(
  places: OraclePlaces,
  signal: AbortSignal,
): Promise<OracleCatalog | undefined> {
  const { remembered, damage } = await recall(places, signal);
  return remembered === undefined ? undefined : fromMemory(remembered, 'production is not asked', damage);
}

function fromMemory(
  { catalog, facts, readAt }: OracleMemory,
  why: string,
  damage: readonly string[],
): OracleCatalog {
  // What was the end of the online log then is not its end now.
  const whole = withKeptLogs(catalog, Object.values(facts.keptLogs ?? {}));
  return { catalog: whole, facts, warnings: [...damage, `${why}: this is what was remembered at ${readAt}`] };
}

/** The newer of archive and mirror; a broken one is no hindrance while the other one can be read, and is said. */
async function recall(
  { archiveDir, mirrorDir }: OraclePlaces,
  signal: AbortSignal,
): Promise<{ remembered: OracleMemory | undefined; damage: string[] }> {
  const found: OracleMemory[] = [];
  const damage: string[] = [];
  let failure: ClonaError | undefined;
  for (const folder of mirrorDir === undefined ? [archiveDir] : [archiveDir, mirrorDir]) {
    try {
      const memory = await readMemory(folder, signal);
      if (memory !== undefined) found.push(memory);
    } catch (error) {
      signal.throwIfAborted();
      failure = toClonaError(error);
      damage.push(`${failure.message}: what the other place holds is used, and written there again`);
    }
  }
  if (found.length === 0 && failure !== undefined) throw failure;
  const [remembered] = found.sort((a, b) => (isLater(a, b) ? -1 : 1));
  return { remembered, damage };
}

/** Both places are written one after the other: a crash in between leaves one a revision behind. */
function isLater(a: OracleMemory, b: OracleMemory): boolean {
  const [first, second] = [a.revision ?? 0, b.revision ?? 0];
  return first === second ? a.readAt > b.readAt : first > second;
}

async function readLive(
  address: DatabaseAddress,
  { archiveDir }: OraclePlaces,
  signal: AbortSignal,
): Promise<{ memory: OracleMemory; warnings: string[] }> {
  await using session = await connectOracle(address, signal, { module: 'clona catalog' });
  const { rows, warnings } = await readControlFile(session);
  const built = buildCatalog(rows, address.oracle?.timeZone);
  const facts = readRestoreFacts(rows, built);
  const readAt = new Date(built.clock.nowMs).toISOString();
  const left = await warnOfLeftBackupMode(rows, archiveDir);
  return {
    memory: { catalog: built.catalog, facts, readAt },
    warnings: [...(left === null ? [] : [left]), ...warnings, ...built.warnings],
  };
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
  await changeMemory(places, (now) => addBackup(now, places, backup, pieces), signal);
}

function addBackup(
  now: OracleMemory | undefined,
  places: OraclePlaces,
  backup: Backup,
  pieces: readonly string[],
): OracleMemory {
  if (now === undefined) throw nothingYet(places);
  const { catalog, facts } = now;
  const isKnown = catalog.backups.some(({ label }) => label === backup.label);
  const backups = isKnown
    ? catalog.backups.map((one) => (one.label === backup.label ? backup : one))
    : [...catalog.backups, backup];
  const known = { ...facts, pieces: { ...facts.pieces, [backup.label]: [...pieces] } };
  return { ...now, catalog: { ...catalog, backups }, facts: known };
}

/** Adds to what a restore needs beside the catalog: logs that are kept, copies with their checksums. */
export async function rememberFacts(
  places: OraclePlaces,
  { keptLogs, copies }: Pick<RestoreFacts, 'keptLogs' | 'copies'>,
): Promise<void> {
  await changeMemory(places, (now) => {
    if (now === undefined) throw nothingYet(places);
    const facts = {
      ...now.facts,
      keptLogs: { ...now.facts.keptLogs, ...keptLogs },
      copies: { ...now.facts.copies, ...copies },
    };
    return { ...now, facts };
  });
}

function nothingYet({ archiveDir }: OraclePlaces): ClonaError {
  return new ClonaError('archiveAbsent', `nothing is remembered in ${archiveDir} yet`, {
    hint: 'clona catalog first',
  });
}

/** A grade that a proof gave (R15), remembered beside the control file, which knows no grades. */
export async function rememberGrade(
  places: OraclePlaces,
  label: string,
  grade: number | null,
  signal: AbortSignal,
): Promise<void> {
  await changeMemory(
    places,
    (now) => {
      const backup = now?.catalog.backups.find((one) => one.label === label);
      if (now === undefined || backup === undefined) {
        throw new ClonaError('archiveAbsent', `no backup ${label} is remembered in ${places.archiveDir}`);
      }
      return addBackup(now, places, { ...backup, grade }, now.facts.pieces[label] ?? []);
    },
    signal,
  );
}
