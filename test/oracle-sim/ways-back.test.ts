import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectOracle, type OracleSession } from '../../src/databases/oracle/connect.ts';
import { runSqlPlus, type OracleTools } from '../../src/databases/oracle/guest-tools.ts';
import { judgeRecovery } from '../../src/databases/oracle/judge-recovery.ts';
import { recoverUntilCancel, sqlPlus } from '../../src/databases/oracle/restore-program.ts';
import { createRestorePoint, writeAfterRevert, writeFlashback } from '../../src/databases/oracle/way-back.ts';
import { createHostGuest } from '../support/host-guest.ts';
import { makeTestFolder } from '../support/machine.ts';
import { abort, stop } from './instance/startup.ts';
import { mounted } from './instance/physical/database.ts';
import { installTools, type Tools } from './machine/tools.ts';
import { startOracleSim, type OracleSim } from './server.ts';

// Driver-verified, not Oracle-verified: the programs of src/databases/oracle/way-back.ts, run by the simulated SQL*Plus.

const { signal } = new AbortController();
let folder: string;
let sim: OracleSim;
let tools: Tools;

beforeEach(async () => {
  folder = await makeTestFolder();
  let clock = Date.parse('2026-03-01T10:00:00Z');
  const recoveryArea = join(folder, 'archive');
  sim = await startOracleSim({
    instance: { now: () => (clock += 1000), storage: { folder: join(folder, 'live'), recoveryArea } },
  });
  tools = await installTools(sim.server, folder);
  await mkdir(join(folder, 'work'));
  await execute('CREATE TABLE orders (id NUMBER)');
});

afterEach(async () => {
  await tools[Symbol.asyncDispose]();
  await sim[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function connect(): Promise<OracleSession> {
  const { host, port, password } = sim;
  return connectOracle(
    { engine: 'oracle', host, port, database: 'ERP', user: 'SYS', password, oracle: { privilege: 'sysdba' } },
    signal,
  );
}

async function execute(sql: string): Promise<void> {
  await using session = await connect();
  await session.driver.execute(sql, [], { autoCommit: true });
}

async function query(sql: string): Promise<(string | null)[][]> {
  await using session = await connect();
  return await session.query(sql);
}

async function run(script: string): Promise<void> {
  const guest: OracleTools = {
    guest: createHostGuest(folder),
    home: tools.home,
    instanceName: 'ERP',
    workDir: join(folder, 'work'),
    signal,
  };
  const { text, exitCode } = await runSqlPlus(guest, 'program', script);
  expect(exitCode, text).toBe(0);
  expect(judgeRecovery({ text, exitCode, openMode: 'READ WRITE' })).toBeNull();
}

test('after a revert of the machine LIVE reopens on a new incarnation, and no name of a log is used twice', async () => {
  await execute('INSERT INTO orders VALUES (1)');
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  // A snapshot of the machine's disks while it runs; the archive lies elsewhere.
  cpSync(join(folder, 'live'), join(folder, 'snapshot'), { recursive: true });
  await execute('INSERT INTO orders VALUES (2)');
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  abort(sim.instance);
  rmSync(join(folder, 'live'), { recursive: true });
  cpSync(join(folder, 'snapshot'), join(folder, 'live'), { recursive: true });
  await run(writeAfterRevert([1]));
  expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
  const incarnations = await query('SELECT status FROM v$database_incarnation ORDER BY incarnation#');
  expect(incarnations).toEqual([['PARENT'], ['CURRENT']]);
  const names = (await query('SELECT name FROM v$archived_log')).flat();
  expect(new Set(names).size).toBe(names.length);
});

test('without a new incarnation the reverted server cannot archive: the name is taken', async () => {
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  cpSync(join(folder, 'live'), join(folder, 'snapshot'), { recursive: true });
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  abort(sim.instance);
  rmSync(join(folder, 'live'), { recursive: true });
  cpSync(join(folder, 'snapshot'), join(folder, 'live'), { recursive: true });
  await run(sqlPlus(['STARTUP']));
  await expect(execute('ALTER SYSTEM ARCHIVE LOG CURRENT')).rejects.toThrow('ORA-00257');
});

test('FLASHBACK to a guaranteed restore point by its program', async () => {
  await execute('INSERT INTO orders VALUES (1)');
  await using session = await connect();
  await createRestorePoint(session, 'BEFORE_KIT');
  await execute('INSERT INTO orders VALUES (2)');
  await run(writeFlashback('BEFORE_KIT'));
  expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
});

test('a cold copy opens with RESETLOGS after a recovery that is cancelled before its first log', async () => {
  await execute('INSERT INTO orders VALUES (1)');
  stop(sim.instance, 'IMMEDIATE');
  const pfile = join(folder, 'init.ora');
  const data = join(folder, 'live', 'oradata', 'ERP');
  writeFileSync(pfile, `*.db_name='ERP'\n*.control_files='${data}/control01.ctl'\n`);
  await run(
    sqlPlus([
      `STARTUP MOUNT PFILE='${pfile}'`,
      ...recoverUntilCancel('USING BACKUP CONTROLFILE '),
      'ALTER DATABASE OPEN RESETLOGS;',
    ]),
  );
  expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
  expect(mounted(sim.instance.database!).current).toBe(2);
});
