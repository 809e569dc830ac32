import { currentIncarnation } from './physical/database.ts';
import { stampOf } from './physical/stamps.ts';
import type { RedoThread } from './physical/types.ts';
import { fromControl, type Rows } from './view-rows.ts';

/** V$DATABASE and what belongs to the database as a whole. */
export const databaseViews: Record<string, Rows> = {
  V$DATABASE: fromControl((control, time, instance) => {
    const { settings, status } = instance;
    const incarnation = currentIncarnation(control);
    const parent = control.incarnations.find(({ number }) => number === incarnation.parent);
    return [
      {
        DBID: control.dbid,
        NAME: control.name,
        CREATED: time(control.createdAt),
        'RESETLOGS_CHANGE#': incarnation.resetlogsScn,
        RESETLOGS_TIME: time(incarnation.resetlogsAt),
        'PRIOR_RESETLOGS_CHANGE#': parent?.resetlogsScn ?? 0,
        PRIOR_RESETLOGS_TIME: parent === undefined ? null : time(parent.resetlogsAt),
        LOG_MODE: control.logMode,
        'CHECKPOINT_CHANGE#': control.checkpointScn,
        CONTROLFILE_TYPE: control.type,
        'CONTROLFILE_SEQUENCE#': control.sequence,
        'CONTROLFILE_CHANGE#': control.checkpointScn,
        CONTROLFILE_TIME: time(control.checkpointAt),
        OPEN_RESETLOGS:
          control.type === 'BACKUP' || control.recoveredTo !== null ? 'REQUIRED' : 'NOT ALLOWED',
        OPEN_MODE: status === 'OPEN' ? 'READ WRITE' : 'MOUNTED',
        DATABASE_ROLE: 'PRIMARY',
        FORCE_LOGGING: 'NO',
        PLATFORM_ID: 13,
        PLATFORM_NAME: 'Linux x86 64-bit',
        'RECOVERY_TARGET_INCARNATION#': control.current,
        'LAST_OPEN_INCARNATION#': control.current,
        CURRENT_SCN: status === 'OPEN' ? control.scn : 0,
        FLASHBACK_ON: flashback(
          control.flashbackOn,
          control.restorePoints.some(({ guaranteed }) => guaranteed),
        ),
        DB_UNIQUE_NAME: instance.database?.parameters.get('db_unique_name') ?? settings.uniqueName,
        CDB: settings.cdb || control.pdbs !== undefined ? 'YES' : 'NO',
        CON_ID: 0,
        CON_DBID: control.dbid,
      },
    ];
  }),
  V$DATABASE_INCARNATION: fromControl(({ incarnations }, time) =>
    incarnations.map(({ number, resetlogsScn, resetlogsAt, parent, status }) => {
      const prior = incarnations.find((one) => one.number === parent);
      return {
        'INCARNATION#': number,
        'RESETLOGS_CHANGE#': resetlogsScn,
        RESETLOGS_TIME: time(resetlogsAt),
        'PRIOR_RESETLOGS_CHANGE#': prior?.resetlogsScn ?? 0,
        PRIOR_RESETLOGS_TIME: prior === undefined ? null : time(prior.resetlogsAt),
        STATUS: status,
        RESETLOGS_ID: stampOf(resetlogsAt),
        'PRIOR_INCARNATION#': parent ?? 0,
        FLASHBACK_DATABASE_ALLOWED: 'NO',
        CON_ID: 0,
      };
    }),
  ),
  V$RESTORE_POINT: fromControl(({ restorePoints }, time) =>
    restorePoints.map(({ name, scn, at, incarnation, guaranteed }) => ({
      SCN: scn,
      'DATABASE_INCARNATION#': incarnation,
      GUARANTEE_FLASHBACK_DATABASE: guaranteed ? 'YES' : 'NO',
      STORAGE_SIZE: guaranteed ? 52_428_800 : 0,
      TIME: `${time(at)}.000000000`,
      PRESERVED: guaranteed ? 'YES' : 'NO',
      NAME: name,
      PDB_RESTORE_POINT: 'NO',
      CON_ID: 0,
    })),
  ),
  V$THREAD: fromControl(
    ({ groups, threads, checkpointScn, checkpointAt, scn }, time, { database, settings, status }) =>
      lastOfEach(threads).map(({ thread, enabledFrom, disabledFrom }) => {
        const disabled = threads.findLast((one) => one.thread === thread && one.disabledFrom !== null);
        const own = groups.filter((group) => group.thread === thread);
        const current = own.find((group) => group.status === 'CURRENT');
        return {
          'THREAD#': thread,
          STATUS: status === 'OPEN' && disabledFrom === null ? 'OPEN' : 'CLOSED',
          ENABLED: disabledFrom === null ? 'PUBLIC' : 'DISABLED',
          GROUPS: own.length,
          INSTANCE: settings.instanceName,
          'CURRENT_GROUP#': current?.group ?? null,
          'SEQUENCE#': current?.sequence ?? null,
          'CHECKPOINT_CHANGE#': checkpointScn,
          CHECKPOINT_TIME: time(checkpointAt),
          'LAST_REDO_SEQUENCE#': current?.sequence ?? null,
          'LAST_REDO_CHANGE#': disabledFrom ?? scn,
          LAST_REDO_TIME: time(database?.now() ?? 0),
          'ENABLE_CHANGE#': enabledFrom,
          'DISABLE_CHANGE#': disabled?.disabledFrom ?? 0,
          CON_ID: 0,
        };
      }),
  ),
  V$BLOCK_CHANGE_TRACKING: fromControl(() => [{ STATUS: 'DISABLED', CON_ID: 0 }]),
};

/** A thread that was enabled again stands there twice: what it is now counts. */
function lastOfEach(threads: readonly RedoThread[]): RedoThread[] {
  return [...new Map(threads.map((one) => [one.thread, one])).values()];
}

function flashback(on: boolean, guaranteed: boolean): string {
  return on ? 'YES' : guaranteed ? 'RESTORE POINT ONLY' : 'NO';
}
