import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { OracleSql } from '../../databases/oracle/connect.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import type { OracleTools } from '../../databases/oracle/guest-tools.ts';
import { joinGuest } from '../../databases/oracle/rman-text.ts';
import { ClonaError } from '../../errors.ts';
import type { MachineAccess } from '../machine/access.ts';
import { addressOf, sysdbaOn } from './sessions.ts';

const user = 'CLONA_ADMIN';

/**
 * Runs `work` with an account of a clone that may do everything there, for what the driver must do and the site's own user may not
 * (Data Pump, masking). It is made for this work with a password that nobody is told, and dropped after it; what a kill left goes first.
 * On production there is none.
 */
export async function withCloneAdmin<Result>(
  machine: MachineAccess,
  tools: OracleTools,
  work: (address: DatabaseAddress) => Promise<Result>,
): Promise<Result> {
  const { facts } = machine;
  if (facts.role !== 'staging') throw new ClonaError('internal', `${facts.name} is not a staging machine`);
  const sysdba = sysdbaOn(tools);
  await dropUser(sysdba, tools.signal);
  const password = `C1a_${randomBytes(12).toString('hex')}`;
  await createUser(tools, password);
  const address = addressOf(machine);
  const own = { ...address, user, password, oracle: { ...address.oracle, privilege: 'normal' as const } };
  const result = await work(own).catch(async (error: unknown) => {
    // Why the work failed says more than why the account stays; the next attempt drops it first.
    await dropUser(sysdba, tools.signal).catch(() => {});
    throw error;
  });
  await dropUser(sysdba, tools.signal);
  return result;
}

/** Its sessions are closed, but a server process may take a moment to notice (ORA-01940). */
async function dropUser(sysdba: OracleSql, signal: AbortSignal): Promise<void> {
  const rows = await sysdba.query(`SELECT USERNAME FROM DBA_USERS WHERE USERNAME = '${user}'`);
  if (rows.length === 0) return;
  for (let left = 20; ; left -= 1) {
    try {
      await sysdba.execute(`DROP USER ${user} CASCADE`);
      return;
    } catch (error) {
      if (left === 0 || !/ORA-01940/.test(error instanceof Error ? error.message : '')) throw error;
    }
    await wait(500, undefined, { signal });
  }
}

/** By standard input: a password is in no argument and no file of the machine. */
async function createUser(tools: OracleTools, password: string): Promise<void> {
  const { guest, home, instanceName, signal, workDir } = tools;
  const program = joinGuest(guest.platform, joinGuest(guest.platform, home, 'bin'), 'sqlplus');
  const stdin = [
    'WHENEVER SQLERROR EXIT 1 ROLLBACK',
    'SET DEFINE OFF ECHO OFF',
    'CONNECT / AS SYSDBA',
    `CREATE USER ${user} IDENTIFIED BY "${password}";`,
    `GRANT DBA TO ${user};`,
    'EXIT 0',
    '',
  ].join('\n');
  const env = { ORACLE_HOME: home, ORACLE_SID: instanceName, NLS_LANG: 'AMERICAN_AMERICA.AL32UTF8' };
  const { exitCode, stdout } = await guest.run([program, '-S', '/nolog'], {
    signal,
    cwd: workDir,
    env,
    stdin,
  });
  if (exitCode === 0 && !/^(?:ORA|SP2)-\d/m.test(stdout)) return;
  const code = /\b(?:ORA|SP2)-\d+/.exec(stdout)?.[0] ?? `exit code ${exitCode ?? 'none'}`;
  throw new ClonaError('databaseFailed', `an account for the proof cannot be made on the clone: ${code}`, {
    hint: 'a password rule of the default profile may refuse it; look at the log of the database',
  });
}
