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
const readingOrder: readonly ViewName[] = [
  'clock',
  'onlineLogs',
  'logMembers',
  'threads',
  'database',
  'instance',
  'parameters',
  'incarnations',
  'backupMode',
  'datafiles',
  'datafileHeaders',
  'destinations',
  'recoveryArea',
  'restorePoints',
  'copies',
  'backupSets',
  'backupPieces',
  'backupDatafiles',
  'backupLogs',
  'archivedLogs',
];

/** Reads the views, one statement each, on one connection. A view that may not be seen is named with its grant. */
export async function readControlFile(session: OracleSession): Promise<ControlFileRows> {
  const rows: Partial<Record<ViewName, unknown>> = {};
  for (const name of readingOrder) rows[name] = await readView(session, name);
  return rows as ControlFileRows; // every view is in the order: the test counts them
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
