import { toClonaError } from '../../../errors.ts';
import type { OracleSql } from '../connect.ts';
import { quoteName } from '../rman-text.ts';
import { findWrong, setParameters, type OracleFenceItem } from './item.ts';

/** 0 stops DBMS_JOB and the Scheduler (Database Reference, JOB_QUEUE_PROCESSES), and queues are not propagated. */
const still = { job_queue_processes: '0', aq_tm_processes: '0' };

export const jobProcesses: OracleFenceItem = {
  name: 'job processes',
  apply: async ({ session }) => setParameters(session, still),
  findHoles: async ({ session }) => findWrong(session, still),
};

/** The server's own jobs stay: they send nothing, and its upgrades expect them. From 19c on jobs of DBMS_JOB stand here, too. */
const enabledJobs = `SELECT OWNER, JOB_NAME FROM DBA_SCHEDULER_JOBS WHERE ENABLED = 'TRUE' AND JOB_NAME NOT LIKE 'DBMS\\_JOB$\\_%' ESCAPE '\\'
 AND OWNER IN (SELECT USERNAME FROM DBA_USERS WHERE ORACLE_MAINTAINED = 'N') ORDER BY OWNER, JOB_NAME`;
const runningJobs = 'SELECT OWNER, JOB_NAME FROM DBA_SCHEDULER_RUNNING_JOBS ORDER BY OWNER, JOB_NAME';

/**
 * JOB_QUEUE_PROCESSES is one word away from production's own value, and a kit or a start-up script may say it: so every job of the
 * application is disabled as well. What runs is stopped first (PL/SQL Packages and Types Reference, DBMS_SCHEDULER).
 */
export const schedulerJobs: OracleFenceItem = {
  name: 'scheduler jobs',
  apply: async ({ session }) => {
    for (const name of await namesOf(session, runningJobs)) {
      // ORA-27366: it ended by itself in the meantime.
      await passOver(/ORA-27366/, async () =>
        session.execute('BEGIN DBMS_SCHEDULER.STOP_JOB(job_name => :name, force => TRUE); END;', { name }),
      );
    }
    for (const name of await namesOf(session, enabledJobs)) {
      await session.execute('BEGIN DBMS_SCHEDULER.DISABLE(name => :name, force => TRUE); END;', { name });
    }
  },
  findHoles: async ({ session }) => [
    ...(await session.query(runningJobs)).map(
      ([owner, job]) => `the job ${owner ?? ''}.${job ?? ''} is running`,
    ),
    ...(await session.query(enabledJobs)).map(
      ([owner, job]) => `the job ${owner ?? ''}.${job ?? ''} is enabled`,
    ),
  ],
};

const workingJobs = `SELECT JOB, LOG_USER FROM DBA_JOBS WHERE BROKEN = 'N' ORDER BY JOB`;

/** DBMS_JOB.BROKEN is for one's own jobs (ORA-23421 for those of others); DBMS_IJOB is what SYS has for all. */
export const oldJobs: OracleFenceItem = {
  name: 'jobs of DBMS_JOB',
  apply: async ({ session }) => {
    for (const [job] of await session.query(workingJobs)) {
      await session.execute('BEGIN SYS.DBMS_IJOB.BROKEN(job => :job, broken => TRUE); COMMIT; END;', {
        job: Number(job),
      });
    }
  },
  findHoles: async ({ session }) =>
    (await session.query(workingJobs)).map(
      ([job, user]) => `job ${job ?? ''} of ${user ?? ''} is not broken`,
    ),
};

/** As the package takes them: in double quotes, so that their case stays. */
async function namesOf(session: OracleSql, sql: string): Promise<string[]> {
  const rows = await session.query(sql);
  return rows.map(
    ([owner, job]) => `${quoteName(owner ?? '', 'the owner of a job')}.${quoteName(job ?? '', 'a job')}`,
  );
}

async function passOver(codes: RegExp, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!codes.test(toClonaError(error).message)) throw error;
  }
}
