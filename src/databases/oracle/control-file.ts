/**
 * The views of the control file that clona reads, and which columns of them: names as in Oracle Database Reference 19c.
 * All of them exist since 12.1, the oldest server that the thin driver talks to. Every value comes as text: a number
 * exactly as the server has it (an SCN does not fit a JavaScript number), a DATE as wall clock time of the server's host.
 */
interface View {
  from: string;
  columns: Readonly<Record<string, string>>;
}

/** A DATE column: the driver would read it in the time zone of clona's own process, where an hour a year is missing. */
const date = (column: string): string => `TO_CHAR(${column}, 'YYYY-MM-DD"T"HH24:MI:SS')`;

export const controlFileViews = {
  clock: {
    from: 'DUAL',
    columns: {
      local: date('SYSDATE'),
      utc: date('SYS_EXTRACT_UTC(SYSTIMESTAMP)'),
      zone: 'DBTIMEZONE',
      container: "SYS_CONTEXT('USERENV', 'CON_ID')",
      containerName: "SYS_CONTEXT('USERENV', 'CON_NAME')",
    },
  },
  database: {
    from: 'V$DATABASE',
    columns: {
      dbid: 'DBID',
      name: 'NAME',
      uniqueName: 'DB_UNIQUE_NAME',
      resetlogs: 'RESETLOGS_CHANGE#',
      resetlogsTime: date('RESETLOGS_TIME'),
      logMode: 'LOG_MODE',
      openMode: 'OPEN_MODE',
      role: 'DATABASE_ROLE',
      checkpoint: 'CHECKPOINT_CHANGE#',
      controlFileType: 'CONTROLFILE_TYPE',
      controlFileChange: 'CONTROLFILE_CHANGE#',
      currentScn: 'CURRENT_SCN',
      captureFrom: 'MIN_REQUIRED_CAPTURE_CHANGE#',
      flashback: 'FLASHBACK_ON',
      forceLogging: 'FORCE_LOGGING',
      platform: 'PLATFORM_NAME',
      cdb: 'CDB',
    },
  },
  instance: {
    from: 'V$INSTANCE',
    columns: {
      name: 'INSTANCE_NAME',
      host: 'HOST_NAME',
      version: 'VERSION',
      status: 'STATUS',
      parallel: 'PARALLEL',
      thread: 'THREAD#',
      archiver: 'ARCHIVER',
      logins: 'LOGINS',
      activeState: 'ACTIVE_STATE',
    },
  },
  versions: { from: 'V$VERSION', columns: { banner: 'BANNER' } },
  languages: { from: 'V$NLS_PARAMETERS', columns: { name: 'PARAMETER', value: 'VALUE' } },
  parameters: { from: 'V$PARAMETER', columns: { name: 'NAME', value: 'VALUE' } },
  incarnations: {
    from: 'V$DATABASE_INCARNATION',
    columns: {
      id: 'INCARNATION#',
      resetlogs: 'RESETLOGS_CHANGE#',
      resetlogsTime: date('RESETLOGS_TIME'),
      priorResetlogs: 'PRIOR_RESETLOGS_CHANGE#',
      priorResetlogsTime: date('PRIOR_RESETLOGS_TIME'),
      status: 'STATUS',
      prior: 'PRIOR_INCARNATION#',
    },
  },
  threads: {
    from: 'V$THREAD',
    columns: {
      thread: 'THREAD#',
      status: 'STATUS',
      enabled: 'ENABLED',
      checkpoint: 'CHECKPOINT_CHANGE#',
      lastRedo: 'LAST_REDO_CHANGE#',
      lastRedoTime: date('LAST_REDO_TIME'),
      enabledFrom: 'ENABLE_CHANGE#',
      disabledFrom: 'DISABLE_CHANGE#',
    },
  },
  onlineLogs: {
    from: 'V$LOG',
    columns: {
      group: 'GROUP#',
      thread: 'THREAD#',
      sequence: 'SEQUENCE#',
      bytes: 'BYTES',
      members: 'MEMBERS',
      archived: 'ARCHIVED',
      status: 'STATUS',
      first: 'FIRST_CHANGE#',
      firstTime: date('FIRST_TIME'),
      next: 'NEXT_CHANGE#',
      nextTime: date('NEXT_TIME'),
    },
  },
  logMembers: {
    from: 'V$LOGFILE',
    columns: { group: 'GROUP#', status: 'STATUS', type: 'TYPE', member: 'MEMBER' },
  },
  archivedLogs: {
    from: 'V$ARCHIVED_LOG',
    columns: {
      thread: 'THREAD#',
      sequence: 'SEQUENCE#',
      destination: 'DEST_ID',
      name: 'NAME',
      resetlogs: 'RESETLOGS_CHANGE#',
      resetlogsTime: date('RESETLOGS_TIME'),
      first: 'FIRST_CHANGE#',
      firstTime: date('FIRST_TIME'),
      next: 'NEXT_CHANGE#',
      nextTime: date('NEXT_TIME'),
      standby: 'STANDBY_DEST',
      archived: 'ARCHIVED',
      deleted: 'DELETED',
      status: 'STATUS',
      backups: 'BACKUP_COUNT',
    },
  },
  backupSets: {
    from: 'V$BACKUP_SET',
    columns: {
      setStamp: 'SET_STAMP',
      setCount: 'SET_COUNT',
      type: 'BACKUP_TYPE',
      pieces: 'PIECES',
      started: date('START_TIME'),
      finished: date('COMPLETION_TIME'),
      keep: 'KEEP',
      keepUntil: date('KEEP_UNTIL'),
    },
  },
  backupPieces: {
    from: 'V$BACKUP_PIECE',
    columns: {
      setStamp: 'SET_STAMP',
      setCount: 'SET_COUNT',
      piece: 'PIECE#',
      copy: 'COPY#',
      device: 'DEVICE_TYPE',
      handle: 'HANDLE',
      tag: 'TAG',
      status: 'STATUS',
      deleted: 'DELETED',
      bytes: 'BYTES',
      jobRecid: 'RMAN_STATUS_RECID',
      jobStamp: 'RMAN_STATUS_STAMP',
    },
  },
  backupDatafiles: {
    from: 'V$BACKUP_DATAFILE',
    columns: {
      setStamp: 'SET_STAMP',
      setCount: 'SET_COUNT',
      file: 'FILE#',
      creation: 'CREATION_CHANGE#',
      resetlogs: 'RESETLOGS_CHANGE#',
      resetlogsTime: date('RESETLOGS_TIME'),
      level: 'INCREMENTAL_LEVEL',
      incrementalFrom: 'INCREMENTAL_CHANGE#',
      checkpoint: 'CHECKPOINT_CHANGE#',
      fuzzy: 'ABSOLUTE_FUZZY_CHANGE#',
      markedCorrupt: 'MARKED_CORRUPT',
      mediaCorrupt: 'MEDIA_CORRUPT',
      logicallyCorrupt: 'LOGICALLY_CORRUPT',
      finished: date('COMPLETION_TIME'),
    },
  },
  backupLogs: {
    from: 'V$BACKUP_REDOLOG',
    columns: {
      setStamp: 'SET_STAMP',
      setCount: 'SET_COUNT',
      thread: 'THREAD#',
      sequence: 'SEQUENCE#',
      resetlogs: 'RESETLOGS_CHANGE#',
      resetlogsTime: date('RESETLOGS_TIME'),
      first: 'FIRST_CHANGE#',
      firstTime: date('FIRST_TIME'),
      next: 'NEXT_CHANGE#',
      nextTime: date('NEXT_TIME'),
    },
  },
  copies: {
    from: 'V$DATAFILE_COPY',
    columns: {
      recid: 'RECID',
      stamp: 'STAMP',
      name: 'NAME',
      tag: 'TAG',
      file: 'FILE#',
      creation: 'CREATION_CHANGE#',
      resetlogs: 'RESETLOGS_CHANGE#',
      resetlogsTime: date('RESETLOGS_TIME'),
      level: 'INCREMENTAL_LEVEL',
      checkpoint: 'CHECKPOINT_CHANGE#',
      fuzzy: 'ABSOLUTE_FUZZY_CHANGE#',
      onlineFuzzy: 'ONLINE_FUZZY',
      backupFuzzy: 'BACKUP_FUZZY',
      markedCorrupt: 'MARKED_CORRUPT',
      mediaCorrupt: 'MEDIA_CORRUPT',
      logicallyCorrupt: 'LOGICALLY_CORRUPT',
      blocks: 'BLOCKS',
      blockSize: 'BLOCK_SIZE',
      deleted: 'DELETED',
      status: 'STATUS',
      finished: date('COMPLETION_TIME'),
      keep: 'KEEP',
    },
  },
  backupMode: {
    from: 'V$BACKUP',
    columns: { file: 'FILE#', status: 'STATUS', change: 'CHANGE#', time: date('TIME') },
  },
  datafiles: {
    from: 'V$DATAFILE',
    columns: {
      file: 'FILE#',
      creation: 'CREATION_CHANGE#',
      name: 'NAME',
      status: 'STATUS',
      enabled: 'ENABLED',
      checkpoint: 'CHECKPOINT_CHANGE#',
      last: 'LAST_CHANGE#',
      offlineFrom: 'OFFLINE_CHANGE#',
      onlineFrom: 'ONLINE_CHANGE#',
      unrecoverable: 'UNRECOVERABLE_CHANGE#',
      unrecoverableTime: date('UNRECOVERABLE_TIME'),
      bytes: 'BYTES',
      container: 'CON_ID',
    },
  },
  datafileHeaders: {
    from: 'V$DATAFILE_HEADER',
    columns: {
      file: 'FILE#',
      status: 'STATUS',
      error: 'ERROR',
      recover: 'RECOVER',
      fuzzy: 'FUZZY',
      tablespace: 'TABLESPACE_NAME',
      checkpoint: 'CHECKPOINT_CHANGE#',
    },
  },
  destinations: {
    from: 'V$ARCHIVE_DEST',
    columns: {
      id: 'DEST_ID',
      status: 'STATUS',
      binding: 'BINDING',
      target: 'TARGET',
      place: 'DESTINATION',
      error: 'ERROR',
      applied: 'APPLIED_SCN',
    },
  },
  recoveryArea: {
    from: 'V$RECOVERY_FILE_DEST',
    columns: {
      name: 'NAME',
      limit: 'SPACE_LIMIT',
      used: 'SPACE_USED',
      reclaimable: 'SPACE_RECLAIMABLE',
      files: 'NUMBER_OF_FILES',
    },
  },
  areaUsage: {
    from: 'V$RECOVERY_AREA_USAGE',
    columns: {
      type: 'FILE_TYPE',
      used: 'PERCENT_SPACE_USED',
      reclaimable: 'PERCENT_SPACE_RECLAIMABLE',
      files: 'NUMBER_OF_FILES',
    },
  },
  pluggables: {
    from: 'V$PDBS',
    columns: { id: 'CON_ID', name: 'NAME', openMode: 'OPEN_MODE', restricted: 'RESTRICTED' },
  },
  /** Since 12.2. */
  pluggableIncarnations: {
    from: 'V$PDB_INCARNATION',
    columns: {
      container: 'CON_ID',
      database: 'DB_INCARNATION#',
      number: 'PDB_INCARNATION#',
      status: 'STATUS',
      begin: 'BEGIN_RESETLOGS_SCN',
      end: 'END_RESETLOGS_SCN',
    },
  },
  restorePoints: {
    from: 'V$RESTORE_POINT',
    columns: {
      name: 'NAME',
      scn: 'SCN',
      incarnation: 'DATABASE_INCARNATION#',
      guaranteed: 'GUARANTEE_FLASHBACK_DATABASE',
      storage: 'STORAGE_SIZE',
    },
  },
} as const satisfies Record<string, View>;

export type ViewName = keyof typeof controlFileViews;

/** One row: text, or null where the server has null (an empty text is null in Oracle). */
export type RowOf<Name extends ViewName> = {
  -readonly [Column in keyof (typeof controlFileViews)[Name]['columns']]: string | null;
};

/** All rows of all views, as one reading of the control file gave them. */
export type ControlFileRows = { [Name in ViewName]: RowOf<Name>[] };

/** The one statement that reads a view; only the parameters that matter are asked for. */
export function selectView(name: ViewName): string {
  const { from, columns }: View = controlFileViews[name];
  const list = Object.values(columns).join(', ');
  return `SELECT ${list} FROM ${from}${onlyThose(name)}`;
}

function onlyThose(name: ViewName): string {
  if (name === 'parameters') return ` WHERE NAME IN (${parameterNames.map((one) => `'${one}'`).join(', ')})`;
  return name === 'languages' ? " WHERE PARAMETER IN ('NLS_CHARACTERSET', 'NLS_NCHAR_CHARACTERSET')" : '';
}

/** Those of V$PARAMETER that a clone takes over where the site keeps no parameter file (clone-parameters.ts says how). */
const forTheClone = [
  'cluster_database',
  'db_16k_cache_size',
  'db_2k_cache_size',
  'db_32k_cache_size',
  'db_4k_cache_size',
  'db_8k_cache_size',
  'db_block_size',
  'db_files',
  'memory_target',
  'nls_length_semantics',
  'open_cursors',
  'pga_aggregate_target',
  'processes',
  'sga_max_size',
  'sga_target',
  'undo_tablespace',
] as const;

export const carriedParameters: ReadonlySet<string> = new Set(forTheClone);

/** Those of V$PARAMETER that the catalog, doctor and restore look at. */
export const parameterNames = [
  ...forTheClone,
  'compatible',
  'control_file_record_keep_time',
  'control_files',
  'db_block_checksum',
  'db_recovery_file_dest',
  'db_recovery_file_dest_size',
  'enable_pluggable_database',
  'job_queue_processes',
  'log_archive_min_succeed_dest',
  'smtp_out_server',
] as const;
