import { ClonaError } from '../../../errors.ts';
import { quoteSqlText } from '../rman-text.ts';
import type { SchemaPair } from './clone-schema.ts';

/** What one import job is told; the same for DBMS_DATAPUMP and for a parameter file of impdp. */
export interface ImportJob {
  name: string;
  pairs: readonly SchemaPair[];
  /** From LIVE's tablespace to the one here. */
  tablespaces: Readonly<Record<string, string>>;
  /** Directory object, and names of files in it. */
  directory: string;
  dumpFiles: readonly string[];
  logFile: string;
  /** More than 1 is a paid feature (Enterprise Edition): only where the site says that it has it. */
  parallel: { degree: number; licensed: boolean };
}

/**
 * Left out of every import: users and what they may do (the copy's user is made here, without rights on LIVE, R21), links and jobs
 * (a clone reaches nothing and does nothing by itself), grants to others, and statistics, which prove nothing.
 */
export const excludedPaths = [
  'USER',
  'SYSTEM_GRANT',
  'ROLE_GRANT',
  'DEFAULT_ROLE',
  'TABLESPACE_QUOTA',
  'OBJECT_GRANT',
  'DB_LINK',
  'JOB',
  'PROCOBJ',
  'REFRESH_GROUP',
  'STATISTICS',
] as const;

/** One call of the package, its values bound: names and secrets never become text of SQL. */
export interface PlsqlCall {
  sql: string;
  binds: Record<string, string | number | null>;
}

/** Opens the job; its handle comes back in `handle` and lives in this session. */
export function openJob({ name }: Pick<ImportJob, 'name'>): PlsqlCall {
  const call = `DBMS_DATAPUMP.OPEN(operation => 'IMPORT', job_mode => 'SCHEMA', job_name => :name, version => 'COMPATIBLE')`;
  return { sql: `BEGIN :handle := ${call}; END;`, binds: { name } };
}

/** Everything between OPEN and START_JOB, in order. */
export function describeJob(job: ImportJob, handle: string, encryptionPassword?: string): PlsqlCall[] {
  const call = (procedure: string, parameters: string, binds: PlsqlCall['binds']): PlsqlCall => ({
    sql: `BEGIN DBMS_DATAPUMP.${procedure}(handle => :handle, ${parameters}); END;`,
    binds: { handle, ...binds },
  });
  const calls = job.dumpFiles.map((file) =>
    call(
      'ADD_FILE',
      'filename => :fname, directory => :dir, filetype => DBMS_DATAPUMP.KU$_FILE_TYPE_DUMP_FILE',
      { fname: file, dir: job.directory },
    ),
  );
  calls.push(
    call(
      'ADD_FILE',
      'filename => :fname, directory => :dir, filetype => DBMS_DATAPUMP.KU$_FILE_TYPE_LOG_FILE',
      { fname: job.logFile, dir: job.directory },
    ),
  );
  if (encryptionPassword !== undefined) {
    calls.push(
      call('SET_PARAMETER', `name => 'ENCRYPTION_PASSWORD', value => :secret`, {
        secret: encryptionPassword,
      }),
    );
  }
  const schemas = job.pairs.map(({ live }) => quoteSqlText(live, 'the name of a schema')).join(', ');
  calls.push(call('METADATA_FILTER', `name => 'SCHEMA_EXPR', value => :expr`, { expr: `IN (${schemas})` }));
  const excluded = excludedPaths.map((path) => `'${path}'`).join(', ');
  calls.push(
    call('METADATA_FILTER', `name => 'EXCLUDE_PATH_EXPR', value => :expr`, { expr: `IN (${excluded})` }),
  );
  const remap = (name: string, from: string, to: string): PlsqlCall =>
    call('METADATA_REMAP', 'name => :remap, old_value => :from_name, value => :to_name', {
      remap: name,
      from_name: from,
      to_name: to,
    });
  for (const { live, clone } of job.pairs) calls.push(remap('REMAP_SCHEMA', live, clone));
  for (const [from, to] of Object.entries(job.tablespaces)) calls.push(remap('REMAP_TABLESPACE', from, to));
  // A type keeps its identifier otherwise, and the one of LIVE's schema may be in this very database.
  calls.push(call('METADATA_TRANSFORM', `name => 'OID', value => :yes`, { yes: 0 }));
  calls.push(call('SET_PARAMETER', `name => 'TABLE_EXISTS_ACTION', value => :action`, { action: 'SKIP' }));
  const degree = allowedDegree(job.parallel);
  if (degree > 1) calls.push(call('SET_PARALLEL', 'degree => :degree', { degree }));
  return calls;
}

export function startJob(handle: string): PlsqlCall {
  return { sql: 'BEGIN DBMS_DATAPUMP.START_JOB(handle => :handle); END;', binds: { handle } };
}

/** The job goes on without us: it is asked by name from then on. */
export function detachJob(handle: string): PlsqlCall {
  return { sql: 'BEGIN DBMS_DATAPUMP.DETACH(handle => :handle); END;', binds: { handle } };
}

/** Ends it at once and removes its master table, so that nothing goes on behind our back. */
export function stopJob(handle: string): PlsqlCall {
  return {
    sql: 'BEGIN DBMS_DATAPUMP.STOP_JOB(handle => :handle, immediate => 1, keep_master => 0); END;',
    binds: { handle },
  };
}

/** State, percent and errors as scalars: the object type itself costs the driver many round trips. OUT: state, percent, errors. */
export function askJob(handle: string): PlsqlCall {
  const sql = `DECLARE
  job_state VARCHAR2(30);
  status ku$_Status;
BEGIN
  DBMS_DATAPUMP.GET_STATUS(:handle, DBMS_DATAPUMP.KU$_STATUS_JOB_STATUS, 0, job_state, status);
  :state := job_state;
  :percent := TO_CHAR(status.job_status.percent_done);
  :errors := TO_CHAR(status.job_status.error_count);
END;`;
  return { sql, binds: { handle } };
}

/** Why a call was refused: the codes behind ORA-39001 and ORA-39002. OUT: answer. */
export function explainJob(handle: string): PlsqlCall {
  const sql = `DECLARE
  job_state VARCHAR2(30);
  status ku$_Status;
  entries ku$_LogEntry;
  said VARCHAR2(32767);
  i NUMBER;
BEGIN
  DBMS_DATAPUMP.GET_STATUS(:handle, DBMS_DATAPUMP.KU$_STATUS_JOB_ERROR, 0, job_state, status);
  entries := status.error;
  i := entries.FIRST;
  WHILE i IS NOT NULL LOOP
    said := SUBSTR(said || entries(i).LogText || CHR(10), 1, 30000);
    i := entries.NEXT(i);
  END LOOP;
  :answer := said;
END;`;
  return { sql, binds: { handle } };
}

/** What a file says of itself. OUT: ftype, answer (`code=value` by line). */
export function askDumpFile(directory: string, file: string): PlsqlCall {
  const sql = `DECLARE
  info ku$_dumpfile_info;
  file_type NUMBER;
  said VARCHAR2(32767);
  i NUMBER;
BEGIN
  DBMS_DATAPUMP.GET_DUMPFILE_INFO(filename => :fname, directory => :dir, info_table => info, filetype => file_type);
  :ftype := TO_CHAR(file_type);
  i := info.FIRST;
  WHILE i IS NOT NULL LOOP
    said := SUBSTR(said || TO_CHAR(info(i).item_code) || '=' || info(i).value || CHR(10), 1, 30000);
    i := info.NEXT(i);
  END LOOP;
  :answer := said;
END;`;
  return { sql, binds: { fname: file, dir: directory } };
}

/** Parallel is used only where the site says that it is licensed, never by ourselves. */
export function allowedDegree({ degree, licensed }: ImportJob['parallel']): number {
  if (degree <= 1) return 1;
  if (licensed) return Math.min(Math.floor(degree), 64);
  throw new ClonaError(
    'usage',
    `an import with ${degree} workers needs a licence that the site does not claim`,
    {
      hint: 'Data Pump in parallel belongs to the Enterprise Edition: say parallelLicensed: true, or leave it at 1',
    },
  );
}
