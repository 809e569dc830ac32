import { ClonaError } from '../../../errors.ts';
import { runSqlPlus, type OracleTools } from '../guest-tools.ts';
import type { WayBackFacts } from '../way-back.ts';

export interface LiveIncarnation {
  /** INCARNATION#. */
  key: number;
  resetlogs: string;
  /** RESETLOGS_CHANGE# of its parent; null: the first. */
  prior: string | null;
  status: string;
}

export interface LiveRestorePoint {
  name: string;
  scn: string;
  guaranteed: boolean;
  /** INCARNATION# in which it was made. */
  incarnation: number;
  storageBytes: number;
}

export interface ArchiveDestination {
  id: number;
  status: string;
  place: string | null;
}

/** LIVE as it is now, whatever state that is; positions are decimal text. */
export interface LiveState extends WayBackFacts {
  instance: 'down' | 'started' | 'mounted' | 'open';
  restricted: boolean;
  /** V$DATABASE.OPEN_MODE; null: not mounted. */
  openMode: string | null;
  /** 0 while it is not open. */
  scn: string;
  incarnations: LiveIncarnation[];
  current: LiveIncarnation | null;
  restorePoints: LiveRestorePoint[];
  destinations: ArchiveDestination[];
  /** LOG_ARCHIVE_DEST, the old way beside which LOG_ARCHIVE_DEST_n cannot be set (ORA-16019). */
  oldDestination: string | null;
  /** CLUSTER_DATABASE. */
  cluster: boolean;
}

const lines = {
  instance: `STATUS || '|' || LOGINS FROM V$INSTANCE`,
  database: `OPEN_MODE || '|' || LOG_MODE || '|' || FLASHBACK_ON || '|' || TO_CHAR(CURRENT_SCN) FROM V$DATABASE`,
  incarnation: `TO_CHAR(INCARNATION#) || '|' || TO_CHAR(RESETLOGS_CHANGE#) || '|' || TO_CHAR(PRIOR_RESETLOGS_CHANGE#) || '|' || STATUS FROM V$DATABASE_INCARNATION`,
  point: `TO_CHAR(SCN) || '|' || GUARANTEE_FLASHBACK_DATABASE || '|' || TO_CHAR(DATABASE_INCARNATION#) || '|' || TO_CHAR(STORAGE_SIZE) || '|' || NAME FROM V$RESTORE_POINT`,
  destination: `TO_CHAR(DEST_ID) || '|' || STATUS || '|' || DESTINATION FROM V$ARCHIVE_DEST WHERE STATUS <> 'INACTIVE'`,
  parameter: `NAME || '|' || VALUE FROM V$PARAMETER WHERE NAME IN ('db_recovery_file_dest', 'log_archive_dest', 'cluster_database')`,
  area: `TO_CHAR(SPACE_LIMIT) || '|' || TO_CHAR(SPACE_USED) || '|' || TO_CHAR(SPACE_RECLAIMABLE) FROM V$RECOVERY_FILE_DEST`,
  option: `VALUE FROM V$OPTION WHERE PARAMETER = 'Flashback Database'`,
} as const;

/** No error ends it: a view that is not there yet (ORA-01507, ORA-01034) is an answer, too. */
export const liveQueries = [
  'WHENEVER SQLERROR CONTINUE',
  'SET DEFINE OFF ECHO OFF FEEDBACK OFF PAGESIZE 0 LINESIZE 32767 TRIMSPOOL ON',
  'CONNECT / AS SYSDBA',
  ...Object.entries(lines).map(([kind, rest]) => `SELECT 'clona|${kind}|' || ${rest};`),
  "SELECT 'clona|end|' || DUMMY FROM DUAL;",
  'EXIT 0',
  '',
].join('\n');

/** Asks the server by the operating system's own SYSDBA: that works in every state, with the listener down, too. */
export async function readLiveState(tools: OracleTools): Promise<LiveState> {
  const { text } = await runSqlPlus(tools, 'live-state', liveQueries);
  return readLiveAnswer(text);
}

export function readLiveAnswer(output: string): LiveState {
  const found = new Map<string, string[][]>();
  for (const line of output.split(/\r?\n/)) {
    const [mark, kind, ...fields] = line.trim().split('|');
    if (mark === 'clona' && kind !== undefined) found.set(kind, [...(found.get(kind) ?? []), fields]);
  }
  const of = (kind: keyof typeof lines): string[][] => found.get(kind) ?? [];
  const instance = readStatus(of('instance')[0]?.[0], output);
  const [openMode = null, logMode = '', flashback = '', scn = '0'] = of('database')[0] ?? [];
  const parameters = new Map(of('parameter').map(([name = '', ...value]) => [name, value.join('|')]));
  const incarnations = of('incarnation').map(([key, resetlogs = '', prior = '', status = '']) => ({
    key: Number(key),
    resetlogs,
    prior: prior === '' || prior === '0' ? null : prior,
    status,
  }));
  const current = incarnations.find(({ status }) => status === 'CURRENT') ?? null;
  const [limit, used, reclaimable] = of('area')[0]?.map(Number) ?? [];
  return {
    instance,
    restricted: of('instance')[0]?.[1] === 'RESTRICTED',
    openMode,
    logMode,
    flashbackOn: flashback === 'YES',
    flashbackLicensed: of('option')[0]?.[0] === 'TRUE',
    scn: scn === '' ? '0' : scn,
    incarnations,
    current,
    currentIncarnation: current?.key ?? 0,
    restorePoints: of('point').map(([at = '', guaranteed, incarnation, bytes, ...name]) => ({
      name: name.join('|'),
      scn: at,
      guaranteed: guaranteed === 'YES',
      incarnation: Number(incarnation),
      storageBytes: Number(bytes ?? 0),
    })),
    destinations: of('destination').map(([id, status = '', ...place]) => ({
      id: Number(id),
      status,
      place: place.join('|') === '' ? null : place.join('|'),
    })),
    oldDestination: parameters.get('log_archive_dest') || null,
    cluster: parameters.get('cluster_database') === 'TRUE',
    hasRecoveryArea: (parameters.get('db_recovery_file_dest') ?? '') !== '',
    ...(limit === undefined || limit === 0
      ? {}
      : { areaTotalBytes: limit, areaHeldBytes: Math.max(0, (used ?? 0) - (reclaimable ?? 0)) }),
  };
}

const statuses = { STARTED: 'started', MOUNTED: 'mounted', OPEN: 'open', 'OPEN MIGRATE': 'open' } as const;

function readStatus(status: string | undefined, output: string): LiveState['instance'] {
  if (status !== undefined && status in statuses) return statuses[status as keyof typeof statuses];
  if (/\bORA-01034\b/.test(output)) return 'down';
  const said = /^\s*((?:ORA|SP2|TNS)-\d{4,5}.*)$/m.exec(output)?.[1] ?? output.trim().slice(0, 200);
  throw new ClonaError('databaseFailed', `the machine of LIVE does not say how its database is: ${said}`, {
    hint: 'sqlplus / as sysdba must work there for the user of clona: group dba, ORACLE_HOME, ORACLE_SID',
    details: { output: output.slice(0, 1000) },
  });
}
