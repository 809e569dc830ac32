import type { Given } from '../sql/fixtures.ts';
import { stampOf } from './physical/stamps.ts';
import type { BackedUpFile, BackupSet } from './physical/types.ts';
import { fromControl, type Rows } from './view-rows.ts';

function backedUp(file: BackedUpFile, time: (at: number) => string): Given {
  return {
    'FILE#': file.file,
    'CREATION_CHANGE#': file.creationScn,
    'RESETLOGS_CHANGE#': file.resetlogsScn,
    RESETLOGS_TIME: time(file.resetlogsAt),
    INCREMENTAL_LEVEL: file.level,
    'CHECKPOINT_CHANGE#': file.checkpointScn,
    CHECKPOINT_TIME: time(file.checkpointAt),
    'ABSOLUTE_FUZZY_CHANGE#': file.absoluteFuzzyScn,
    MARKED_CORRUPT: file.corrupt,
    MEDIA_CORRUPT: 0,
    LOGICALLY_CORRUPT: 0,
    BLOCKS: file.pages,
    BLOCK_SIZE: 8192,
    CON_ID: 0,
  };
}

const keys = ({ recid, stamp, count }: BackupSet): Given => ({
  RECID: recid,
  STAMP: stamp,
  SET_STAMP: stamp,
  SET_COUNT: count,
});

/** What RMAN keeps in the control file. */
export const backupViews: Record<string, Rows> = {
  V$ARCHIVED_LOG: fromControl(({ archived }, time) =>
    archived.flatMap((log) =>
      [{ destination: 1, name: log.name }, ...(log.copies ?? [])].map((copy) => ({
        RECID: log.recid,
        STAMP: stampOf(log.completedAt),
        NAME: log.deleted ? null : copy.name,
        DEST_ID: copy.destination,
        'THREAD#': log.thread,
        'SEQUENCE#': log.sequence,
        'RESETLOGS_CHANGE#': log.resetlogsScn,
        RESETLOGS_TIME: time(log.resetlogsAt),
        RESETLOGS_ID: stampOf(log.resetlogsAt),
        'FIRST_CHANGE#': log.firstScn,
        FIRST_TIME: time(log.firstAt),
        'NEXT_CHANGE#': log.nextScn,
        NEXT_TIME: time(log.nextAt),
        BLOCKS: Math.ceil(log.bytes / 512),
        BLOCK_SIZE: 512,
        CREATOR: 'ARCH',
        REGISTRAR: 'ARCH',
        STANDBY_DEST: 'NO',
        ARCHIVED: 'YES',
        APPLIED: 'NO',
        DELETED: log.deleted ? 'YES' : 'NO',
        STATUS: log.status,
        COMPLETION_TIME: time(log.completedAt),
        BACKUP_COUNT: log.backups,
        IS_RECOVERY_DEST_FILE: 'YES',
        CON_ID: 0,
      })),
    ),
  ),
  V$DATABASE_BLOCK_CORRUPTION: ({ database }) =>
    Array.from(database?.corrupt ?? [], ([file, blocks]) => ({
      'FILE#': file,
      'BLOCK#': 128,
      BLOCKS: blocks,
      'CORRUPTION_CHANGE#': 0,
      CORRUPTION_TYPE: 'CHECKSUM',
      CON_ID: 0,
    })),
  V$BACKUP_SET: fromControl(({ sets }, time) =>
    sets.map((set) => ({
      ...keys(set),
      BACKUP_TYPE: set.type,
      CONTROLFILE_INCLUDED: set.controlFile ? 'YES' : 'NO',
      INCREMENTAL_LEVEL: set.level,
      PIECES: 1,
      START_TIME: time(set.startedAt),
      COMPLETION_TIME: time(set.completedAt),
      ELAPSED_SECONDS: Math.trunc((set.completedAt - set.startedAt) / 1000),
      BLOCK_SIZE: 8192,
      KEEP: set.keepUntil === null ? 'NO' : 'YES',
      KEEP_UNTIL: set.keepUntil === null ? null : time(set.keepUntil),
      CON_ID: 0,
    })),
  ),
  V$BACKUP_PIECE: fromControl(({ sets }, time) =>
    sets.map((set) => ({
      ...keys(set),
      'PIECE#': 1,
      'COPY#': 1,
      DEVICE_TYPE: 'DISK',
      HANDLE: set.status === 'D' ? null : set.handle,
      TAG: set.tag,
      STATUS: set.status,
      START_TIME: time(set.startedAt),
      COMPLETION_TIME: time(set.completedAt),
      DELETED: set.status === 'D' ? 'YES' : 'NO',
      BYTES: set.bytes,
      RMAN_STATUS_RECID: set.recid,
      RMAN_STATUS_STAMP: set.stamp,
      COMPRESSED: 'NO',
      ENCRYPTED: 'NO',
      CON_ID: 0,
    })),
  ),
  V$BACKUP_DATAFILE: fromControl(({ sets }, time) =>
    sets.flatMap((set) =>
      set.files.map((file) => ({
        ...keys(set),
        ...backedUp(file, time),
        'INCREMENTAL_CHANGE#': file.incrementalFrom,
        COMPLETION_TIME: time(set.completedAt),
      })),
    ),
  ),
  V$BACKUP_REDOLOG: fromControl(({ sets }, time) =>
    sets.flatMap((set) =>
      set.logs.map((log) => ({
        ...keys(set),
        'THREAD#': log.thread,
        'SEQUENCE#': log.sequence,
        'RESETLOGS_CHANGE#': log.resetlogsScn,
        RESETLOGS_TIME: time(log.resetlogsAt),
        'FIRST_CHANGE#': log.firstScn,
        FIRST_TIME: time(log.firstAt),
        'NEXT_CHANGE#': log.nextScn,
        NEXT_TIME: time(log.nextAt),
        BLOCK_SIZE: 512,
        TERMINAL: 'NO',
        CON_ID: 0,
      })),
    ),
  ),
  V$DATAFILE_COPY: fromControl(({ copies }, time) =>
    copies.map((copy) => ({
      ...backedUp(copy, time),
      RECID: copy.recid,
      STAMP: stampOf(copy.completedAt),
      NAME: copy.name,
      TAG: copy.tag,
      ONLINE_FUZZY: 'NO',
      BACKUP_FUZZY: copy.absoluteFuzzyScn > 0n ? 'YES' : 'NO',
      DELETED: copy.status === 'D' ? 'YES' : 'NO',
      STATUS: copy.status,
      COMPLETION_TIME: time(copy.completedAt),
      KEEP: 'NO',
    })),
  ),
};
