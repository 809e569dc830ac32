import { setTimeout as sleep } from 'node:timers/promises';
import { ClonaError } from '../../../errors.ts';
import type { OnProgress } from '../../../progress.ts';
import type { OracleSession } from '../connect.ts';
import { quoteName } from '../rman-text.ts';
import { refusedCall } from './import-failure.ts';
import {
  askJob,
  describeJob,
  detachJob,
  explainJob,
  openJob,
  startJob,
  stopJob,
  type ImportJob,
  type PlsqlCall,
} from './job-text.ts';

export interface RunJobOptions {
  session: OracleSession;
  job: ImportJob;
  encryptionPassword?: string | undefined;
  /** Between two questions how far it is. Default 1000. */
  pollMs?: number | undefined;
  /** How long the job may wait for room in a tablespace; the server itself would wait for two hours. Default one minute. */
  roomWaitMs?: number | undefined;
  /** Opens a second session when this one was interrupted, to end the job that goes on without us. */
  openOther: () => Promise<OracleSession>;
  signal: AbortSignal;
  onProgress: OnProgress;
}

export interface JobEnd {
  /** COMPLETED, STOPPED …, or GONE: the server has forgotten it. Whether it was good is for its log to say. */
  state: string;
  errors: number;
}

const ended = /^(?:COMPLETED|STOPPED|NOT RUNNING|IDLING)$/;

/** Runs an import on the server by DBMS_DATAPUMP and waits for its end. An interruption ends the job, too. */
export async function runImportJob(options: RunJobOptions): Promise<JobEnd> {
  const { session, job, encryptionPassword } = options;
  const handle = await openHandle(session, job);
  try {
    for (const call of describeJob(job, handle, encryptionPassword)) await runCall(session, handle, call);
    await runCall(session, handle, startJob(handle));
  } catch (error) {
    // A job that was never started leaves its master table behind unless it is stopped.
    await runPlain(session, stopJob(handle)).catch(() => {});
    throw error;
  }
  try {
    return await waitForEnd(options, handle);
  } catch (error) {
    // Interrupted, or the connection is gone: the server knows nothing of that, and would go on for hours.
    await endFromOutside(options);
    throw error;
  }
}

async function openHandle(session: OracleSession, job: ImportJob): Promise<string> {
  const { sql, binds } = openJob(job);
  const { handle } = await session.execute(sql, binds, ['handle']);
  if (handle === undefined || handle === null) {
    throw new ClonaError('databaseFailed', 'DBMS_DATAPUMP.OPEN gave no handle');
  }
  return handle;
}

async function runPlain(session: OracleSession, { sql, binds }: PlsqlCall): Promise<void> {
  await session.execute(sql, binds);
}

/** ORA-39001 and ORA-39002 say nothing: what they mean is asked of the job in this very session. */
async function runCall(session: OracleSession, handle: string, call: PlsqlCall): Promise<void> {
  try {
    await runPlain(session, call);
  } catch (error) {
    if (!(error instanceof ClonaError) || codeOf(error) === null) throw error;
    // SUCCESS_WITH_INFO: it was done, and something was noted.
    if (codeOf(error) === 'ORA-31627') return;
    const { sql, binds } = explainJob(handle);
    const said = await session
      .execute(sql, binds, ['answer'])
      .then(({ answer }) => answer ?? '')
      .catch(() => '');
    throw refusedCall(said === '' ? error.message : said, error);
  }
}

/** Data Pump suspends a statement that finds no room, and says so only here and, later, in its log (ORA-39171). */
const suspended = (view: string): string =>
  `SELECT ERROR_MSG FROM ${view} WHERE STATUS = 'SUSPENDED' AND NAME LIKE :job_name AND ROWNUM = 1`;

/** What it waits for; null: nothing. Workers run as the user of the job, so everybody may see his own. */
async function askForRoom({ session, job }: RunJobOptions): Promise<string | null> {
  const ask = async (view: string): Promise<string | null> => {
    const [row] = await session.query(suspended(view), { job_name: `%${job.name}%` }, `reading ${view}`);
    return row?.[0] ?? null;
  };
  try {
    return await ask('DBA_RESUMABLE');
  } catch (error) {
    if (error instanceof ClonaError && codeOf(error) === 'ORA-00942') return ask('USER_RESUMABLE');
    throw error;
  }
}

async function waitForEnd(options: RunJobOptions, handle: string): Promise<JobEnd> {
  const { session, job, signal, onProgress, pollMs = 1000, roomWaitMs = 60_000 } = options;
  let waitsSince: number | null = null;
  const { sql, binds } = askJob(handle);
  for (;;) {
    let status: Record<string, string | null>;
    try {
      status = await session.execute(sql, binds, ['state', 'percent', 'errors']);
    } catch (error) {
      // ORA-31626: it ended between two questions, and is gone.
      if (error instanceof ClonaError && /^ORA-(?:31626|31623)$/.test(codeOf(error) ?? '')) {
        return { state: 'GONE', errors: 0 };
      }
      throw error;
    }
    const { state = '', percent = '0', errors = '0' } = status;
    const count = Number(errors ?? 0);
    if (state === null || ended.test(state)) {
      // One that stopped could be started again: we never do, so its master table goes.
      const last = state === 'COMPLETED' ? detachJob(handle) : stopJob(handle);
      await runPlain(session, last).catch(() => {});
      return { state: state ?? 'GONE', errors: count };
    }
    const room = await askForRoom(options);
    if (room === null) waitsSince = null;
    else if (performance.now() - (waitsSince ??= performance.now()) >= roomWaitMs) {
      const said = room.split('\n')[0]?.trim() ?? '';
      throw new ClonaError('diskFull', `the import waits for room: ${said}`, {
        hint: 'add room to the tablespace, or let its file grow, and run the import again',
        details: { said: room },
      });
    }
    const detail = `${percent ?? 0} %${count > 0 ? `, ${count} errors` : ''}${room === null ? '' : ', waits for room'}`;
    onProgress({ step: `import ${job.name}`, state: 'running', detail });
    await sleep(pollMs, undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
  }
}

async function endFromOutside({ job, openOther }: RunJobOptions): Promise<void> {
  try {
    await using other = await openOther();
    const sql = 'BEGIN :handle := DBMS_DATAPUMP.ATTACH(job_name => :name); END;';
    const { handle } = await other.execute(sql, { name: job.name }, ['handle']);
    if (handle !== undefined && handle !== null) await runPlain(other, stopJob(handle));
  } catch {
    // It ended by itself, or the server is gone: the interruption is told as it is.
  }
}

/**
 * Ends the job of a run that was killed: the server knows nothing of that, and would go on to fill the schema that is about to be made
 * anew. One whose processes are gone leaves its master table, which is dropped by name. Nothing there: nothing is done.
 */
export async function endLeftJob(session: OracleSession, name: string): Promise<void> {
  const rows = await session.query(
    `SELECT OWNER_NAME, STATE FROM DBA_DATAPUMP_JOBS WHERE JOB_NAME = :name AND OPERATION = 'IMPORT' AND OWNER_NAME = USER`,
    { name },
    'reading DBA_DATAPUMP_JOBS',
  );
  const [owner] = rows[0] ?? [];
  if (owner === undefined || owner === null) return;
  try {
    const attach = 'BEGIN :handle := DBMS_DATAPUMP.ATTACH(job_name => :name); END;';
    const { handle } = await session.execute(attach, { name }, ['handle']);
    if (handle !== undefined && handle !== null) await runPlain(session, stopJob(handle));
  } catch {
    // It cannot be attached to any more: what is left of it is its table.
    const table = `${quoteName(owner, 'the owner of the job')}.${quoteName(name, 'the job')}`;
    await session.execute(`DROP TABLE ${table} PURGE`);
  }
}

/** The code of the server's error, as `serverError` keeps it. */
export function codeOf(error: ClonaError): string | null {
  const code = error.details?.['code'];
  return typeof code === 'string' ? code : null;
}
