import { join } from 'node:path';
import { OraError } from '../wire/values.ts';
import { holds } from '../instance/accounts.ts';
import type { Session } from '../instance/session.ts';
import type { Routine } from '../plsql/run.ts';
import { list, numberOf, record, textOf, type Argument, type PlsqlValue } from '../plsql/values.ts';
import { readDump } from './dump-file.ts';
import { openDumpFile, pathOf, runImport } from './import.ts';
import { runExport } from './export.ts';
import { PumpRefusal } from './refusal.ts';
import { newJob, pumpOf, type PumpJob } from './state.ts';

export const pumpConstants: Readonly<Record<string, PlsqlValue>> = {
  KU$_FILE_TYPE_DUMP_FILE: 1n,
  KU$_FILE_TYPE_BAD_FILE: 2n,
  KU$_FILE_TYPE_LOG_FILE: 3n,
  KU$_FILE_TYPE_SQL_FILE: 4n,
  KU$_STATUS_WIP: 1n,
  KU$_STATUS_JOB_DESC: 2n,
  KU$_STATUS_JOB_STATUS: 4n,
  KU$_STATUS_JOB_ERROR: 8n,
};

type Arguments = Readonly<Record<string, Argument | undefined>>;

/** Handles belong to the session that opened them. */
const attached = new WeakMap<Session, Set<number>>();

/** DBMS_DATAPUMP as far as an import by schema needs it; anything else of the package is PLS-00201. */
export function pumpRoutines(session: Session): Record<string, Routine> {
  const pump = pumpOf(session.instance);
  const own = attached.get(session) ?? new Set<number>();
  attached.set(session, own);
  const text = (args: Arguments, name: string): string | null =>
    args[name] === undefined ? null : textOf(args[name].value);
  const jobOf = (args: Arguments): PumpJob => {
    const handle = numberOf(args['HANDLE']!.value) ?? 0;
    const job = pump.handles.get(handle);
    if (job === undefined || !own.has(handle)) {
      throw new OraError(31623, 'a job is not attached to this session via the specified handle');
    }
    return job;
  };
  const attach = (job: PumpJob): PlsqlValue => {
    const handle = Math.max(0, ...pump.handles.keys()) + 1;
    pump.handles.set(handle, job);
    own.add(handle);
    return BigInt(handle);
  };
  const guarded = (job: PumpJob, work: () => void): null => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof PumpRefusal)) throw error;
      job.lastErrors = [error.message, ...error.details];
      throw new OraError(error.code, error.text);
    }
    return null;
  };
  const onJob = (parameters: string[], work: (job: PumpJob, args: Arguments) => void): Routine => ({
    parameters: ['HANDLE', ...parameters],
    run: (args) => {
      const job = jobOf(args);
      return guarded(job, () => work(job, args));
    },
  });
  return {
    'DBMS_DATAPUMP.OPEN': {
      parameters: ['OPERATION', 'JOB_MODE', 'REMOTE_LINK?', 'JOB_NAME?', 'VERSION?'],
      run: (args) =>
        open(session, text(args, 'OPERATION'), text(args, 'JOB_MODE'), text(args, 'JOB_NAME'), attach),
    },
    'DBMS_DATAPUMP.ATTACH': {
      parameters: ['JOB_NAME?', 'JOB_OWNER?'],
      run: (args) => {
        const job = pump.jobs.get(text(args, 'JOB_NAME') ?? '');
        if (job === undefined) throw new OraError(31626, 'job does not exist');
        return attach(job);
      },
    },
    'DBMS_DATAPUMP.ADD_FILE': onJob(
      ['FILENAME', 'DIRECTORY?', 'FILESIZE?', 'FILETYPE?', 'REUSEFILE?'],
      (job, args) => {
        const name = text(args, 'FILENAME') ?? '';
        job.directory = text(args, 'DIRECTORY') ?? job.directory;
        const type = args['FILETYPE'] === undefined ? 1 : numberOf(args['FILETYPE'].value);
        pathOf(session.instance, job.directory);
        if (type === 3) job.logFile = name;
        else if (job.operation === 'IMPORT') openDumpFile(session.instance, job.directory, name);
        if (type === 1) job.dumpFiles.push(name);
      },
    ),
    'DBMS_DATAPUMP.METADATA_FILTER': onJob(['NAME', 'VALUE', 'OBJECT_PATH?', 'OBJECT_TYPE?'], (job, args) =>
      filter(job, text(args, 'NAME') ?? '', text(args, 'VALUE') ?? ''),
    ),
    'DBMS_DATAPUMP.METADATA_REMAP': onJob(['NAME', 'OLD_VALUE', 'VALUE', 'OBJECT_TYPE?'], (job, args) => {
      const maps: Record<string, Map<string, string>> = {
        REMAP_SCHEMA: job.remapSchema,
        REMAP_TABLESPACE: job.remapTablespace,
      };
      const map = maps[text(args, 'NAME') ?? ''];
      if (map === undefined)
        throw new PumpRefusal(39001, [
          `ORA-39043: Object type ${text(args, 'NAME')} is not supported for METADATA_REMAP.`,
        ]);
      map.set(text(args, 'OLD_VALUE') ?? '', text(args, 'VALUE') ?? '');
    }),
    'DBMS_DATAPUMP.METADATA_TRANSFORM': onJob(['NAME', 'VALUE', 'OBJECT_TYPE?'], (_, args) => {
      const known = [
        'OID',
        'STORAGE',
        'SEGMENT_ATTRIBUTES',
        'PCTSPACE',
        'SEGMENT_CREATION',
        'DISABLE_ARCHIVE_LOGGING',
      ];
      if (!known.includes(text(args, 'NAME') ?? ''))
        throw new PumpRefusal(39001, ['ORA-39001: invalid argument value']);
    }),
    'DBMS_DATAPUMP.SET_PARAMETER': onJob(['NAME', 'VALUE'], (job, args) => {
      const name = text(args, 'NAME') ?? '';
      const known = [
        'TABLE_EXISTS_ACTION',
        'ENCRYPTION_PASSWORD',
        'INCLUDE_METADATA',
        'FLASHBACK_SCN',
        'METRICS',
        'LOGTIME',
        'CLIENT_COMMAND',
      ];
      if (!known.includes(name)) throw new PumpRefusal(39001, [`ORA-39049: invalid parameter name ${name}`]);
      if (name === 'ENCRYPTION_PASSWORD') job.encryptionPassword = text(args, 'VALUE');
      else job.parameters.set(name, text(args, 'VALUE') ?? '');
    }),
    'DBMS_DATAPUMP.SET_PARALLEL': onJob(['DEGREE'], (job, args) => {
      const degree = numberOf(args['DEGREE']!.value) ?? 1;
      if (degree > 1 && session.instance.settings.edition !== 'EE') {
        throw new PumpRefusal(39002, [
          'ORA-39094: Parallel execution not supported in this database edition.',
        ]);
      }
      job.degree = degree;
    }),
    'DBMS_DATAPUMP.START_JOB': onJob(['SKIP_CURRENT?', 'ABORT_STEP?'], (job) => {
      if (job.operation === 'IMPORT') runImport(session, job);
      else runExport(session, job);
    }),
    'DBMS_DATAPUMP.STOP_JOB': onJob(['IMMEDIATE?', 'KEEP_MASTER?', 'DELAY?'], (job, args) => {
      job.state = 'STOPPED';
      if (numberOf(args['KEEP_MASTER']?.value ?? null) !== 1) pump.jobs.delete(job.name);
    }),
    'DBMS_DATAPUMP.DETACH': onJob([], (job) => {
      if (job.state === 'COMPLETED') pump.jobs.delete(job.name);
      for (const [handle, other] of pump.handles)
        if (other === job && own.delete(handle)) pump.handles.delete(handle);
    }),
    'DBMS_DATAPUMP.GET_STATUS': {
      parameters: ['HANDLE', 'MASK', 'TIMEOUT?', 'JOB_STATE?', 'STATUS?'],
      run: (args) => {
        const job = jobOf(args);
        const running = job.state === 'COMPLETED' && job.polls === 0;
        if ((numberOf(args['MASK']!.value) ?? 0) === 4) job.polls += 1;
        args['JOB_STATE']?.set?.(running ? 'EXECUTING' : job.state);
        const status = record({ PERCENT_DONE: running ? 50n : 100n, ERROR_COUNT: BigInt(job.errors) });
        const errors = list(job.lastErrors.map((line) => record({ LOGTEXT: line, LOGLINENUMBER: 1n })));
        args['STATUS']?.set?.(record({ JOB_STATUS: status, ERROR: errors }));
        return null;
      },
    },
    'DBMS_DATAPUMP.GET_DUMPFILE_INFO': {
      parameters: ['FILENAME', 'DIRECTORY', 'INFO_TABLE', 'FILETYPE'],
      run: (args) => describeFile(session, args, text(args, 'DIRECTORY') ?? '', text(args, 'FILENAME') ?? ''),
    },
  };
}

function open(
  session: Session,
  operation: string | null,
  mode: string | null,
  jobName: string | null,
  attach: (job: PumpJob) => PlsqlValue,
): PlsqlValue {
  const { user, instance } = session;
  const pump = pumpOf(instance);
  if ((operation !== 'IMPORT' && operation !== 'EXPORT') || mode !== 'SCHEMA') {
    throw new OraError(39001, 'invalid argument value');
  }
  const role = `DATAPUMP_${operation === 'IMPORT' ? 'IMP' : 'EXP'}_FULL_DATABASE`;
  if (!holds(user, role)) throw new OraError(31631, 'privileges are required');
  const name = jobName ?? `SYS_${operation}_SCHEMA_${String(pump.jobs.size + 1).padStart(2, '0')}`;
  if (pump.jobs.has(name)) throw new OraError(31634, 'job already exists');
  const job = newJob(name, user.name, operation);
  pump.jobs.set(name, job);
  return attach(job);
}

/** IN ('A', 'B'), with quotes doubled inside. */
function filter(job: PumpJob, name: string, value: string): void {
  const names = [...value.matchAll(/'((?:[^']|'')*)'/g)].map((match) =>
    (match[1] ?? '').replaceAll("''", "'"),
  );
  if (!/^\s*IN\s*\(.*\)\s*$/i.test(value) || names.length === 0) {
    throw new PumpRefusal(39001, ['ORA-39071: Value for EXCLUDE is badly formed.']);
  }
  if (name === 'SCHEMA_EXPR') job.schemas = names;
  else if (name === 'EXCLUDE_PATH_EXPR') job.excluded = names;
  else throw new PumpRefusal(39001, [`ORA-39043: Object type ${name} is not supported for METADATA_FILTER.`]);
}

function describeFile(session: Session, args: Arguments, directory: string, name: string): null {
  const path = pumpOf(session.instance).directories.get(directory);
  if (path === undefined) throw new OraError(39087, `directory name ${directory} is invalid`);
  const read = readDump(join(path, name));
  const give = (type: bigint, items: [number, string][]): null => {
    args['FILETYPE']?.set?.(type);
    args['INFO_TABLE']?.set?.(
      list(items.map(([code, value]) => record({ ITEM_CODE: BigInt(code), VALUE: value }))),
    );
    return null;
  };
  if (read.kind === 'bad') {
    throw new OraError(
      39211,
      `unable to retrieve dumpfile information as specified\n${read.errors.join('\n')}`,
    );
  }
  if (read.kind === 'original') return give(2n, [[13, '0']]);
  const { header, master } = read.content;
  return give(1n, [
    [1, `${header.format}.1`],
    [2, master === null ? '0' : '1'],
    [3, header.guid],
    [4, String(header.number)],
    [5, '873'],
    [6, header.createdAt],
    [8, header.job],
    [9, header.platform],
    [10, header.instance],
    [11, header.characterSet],
    [12, '4096'],
    [15, header.version],
    [16, '1'],
    [17, '1'],
    [19, header.encryption === 'none' ? '0' : '1'],
    [20, header.encryption === 'none' ? '0' : '1'],
    [22, header.encryption === 'none' ? '2' : '3'],
  ]);
}
