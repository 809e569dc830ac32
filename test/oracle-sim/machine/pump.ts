import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OraError } from '../wire/values.ts';
import type { Server } from '../instance/backend.ts';
import { findUser, holds, type User } from '../instance/accounts.ts';
import { hostTime } from '../instance/instance.ts';
import { beginTransaction, endTransaction } from '../instance/physical/change.ts';
import { mounted } from '../instance/physical/database.ts';
import { databaseOf } from '../instance/startup.ts';
import { listTables } from '../instance/tables.ts';
import { runExport } from '../pump/export.ts';
import { pathOf, runImport } from '../pump/import.ts';
import { badOperation, PumpRefusal } from '../pump/refusal.ts';
import { newJob, pumpOf, type PumpJob } from '../pump/state.ts';
import { BadArguments, nameOf, pairOf, readPumpArguments, type PumpArguments } from './pump-arguments.ts';
import type { ToolCall, ToolResult } from './tools.ts';

/** Exit codes of Data Pump: done, done with errors, failed (Utilities, EX_SUCC, EX_SUCC_ERR, EX_FAIL). */
const exits = { done: 0, errors: 5, failed: 1 } as const;

export const runExpdp = (call: ToolCall, server: Server): Promise<ToolResult> =>
  runPump('EXPORT', call, server);
export const runImpdp = (call: ToolCall, server: Server): Promise<ToolResult> =>
  runPump('IMPORT', call, server);

function runPump(
  operation: 'EXPORT' | 'IMPORT',
  { argv, cwd, stdin }: ToolCall,
  server: Server,
): Promise<ToolResult> {
  const [title, prefix] = operation === 'EXPORT' ? ['Export', 'UDE'] : ['Import', 'UDI'];
  const banner = `\n${title}: Release ${server.instance.settings.version.join('.')}.0.0 - Production\n\n`;
  const failed = (text: string): Promise<ToolResult> =>
    Promise.resolve({ stdout: `${banner}${text}\n`, exitCode: exits.failed });
  let job: PumpJob;
  try {
    const given = readPumpArguments(operation, argv, cwd);
    const user = logOn(server, given, stdin);
    job = describeJob(operation, user, given);
    const text = operation === 'EXPORT' ? exportAt(server, user, job, given) : importInto(server, user, job);
    const shown =
      given.values.get('LOGTIME')?.[0]?.toUpperCase() === 'ALL' ? withTimes(server, job, text) : text;
    const exitCode = job.state !== 'COMPLETED' ? exits.failed : job.errors > 0 ? exits.errors : exits.done;
    return Promise.resolve({ stdout: shown, exitCode });
  } catch (error) {
    if (error instanceof BadArguments) return failed(error.message);
    if (error instanceof PumpRefusal) return failed([error.message, ...error.details].join('\n'));
    if (error instanceof OraError)
      return failed(
        `${prefix}-${String(error.code).padStart(5, '0')}: operation generated ORACLE error ${error.code}\n${error.message}`,
      );
    throw error;
  }
}

/** `/ as sysdba`, or a name whose password is typed at the prompt. */
function logOn({ instance }: Server, { logon }: PumpArguments, stdin: string): User {
  if (instance.status === 'DOWN') throw new OraError(1034, 'ORACLE not available');
  if (instance.status !== 'OPEN') throw new OraError(1033, 'ORACLE initialization or shutdown in progress');
  if (/^\/\s+as\s+sysdba$/i.test(logon)) return { name: 'SYS', password: '', grants: ['SYSDBA'] };
  const [, name = '', typed] = /^([^/@]+)(?:\/([^@]*))?/.exec(logon) ?? [];
  const user = findUser(instance, name);
  const password = typed ?? stdin.split('\n')[0]?.trim() ?? '';
  if (user === undefined || user.password !== password)
    throw new OraError(1017, 'invalid username/password; logon denied');
  return user;
}

function describeJob(operation: 'EXPORT' | 'IMPORT', user: User, { values, logon }: PumpArguments): PumpJob {
  const one = (name: string): string | undefined => values.get(name)?.[0];
  const job = newJob(nameOf(one('JOB_NAME') ?? `SYS_${operation}_SCHEMA_01`), user.name, operation);
  job.directory = nameOf(one('DIRECTORY') ?? 'DATA_PUMP_DIR');
  job.dumpFiles = (values.get('DUMPFILE') ?? ['expdat.dmp']).map((file) => file.replaceAll('%U', '01'));
  const logs = one('NOLOGFILE')?.toUpperCase() !== 'Y';
  job.logFile = logs ? (one('LOGFILE') ?? (operation === 'EXPORT' ? 'export.log' : 'import.log')) : null;
  job.schemas = (values.get('SCHEMAS') ?? [user.name]).map(nameOf);
  job.excluded = (values.get('EXCLUDE') ?? []).map((path) => path.toUpperCase());
  job.remapSchema = new Map((values.get('REMAP_SCHEMA') ?? []).map(pairOf));
  job.remapTablespace = new Map((values.get('REMAP_TABLESPACE') ?? []).map(pairOf));
  job.encryptionPassword = one('ENCRYPTION_PASSWORD') ?? null;
  job.degree = Number(one('PARALLEL') ?? 1);
  for (const name of ['REUSE_DUMPFILES', 'VERSION', 'TABLE_EXISTS_ACTION']) {
    const value = one(name);
    if (value !== undefined) job.parameters.set(name, value.toUpperCase());
  }
  const role = operation === 'EXPORT' ? 'DATAPUMP_EXP_FULL_DATABASE' : 'DATAPUMP_IMP_FULL_DATABASE';
  const foreign = job.schemas.some((schema) => schema !== user.name) || job.remapSchema.size > 0;
  if (foreign && !holds(user, role))
    throw new OraError(31631, 'privileges are required\nORA-39161: Full database jobs require privileges');
  job.request = `"${logon === '' || logon.startsWith('/') ? '/******** AS SYSDBA' : `${user.name.toLowerCase()}/********`}" ${[...values].map(([name, list]) => `${name.toLowerCase()}=${name === 'ENCRYPTION_PASSWORD' ? '********' : list.join(',')}`).join(' ')}`;
  return job;
}

/** At an SCN of the past only what has not changed since is still there: there is no undo here. */
function exportAt(server: Server, user: User, job: PumpJob, { values }: PumpArguments): string {
  const { instance } = server;
  const database = databaseOf(instance);
  const asked = values.get('FLASHBACK_SCN')?.[0];
  const { faults } = pumpOf(instance);
  const before = faults.failTable;
  if (asked !== undefined) {
    if (!/^\d+$/.test(asked) || BigInt(asked) > mounted(database).scn) {
      throw badOperation(
        'ORA-39150: bad flashback time',
        'ORA-08181: specified number is not a valid system change number',
      );
    }
    const changed = listTables(database).find(
      ({ owner, file, page }) =>
        job.schemas.includes(owner) && database.open!.files.get(file)!.pages.get(page)!.head >= BigInt(asked),
    );
    if (changed !== undefined) {
      faults.failTable = {
        table: changed.name,
        errors: [
          'ORA-02354: error in exporting/importing data',
          'ORA-01555: snapshot too old: rollback segment number with name "" too small',
        ],
      };
    }
  }
  try {
    return runExport({ instance, user }, job);
  } finally {
    if (before === undefined) delete faults.failTable;
    else faults.failTable = before;
  }
}

function importInto({ instance }: Server, user: User, job: PumpJob): string {
  const database = databaseOf(instance);
  let transaction: number | null = null;
  const bench = {
    instance,
    user,
    transaction: () => (transaction ??= beginTransaction(database)),
    commit: () => {
      if (transaction !== null) endTransaction(database, transaction, true);
      transaction = null;
    },
  };
  try {
    return runImport(bench, job);
  } finally {
    if (transaction !== null) endTransaction(database, transaction, false);
  }
}

/** LOGTIME=ALL: a time before every line, on the screen and in the log. */
function withTimes({ instance }: Server, job: PumpJob, text: string): string {
  const [date = '', time = ''] = hostTime(instance, instance.settings.now()).split(' ');
  const [year = '', month = '', day = ''] = date.split('-');
  const name = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'][
    Number(month) - 1
  ];
  const prefix = `${day}-${name}-${year.slice(2)} ${time}.000: `;
  const timed = text
    .split('\n')
    .map((line, index) => (index < 7 || line === '' ? line : `${prefix}${line}`))
    .join('\n');
  if (job.logFile !== null) writeFileSync(join(pathOf(instance, job.directory), job.logFile), timed);
  return timed;
}
