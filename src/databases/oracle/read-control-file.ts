import { ClonaError } from '../../errors.ts';
import {
  controlFileViews,
  selectView,
  type ControlFileRows,
  type RowOf,
  type ViewName,
} from './control-file.ts';
import type { OracleSession } from './connect.ts';

/**
 * The order matters: the online log first and the archived log last, so that a log that is switched and archived in
 * between is seen twice rather than not at all.
 */
export const viewsInOrder: readonly ViewName[] = [
  'clock',
  'onlineLogs',
  'logMembers',
  'threads',
  'database',
  'instance',
  'versions',
  'languages',
  'parameters',
  'incarnations',
  'backupMode',
  'datafiles',
  'datafileHeaders',
  'destinations',
  'recoveryArea',
  'areaUsage',
  'restorePoints',
  'pluggables',
  'pluggableIncarnations',
  'copies',
  'backupSets',
  'backupPieces',
  'backupDatafiles',
  'backupLogs',
  'archivedLogs',
];

/** Without these there is no catalog; without the others it is poorer, and never richer than the truth. */
const essential: ReadonlySet<ViewName> = new Set([
  'clock',
  'database',
  'incarnations',
  'onlineLogs',
  'archivedLogs',
  'backupSets',
  'backupPieces',
  'backupDatafiles',
  'datafiles',
]);

/** What is not known when a view may not be read. */
const lacks: Partial<Record<ViewName, string>> = {
  backupLogs: 'logs inside of backup sets count as missing',
  backupMode: 'files in backup mode hold no low water mark',
  copies: 'copies of datafiles are left out',
  destinations: 'standbys hold no low water mark',
  pluggables: 'the pluggable databases are not known by name',
  pluggableIncarnations: 'what a pluggable database was taken back to by itself is not known',
  restorePoints: 'guaranteed restore points hold no low water mark',
  threads: 'after a crash the end of the online log is not known exactly',
};

/** Only a container database has them; V$PDB_INCARNATION is not there before 12.2. */
const isForContainers: ReadonlySet<ViewName> = new Set(['pluggables', 'pluggableIncarnations']);

function hasContainers(rows: Partial<Record<ViewName, unknown>>): boolean {
  const [database] = (rows.database ?? []) as RowOf<'database'>[];
  const [instance] = (rows.instance ?? []) as RowOf<'instance'>[];
  return database?.cdb === 'YES' && !/^12\.1\b/.test(instance?.version ?? '');
}

export interface ControlFileReading {
  rows: ControlFileRows;
  /** Views that may not be read, beside the ones that a catalog cannot do without. */
  denied: string[];
  warnings: string[];
}

/** Reads the views, one statement each, on one connection. A view that may not be seen is named with its grant. */
export async function readControlFile(session: OracleSession): Promise<ControlFileReading> {
  const rows: Partial<Record<ViewName, unknown>> = {};
  const denied: string[] = [];
  const warnings: string[] = [];
  for (const name of viewsInOrder) {
    if (isForContainers.has(name) && !hasContainers(rows)) {
      rows[name] = [];
      continue;
    }
    try {
      rows[name] = await readView(session, name);
    } catch (error) {
      const isDenied = error instanceof ClonaError && error.kind === 'databasePrivilege';
      if (!isDenied || essential.has(name)) throw error;
      rows[name] = [];
      denied.push(controlFileViews[name].from);
      const lack = lacks[name];
      if (lack !== undefined) warnings.push(`${error.message}: ${lack} (${error.hint ?? ''})`);
    }
  }
  return { rows: rows as ControlFileRows, denied, warnings }; // every view is in the order: the test counts them
}

export async function readView<Name extends ViewName>(
  session: OracleSession,
  name: Name,
): Promise<RowOf<Name>[]> {
  const { from, columns } = controlFileViews[name];
  const names = Object.keys(columns);
  const found = await session.query(selectView(name), {}, `reading ${from}`).catch((error: unknown) => {
    throw explainDenied(error, from);
  });
  return found.map((values) => {
    const row: Record<string, string | null> = {};
    for (let index = 0; index < names.length; index += 1) row[names[index]!] = values[index] ?? null; // below the length
    return row as RowOf<Name>;
  });
}

/** ORA-00942 says "does not exist" for what one may not see. The base view of V$X is V_$X, and that one is granted. */
function explainDenied(error: unknown, view: string): unknown {
  if (!(error instanceof ClonaError) || error.kind !== 'databasePrivilege') return error;
  return new ClonaError('databasePrivilege', `${view} may not be read`, {
    cause: error,
    hint: `GRANT SELECT ON ${grantedName(view)} TO the user of clona, or GRANT SELECT_CATALOG_ROLE (docs/how-to/oracle.md)`,
    details: { ...error.details, view },
  });
}

export function grantedName(view: string): string {
  return view.startsWith('V$') ? `SYS.V_${view.slice(1)}` : `SYS.${view}`;
}
