import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import type { Instance } from './instance.ts';
import { mounted } from './physical/database.ts';
import type { ControlFile } from './physical/types.ts';
import { requirePrivilege, type Action, type Session } from './session.ts';
import { databaseOf } from './startup.ts';
import { fromControl, type Rows } from './view-rows.ts';

/** How a pluggable database is open: of the instance's memory, so that a start finds all of them mounted. */
export interface PluggableState {
  openMode: 'MOUNTED' | 'READ WRITE' | 'READ ONLY';
  restricted: boolean;
}

export const rootName = 'CDB$ROOT';
const seedName = 'PDB$SEED';

/** Containers by number: 1 the root, 2 the seed, then those that the control file knows. */
export function listPluggables({ pdbs }: ControlFile): { id: number; name: string }[] {
  return pdbs === undefined ? [] : [seedName, ...pdbs].map((name, index) => ({ id: index + 2, name }));
}

export function stateOf(instance: Instance, name: string): PluggableState {
  if (name === seedName && instance.status === 'OPEN') return { openMode: 'READ ONLY', restricted: false };
  return instance.pluggables.get(name) ?? { openMode: 'MOUNTED', restricted: false };
}

/** SYS_CONTEXT('USERENV', 'CON_ID'); 0 where there are no containers. */
export function containerId({ database, settings }: Instance, name: string): number {
  const control = database?.control ?? null;
  const found = control === null ? undefined : listPluggables(control).find((one) => one.name === name);
  return found?.id ?? (settings.cdb || control?.pdbs !== undefined ? 1 : 0);
}

export const pluggableViews: Record<string, Rows> = {
  V$PDBS: fromControl((control, _, instance) =>
    listPluggables(control).map(({ id, name }) => {
      const { openMode, restricted } = stateOf(instance, name);
      return {
        CON_ID: id,
        DBID: control.dbid + BigInt(id),
        NAME: name,
        OPEN_MODE: openMode,
        RESTRICTED: openMode === 'MOUNTED' ? null : restricted ? 'YES' : 'NO',
        CREATE_SCN: control.incarnations[0]?.resetlogsScn ?? 0,
        TOTAL_SIZE: 0,
        BLOCK_SIZE: 8192,
        RECOVERY_STATUS: 'ENABLED',
      };
    }),
  ),
  V$PDB_INCARNATION: fromControl((control, time) =>
    listPluggables(control).flatMap(({ id }) =>
      control.incarnations.map(({ number, parent, status, resetlogsScn, resetlogsAt }) => ({
        'DB_INCARNATION#': number,
        'PDB_INCARNATION#': 0,
        STATUS: status,
        INCARNATION_SCN: resetlogsScn,
        INCARNATION_TIME: time(resetlogsAt),
        BEGIN_RESETLOGS_SCN: resetlogsScn,
        BEGIN_RESETLOGS_TIME: time(resetlogsAt),
        END_RESETLOGS_SCN: resetlogsScn,
        END_RESETLOGS_TIME: time(resetlogsAt),
        'PRIOR_DB_INCARNATION#': parent ?? 0,
        'PRIOR_PDB_INCARNATION#': 0,
        FLASHBACK_DATABASE_ALLOWED: 'NO',
        CON_ID: id,
      })),
    ),
  ),
};

/** ALTER PLUGGABLE DATABASE ALL | name OPEN [READ WRITE] [RESTRICTED] [FORCE] | CLOSE [IMMEDIATE]. */
export function parseAlterPluggable(cursor: TokenCursor, { instance, user }: Session): Action {
  requirePrivilege(user, 'SYSDBA');
  const { at } = cursor.token;
  const name = cursor.accept('ALL') ? null : cursor.name();
  const opens = cursor.accept('OPEN');
  if (!opens) cursor.expect('CLOSE', 922, 'missing or invalid option');
  const words = new Set<string>();
  while (cursor.token.kind === 'word') words.add(cursor.next().text);
  return () => {
    const control = mounted(databaseOf(instance));
    if (control.pdbs === undefined)
      throw new OraError(65090, 'operation only allowed in a container database', at);
    if (instance.status !== 'OPEN') throw new OraError(1109, 'database not open');
    if (name !== null && !control.pdbs.includes(name))
      throw new OraError(65011, `Pluggable database ${name} does not exist.`, at);
    for (const one of name === null ? control.pdbs : [name]) {
      const isOpen = stateOf(instance, one).openMode !== 'MOUNTED';
      if (isOpen === opens && !words.has('FORCE')) {
        if (name === null) continue;
        throw opens
          ? new OraError(65019, `pluggable database ${one} already open`)
          : new OraError(65020, `pluggable database ${one} already closed`);
      }
      const openMode = opens ? 'READ WRITE' : 'MOUNTED';
      instance.pluggables.set(one, { openMode, restricted: opens && words.has('RESTRICTED') });
    }
  };
}

/** ALTER SESSION SET CONTAINER = name. */
export function requireContainer(instance: Instance, name: string): void {
  const control = instance.database?.control ?? null;
  if (control?.pdbs === undefined)
    throw new OraError(65090, 'operation only allowed in a container database');
  if (name !== rootName && !listPluggables(control).some((one) => one.name === name))
    throw new OraError(65011, `Pluggable database ${name} does not exist.`);
}

/** ENABLE_PLUGGABLE_DATABASE must say what the control file is (ORA-65101 and 65093). */
export function requireContainerMode({ database }: Instance): void {
  const enabled = database?.parameters.get('enable_pluggable_database')?.toUpperCase() === 'TRUE';
  const isContainer = database?.control?.pdbs !== undefined;
  if (isContainer && !enabled) throw new OraError(65101, 'container database set up incorrectly');
  if (!isContainer && enabled)
    throw new OraError(65093, 'multitenant container database not set up properly');
}

/** Restricted session of the container the session is in. */
export function setRestricted(instance: Instance, container: string, restricted: boolean): void {
  if (container === rootName) instance.restricted = restricted;
  else instance.pluggables.set(container, { ...stateOf(instance, container), restricted });
}
