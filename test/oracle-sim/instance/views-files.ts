import { OraError } from '../wire/values.ts';
import type { Given } from '../sql/fixtures.ts';
import { controlFilePaths } from './physical/database.ts';
import { readDataFile } from './physical/files.ts';
import { areaFiles, areaLimit, areaTypes } from './physical/recovery-area.ts';
import type { ControlDatafile } from './physical/types.ts';
import { fromControl, type Rows } from './view-rows.ts';

const megabyte = 1_048_576;

/** Files of the database: as the control file knows them, and as they lie on disk. */
export const fileViews: Record<string, Rows> = {
  V$DATAFILE: fromControl(({ files }, time) =>
    files.map((known) => ({
      'FILE#': known.file,
      'CREATION_CHANGE#': known.creationScn,
      CREATION_TIME: time(known.creationAt),
      'TS#': known.file - 1,
      'RFILE#': known.file,
      STATUS: known.tablespace === 'SYSTEM' ? 'SYSTEM' : 'ONLINE',
      ENABLED: 'READ WRITE',
      'CHECKPOINT_CHANGE#': known.checkpointScn,
      CHECKPOINT_TIME: time(known.checkpointAt),
      'UNRECOVERABLE_CHANGE#': known.unrecoverableScn ?? 0,
      UNRECOVERABLE_TIME: known.unrecoverableAt === null ? null : time(known.unrecoverableAt),
      'LAST_CHANGE#': known.stopScn,
      'OFFLINE_CHANGE#': 0,
      'ONLINE_CHANGE#': 0,
      BYTES: 100 * megabyte,
      BLOCKS: 12_800,
      CREATE_BYTES: 100 * megabyte,
      BLOCK_SIZE: 8192,
      NAME: known.name,
      PLUGGED_IN: 0,
      CON_ID: 0,
    })),
  ),
  V$DATAFILE_HEADER: fromControl(({ files }, time) => files.map((known) => headerRow(known, time))),
  V$BACKUP: fromControl(({ files }, time) =>
    files.map(({ file, backup }) => ({
      'FILE#': file,
      STATUS: backup?.active === true ? 'ACTIVE' : 'NOT ACTIVE',
      'CHANGE#': backup?.scn ?? 0,
      TIME: backup === null ? null : time(backup.at),
      CON_ID: 0,
    })),
  ),
  V$LOG: fromControl(({ groups }, time) =>
    groups.map(
      ({ group, thread, sequence, members, archived, status, firstScn, firstAt, nextScn, nextAt }) => ({
        'GROUP#': group,
        'THREAD#': thread,
        'SEQUENCE#': sequence,
        BYTES: 200 * megabyte,
        BLOCKSIZE: 512,
        MEMBERS: members.length,
        ARCHIVED: archived ? 'YES' : 'NO',
        STATUS: status,
        'FIRST_CHANGE#': firstScn,
        FIRST_TIME: status === 'UNUSED' ? null : time(firstAt),
        'NEXT_CHANGE#': status === 'CURRENT' ? 9_295_429_630_892_703_743n : (nextScn ?? 0),
        NEXT_TIME: nextAt === null ? null : time(nextAt),
        CON_ID: 0,
      }),
    ),
  ),
  V$LOGFILE: fromControl(({ groups }) =>
    groups.flatMap(({ group, members }) =>
      members.map((member) => ({
        'GROUP#': group,
        TYPE: 'ONLINE',
        MEMBER: member,
        IS_RECOVERY_DEST_FILE: 'NO',
        CON_ID: 0,
      })),
    ),
  ),
  V$TABLESPACE: fromControl(({ files }) =>
    files.map(({ file, tablespace }) => ({
      'TS#': file - 1,
      NAME: tablespace,
      INCLUDED_IN_DATABASE_BACKUP: 'YES',
      BIGFILE: 'NO',
      FLASHBACK_ON: 'YES',
      CON_ID: 0,
    })),
  ),
  DBA_DATA_FILES: fromControl(({ files }) =>
    files.map(({ file, tablespace, name }) => ({
      FILE_NAME: name,
      FILE_ID: file,
      TABLESPACE_NAME: tablespace,
      BYTES: 100 * megabyte,
      BLOCKS: 12_800,
      STATUS: 'AVAILABLE',
      AUTOEXTENSIBLE: 'YES',
      ONLINE_STATUS: file === 1 ? 'SYSTEM' : 'ONLINE',
    })),
  ),
  DBA_TABLESPACES: fromControl(({ files }) =>
    files.map(({ tablespace }) => ({
      TABLESPACE_NAME: tablespace,
      BLOCK_SIZE: 8192,
      STATUS: 'ONLINE',
      CONTENTS: tablespace === 'UNDOTBS1' ? 'UNDO' : 'PERMANENT',
      LOGGING: 'LOGGING',
      BIGFILE: 'NO',
      ENCRYPTED: 'NO',
    })),
  ),
  V$CONTROLFILE: (instance) =>
    instance.database === null || instance.database.control === null
      ? []
      : controlFilePaths(instance.database).map((name) => ({
          NAME: name,
          IS_RECOVERY_DEST_FILE: 'NO',
          BLOCK_SIZE: 16_384,
          FILE_SIZE_BLKS: 1130,
          CON_ID: 0,
        })),
  V$RECOVERY_FILE_DEST: fromControl((_, __, { database }) => {
    const name = database?.parameters.get('db_recovery_file_dest');
    if (database === null || name === undefined) return [];
    const files = areaFiles(database);
    const bytes = (some: typeof files): number => some.reduce((sum, file) => sum + file.bytes, 0);
    return [
      {
        NAME: name,
        SPACE_LIMIT: areaLimit(database),
        SPACE_USED: bytes(files),
        SPACE_RECLAIMABLE: bytes(files.filter(({ reclaimable }) => reclaimable !== null)),
        NUMBER_OF_FILES: files.length,
        CON_ID: 0,
      },
    ];
  }),
  V$RECOVERY_AREA_USAGE: fromControl((_, __, { database }) => {
    if (database === null) return [];
    const files = areaFiles(database);
    const percent = (some: typeof files): number =>
      Math.round(
        (some.reduce((sum, file) => sum + file.bytes, 0) / Math.max(1, areaLimit(database))) * 10_000,
      ) / 100;
    return areaTypes.map((type) => {
      const own = files.filter((file) => file.type === type);
      return {
        FILE_TYPE: type,
        PERCENT_SPACE_USED: percent(own),
        PERCENT_SPACE_RECLAIMABLE: percent(own.filter(({ reclaimable }) => reclaimable !== null)),
        NUMBER_OF_FILES: own.length,
        CON_ID: 0,
      };
    });
  }),
};

/** Read from the file itself, with the errors the server shows when it is not what it should be. */
function headerRow(known: ControlDatafile, time: (at: number) => string): Given {
  const { file, name } = known;
  try {
    const { header } = readDataFile(name);
    const recover = header.checkpointScn < known.checkpointScn;
    return {
      'FILE#': file,
      STATUS: 'ONLINE',
      FORMAT: 10,
      RECOVER: recover ? 'YES' : 'NO',
      FUZZY: header.fuzzy || header.backupScn !== null ? 'YES' : 'NO',
      'CREATION_CHANGE#': header.creationScn,
      CREATION_TIME: time(known.creationAt),
      TABLESPACE_NAME: header.tablespace,
      'TS#': file - 1,
      'RFILE#': file,
      'RESETLOGS_CHANGE#': header.resetlogsScn,
      RESETLOGS_TIME: time(header.resetlogsAt),
      'CHECKPOINT_CHANGE#': header.checkpointScn,
      CHECKPOINT_TIME: time(header.checkpointAt),
      BYTES: 100 * megabyte,
      BLOCKS: 12_800,
      NAME: name,
      CON_ID: 0,
    };
  } catch (error) {
    if (!(error instanceof OraError)) throw error;
    return {
      'FILE#': file,
      STATUS: 'ONLINE',
      ERROR: 'FILE NOT FOUND',
      'CHECKPOINT_CHANGE#': 0,
      NAME: null,
      CON_ID: 0,
    };
  }
}
