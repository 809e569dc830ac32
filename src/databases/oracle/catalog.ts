import type { Backup, Catalog, ChangeWithoutRedo } from '../../recovery/catalog.ts';
import { checkCatalog } from '../../recovery/check-catalog.ts';
import { asPosition, lower, type Position } from '../../recovery/position.ts';
import { ClonaError } from '../../errors.ts';
import { putTogether, type BackupEntry, type KnownFiles } from './backups.ts';
import { readServerClock, type ServerClock } from './clock.ts';
import type { ControlFileRows } from './control-file.ts';
import { fileKey, readBackupSets, readFileBackups, statesOf, type BackupSet } from './file-backups.ts';
import { readIdleThreads } from './idle-threads.ts';
import { ownerOnPath, readIncarnations, type IncarnationTree } from './incarnations.ts';
import { readLogs, readOnlineLogs } from './logs.ts';
import { markOwnLogs } from './own-log.ts';
import { readScn, readScnOrNull } from './values.ts';

export interface ControlFileCatalog {
  catalog: Catalog;
  /** What each backup of the catalog is read from, by label. */
  entries: ReadonlyMap<string, BackupEntry>;
  sets: ReadonlyMap<string, BackupSet>;
  clock: ServerClock;
  /** What a reader must know beside the catalog: one sentence each. */
  warnings: string[];
}

/**
 * The control file as a catalog: the pure half of `readControlFile`. `timeZone`: the IANA zone of the server's host, when
 * the site names it. Throws `catalogInvalid` when the records contradict each other.
 */
export function buildCatalog(rows: ControlFileRows, timeZone?: string): ControlFileCatalog {
  const [database] = rows.database;
  const [clockRow] = rows.clock;
  if (database === undefined || clockRow === undefined || clockRow.local === null || clockRow.utc === null) {
    throw new ClonaError('databaseFailed', 'the database does not show its control file', {
      hint: 'it must be mounted or open: V$DATABASE is empty before',
    });
  }
  refuseContainer(database, clockRow);
  const clock = readServerClock({ local: clockRow.local, utc: clockRow.utc, zone: clockRow.zone }, timeZone);
  const tree = readIncarnations(rows, clock);
  const sets = readBackupSets(rows, clock);
  const { logs, warnings } = readLogs({ rows, tree, clock, sets: statesOf(sets) });
  const online = readOnlineLogs({ rows, tree, clock });
  const { entries, warnings: partial } = putTogether(
    readFileBackups(rows, tree, clock, sets),
    listFiles(rows),
    tree,
  );
  const backups = entries.map(({ backup }) => backup);
  markOwnLogs(backups, logs, logs.slice(logs.length - rows.backupLogs.length), rows, sets);
  const catalog: Catalog = {
    engine: 'oracle',
    database: database.name ?? '',
    currentIncarnation: tree.current,
    incarnations: tree.incarnations.sort((a, b) => a.id - b.id),
    backups: [...backups, ...readClaims(rows, tree, clock)],
    logs,
    onlineLogs: online.onlineLogs,
  };
  const idle = readIdleThreads(rows, tree);
  if (idle.length > 0) catalog.idleThreads = idle;
  const unrecoverable = readUnrecoverable(rows, tree);
  if (unrecoverable.length > 0) catalog.changesWithoutRedo = unrecoverable;
  checkCatalog(catalog);
  return {
    catalog,
    entries: new Map(entries.map((entry) => [entry.backup.label, entry])),
    sets,
    clock,
    warnings: [
      ...warnOfClock(clock),
      ...tree.warnings,
      ...warnings,
      ...online.warnings,
      ...partial,
      ...warnOfMode(rows),
      ...warnOfPluggables(rows),
    ],
  };
}

/** Inside of a pluggable database the views show its own files only, and nothing of the log that all share. */
function refuseContainer(
  { cdb, uniqueName }: ControlFileRows['database'][number],
  { container, containerName }: ControlFileRows['clock'][number],
): void {
  if (cdb !== 'YES' || container === null || container === '1' || container === '0') return;
  const into = containerName === null ? 'a pluggable database' : `the pluggable database ${containerName}`;
  throw new ClonaError('siteInvalid', `the address leads into ${into}, not to the root of its container`, {
    hint: `database.name is to be the service of the container database, by default ${uniqueName ?? 'its DB_UNIQUE_NAME'}: backup and restore are of the whole; the restore of one pluggable database alone is not done by clona`,
  });
}

/**
 * A pluggable database that was taken back by itself (PDB point-in-time recovery, FLASHBACK PLUGGABLE DATABASE) has a history of its
 * own: between its two SCNs the whole holds what it held before. Redo and backups are of the whole, so nothing is out of reach.
 */
function warnOfPluggables({ pluggables, pluggableIncarnations }: ControlFileRows): string[] {
  const names = new Map(pluggables.map(({ id, name }) => [id, name ?? '']));
  return pluggableIncarnations
    .filter(({ number, begin, end }) => Number(number ?? 0) > 0 && begin !== end)
    .map(
      ({ container, begin, end }) =>
        `pluggable database ${names.get(container) ?? container ?? '?'} was taken back to ${begin ?? '?'} by itself when the whole stood at ${end ?? '?'}: a target between them holds what it held before that`,
    );
}

function listFiles({ datafiles }: ControlFileRows): KnownFiles {
  return datafiles.map((row) => ({
    file: fileKey(row),
    creation: readScn(row.creation, 'V$DATAFILE.CREATION_CHANGE#'),
    name: row.name ?? `file ${row.file ?? '?'}`,
  }));
}

function warnOfClock({ doubtful, said }: ServerClock): string[] {
  if (!doubtful) return [];
  return [
    `times are read with the server's offset of today (${said}): where its clocks are changed twice a year, name the zone as database.timeZone`,
  ];
}

function warnOfMode({ database }: ControlFileRows): string[] {
  const [row] = database;
  const warnings: string[] = [];
  if (row?.logMode === 'NOARCHIVELOG') {
    warnings.push(
      'the database is in NOARCHIVELOG mode: every backup ends where it was taken, nothing can be rolled forward',
    );
  }
  if (row?.role !== undefined && row.role !== null && row.role !== 'PRIMARY') {
    warnings.push(
      `this server is a ${row.role}: production itself is another one, and its control file decides`,
    );
  }
  return warnings;
}

/**
 * What needs the log beside the backups (R11): files that are in backup mode now, guaranteed restore points, standbys and
 * capture processes. Each stands in the catalog as a backup that is still running: it serves nothing and holds the mark.
 */
function readClaims(rows: ControlFileRows, tree: IncarnationTree, clock: ServerClock): Backup[] {
  const claims: Backup[] = [];
  const claim = (label: string, kind: Backup['kind'], start: Position, startedAt: string | null): void => {
    const rest = {
      startedAt,
      finishedAt: null,
      device: null,
      ownLog: false,
      grade: null,
      pinned: false,
      bytes: null,
    };
    const incarnation = ownerOnPath(tree.incarnations, tree.current, start);
    claims.push({ label, incarnation, kind, start, consistentFrom: null, state: 'available', ...rest });
  };
  const active = rows.backupMode.filter(({ status }) => status === 'ACTIVE');
  if (active.length > 0) {
    const changes = active.map(({ change }) => readScn(change, 'V$BACKUP.CHANGE#'));
    const times = active.flatMap(({ time }) => clock.toInstant(time) ?? []).sort();
    claim('hot backup in progress', 'hot', changes.reduce(lower), times[0] ?? null);
  }
  for (const { name, scn, guaranteed } of rows.restorePoints) {
    if (guaranteed !== 'YES') continue;
    claim(`restore point ${name ?? ''}`, 'managed', readScn(scn, 'V$RESTORE_POINT.SCN'), null);
  }
  for (const { id, target, status, applied } of rows.destinations) {
    const scn = readScnOrNull(applied);
    if (target !== 'STANDBY' || status === 'INACTIVE' || scn === null || scn === 0n) continue;
    claim(`standby at destination ${id ?? ''}`, 'managed', scn, null);
  }
  const capture = readScnOrNull(rows.database[0]?.captureFrom ?? null);
  if (capture !== null && capture > 0n) claim('capture process', 'managed', capture, null);
  return claims;
}

/** The last NOLOGGING change of each file; earlier ones the control file does not tell. */
function readUnrecoverable({ datafiles }: ControlFileRows, tree: IncarnationTree): ChangeWithoutRedo[] {
  return datafiles.flatMap(({ unrecoverable, file, name }): ChangeWithoutRedo[] => {
    const position = readScnOrNull(unrecoverable);
    if (position === null || position === asPosition(0n)) return [];
    const incarnation = ownerOnPath(tree.incarnations, tree.current, position);
    return [{ incarnation, position, object: `datafile ${file ?? '?'} (${name ?? ''})`, how: 'NOLOGGING' }];
  });
}
