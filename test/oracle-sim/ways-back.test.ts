import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { connectOracle, type OracleSession } from '../../src/databases/oracle/connect.ts';
import { runSqlPlus, type OracleTools } from '../../src/databases/oracle/guest-tools.ts';
import { judgeRecovery } from '../../src/databases/oracle/judge-recovery.ts';
import { foretellReset, type LiveGuard } from '../../src/databases/oracle/live/decide.ts';
import { guardLive, releaseGuard, restrictLive } from '../../src/databases/oracle/live/guard.ts';
import { readLiveState } from '../../src/databases/oracle/live/state.ts';
import { flashBackLive, reopenAfterRevert } from '../../src/databases/oracle/live/take-back.ts';
import { recoverUntilCancel, sqlPlus } from '../../src/databases/oracle/restore-program.ts';
import { readOracleCatalog } from '../../src/databases/oracle/site-catalog.ts';
import { silent } from '../../src/progress.ts';
import { asPosition } from '../../src/recovery/position.ts';
import { createHostGuest } from '../support/host-guest.ts';
import { makeTestFolder } from '../support/machine.ts';
import { abort, stop } from './instance/startup.ts';
import { mounted } from './instance/physical/database.ts';
import { readRedoLog } from './instance/physical/files.ts';
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

function addressOf(): DatabaseAddress {
  const { host, port, password } = sim;
  return {
    engine: 'oracle',
    host,
    port,
    database: 'ERP',
    user: 'SYS',
    password,
    oracle: { privilege: 'sysdba' },
  };
}

function connect(): Promise<OracleSession> {
  return connectOracle(addressOf(), signal);
}

async function execute(sql: string): Promise<void> {
  await using session = await connect();
  await session.driver.execute(sql, [], { autoCommit: true });
}

async function query(sql: string): Promise<(string | null)[][]> {
  await using session = await connect();
  return await session.query(sql);
}

async function run(script: string, openMode: string | null = 'READ WRITE'): Promise<void> {
  const { text, exitCode } = await runSqlPlus(toolsOf(), 'program', script);
  expect(exitCode, text).toBe(0);
  expect(judgeRecovery({ text, exitCode, ...(openMode === null ? {} : { openMode }) })).toBeNull();
}

function toolsOf(): OracleTools {
  return {
    guest: createHostGuest(folder),
    home: tools.home,
    instanceName: 'ERP',
    workDir: join(folder, 'work'),
    signal,
  };
}

const live = (): string => join(folder, 'live');

/** The first SCN that the snapshot does not hold. */
let snapshotEnd = 0n;

function snapshot(): void {
  snapshotEnd = mounted(sim.instance.database!).scn + 1n;
  cpSync(live(), join(folder, 'snapshot'), { recursive: true });
}

/** The machine's disks as they were; the archive lies elsewhere. */
function revert(): void {
  abort(sim.instance);
  rmSync(live(), { recursive: true });
  cpSync(join(folder, 'snapshot'), live(), { recursive: true });
}

/** Every file of the archive by its content. */
function archived(): Map<string, string> {
  const top = join(folder, 'archive');
  const files = readdirSync(top, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path, createHash('sha256').update(readFileSync(path)).digest('hex')];
    }),
  );
}

describe('LIVE back by the snapshot of its machine', () => {
  const reopen = (guard: LiveGuard) =>
    reopenAfterRevert({
      tools: toolsOf(),
      guard,
      quarantineDir: join(folder, 'live', 'quarantine'),
      onProgress: silent,
    });

  /** A guard, a snapshot, and a promotion that goes wrong after it has archived. */
  async function promoteBadly(): Promise<LiveGuard> {
    await execute('INSERT INTO orders VALUES (1)');
    await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    const guard = await guardLive(toolsOf(), 'CLONA_GUARD');
    snapshot();
    await execute('INSERT INTO orders VALUES (2)');
    await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    return guard;
  }

  test('it reopens on a new incarnation, no log of the old branch is overwritten, and the archive goes on', async () => {
    const guard = await promoteBadly();
    const end = snapshotEnd;
    const before = archived();
    revert();
    const report = await reopen(guard);
    expect(report).toMatchObject({ way: 'revert', did: true, incarnation: 2, parent: guard.resetlogs });
    expect(report.exact).toBe(true);
    // What the abandoned branch wrote lies behind the new one's beginning: a log of its name serves both up to there.
    const abandoned = [...before.keys()].flatMap((path) =>
      path.endsWith('.arc') ? [readRedoLog(path)] : [],
    );
    const written = abandoned.flatMap(({ records }) => records.map(({ scn }) => scn));
    expect(written.filter((scn) => scn >= end)).not.toEqual([]);
    expect(report.branchPosition).toBeGreaterThanOrEqual(BigInt(guard.scn));
    expect(report.branchPosition).toBeLessThanOrEqual(end);
    expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
    const after = archived();
    for (const [path, hash] of before) expect(after.get(path), path).toBe(hash);
    expect(after.size).toBe(before.size + 1);
    const { catalog } = await readOracleCatalog(addressOf(), { archiveDir: join(folder, 'memory') }, signal);
    expect(catalog.currentIncarnation).toBe(2);
    expect(catalog.incarnations.find(({ id }) => id === 2)).toMatchObject({ parent: 1 });
    expect(catalog.logs.filter(({ incarnation }) => incarnation === 2)).toHaveLength(1);
    expect((await readLiveState(toolsOf())).restricted).toBe(true);
  });

  test('a call that is repeated, whenever the first was killed, gives no second incarnation', async () => {
    const guard = await promoteBadly();
    revert();
    const first = await reopen(guard);
    expect(await reopen(guard)).toMatchObject({
      did: false,
      incarnation: 2,
      branchPosition: first.branchPosition,
    });
    abort(sim.instance);
    expect(await reopen(guard)).toMatchObject({ incarnation: 2, branchPosition: first.branchPosition });
    const names = await query('SELECT DESTINATION FROM V$ARCHIVE_DEST WHERE DEST_ID = 1');
    expect(names).toEqual([['USE_DB_RECOVERY_FILE_DEST']]);
  });

  test.each([
    ['started it by itself', ['STARTUP']],
    ['was killed before the control file', ['STARTUP NOMOUNT']],
  ])('also where the machine, or an earlier run, %s', async (_, statements) => {
    const guard = await promoteBadly();
    revert();
    await run(sqlPlus(statements), null);
    expect(await reopen(guard)).toMatchObject({ did: true, incarnation: 2 });
    expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
  });

  test('also where the online log cannot be applied in the mounted state: by one open and a clean shutdown', async () => {
    const guard = await promoteBadly();
    revert();
    sim.faults.failing.push({
      statement: /RECOVER DATABASE$/,
      code: 283,
      text: 'recovery session canceled due to errors',
    });
    expect(await reopen(guard)).toMatchObject({ did: true, incarnation: 2, exact: false });
    expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
  });

  test('a snapshot of another incarnation is refused', async () => {
    const guard = await promoteBadly();
    revert();
    await expect(reopen({ ...guard, resetlogs: '7' })).rejects.toMatchObject({
      kind: 'recoveryFailed',
      message: expect.stringContaining('it is another snapshot') as string,
    });
  });
});

test('without a new incarnation the reverted server cannot archive: the name is taken', async () => {
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  snapshot();
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  revert();
  await run(sqlPlus(['STARTUP']));
  await expect(execute('ALTER SYSTEM ARCHIVE LOG CURRENT')).rejects.toThrow('ORA-00257');
});

describe('LIVE back by FLASHBACK DATABASE', () => {
  const back = (guard: LiveGuard) => flashBackLive(toolsOf(), guard, silent);

  async function promoteBadly(): Promise<LiveGuard> {
    await execute('INSERT INTO orders VALUES (1)');
    const guard = await guardLive(toolsOf(), 'CLONA_GUARD');
    await execute('INSERT INTO orders VALUES (2)');
    await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    return guard;
  }

  test('says what it does to history, does it, and verifies where LIVE is', async () => {
    const guard = await promoteBadly();
    expect(guard).toMatchObject({ kind: 'flashback', name: 'CLONA_GUARD' });
    const { catalog } = await readOracleCatalog(addressOf(), { archiveDir: join(folder, 'memory') }, signal);
    const forecast = foretellReset(
      catalog,
      asPosition(BigInt(guard.resetlogs)),
      asPosition(BigInt(guard.scn)),
    );
    expect(forecast).toMatchObject({ parent: 1, orphanedLogs: 1 });
    const before = archived();
    const report = await back(guard);
    expect(report).toMatchObject({ way: 'flashback', did: true, incarnation: 2, parent: guard.resetlogs });
    expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
    const after = archived();
    for (const [path, hash] of before) expect(after.get(path), path).toBe(hash);
    expect(await readLiveState(toolsOf())).toMatchObject({ restricted: true, openMode: 'READ WRITE' });
  });

  test('a second call does nothing, and the restore point goes once', async () => {
    const guard = await promoteBadly();
    await back(guard);
    expect(await back(guard)).toMatchObject({ did: false, incarnation: 2 });
    await restrictLive(toolsOf(), false);
    expect(await releaseGuard(toolsOf(), guard.name)).toBe(true);
    expect(await releaseGuard(toolsOf(), guard.name)).toBe(false);
    expect((await readLiveState(toolsOf())).restorePoints).toEqual([]);
  });

  test.each([
    ['shut down', ['SHUTDOWN IMMEDIATE']],
    [
      'flashed back and not opened',
      ['SHUTDOWN IMMEDIATE', 'STARTUP RESTRICT MOUNT', 'FLASHBACK DATABASE TO RESTORE POINT "CLONA_GUARD";'],
    ],
  ])('goes on where the first call was killed: %s', async (_, statements) => {
    const guard = await promoteBadly();
    await run(sqlPlus(statements), null);
    expect(await back(guard)).toMatchObject({ did: true, incarnation: 2 });
    expect(await query('SELECT SUM(id) FROM orders')).toEqual([['1']]);
  });

  test('the guard is put up once: a second call keeps the first SCN', async () => {
    const guard = await promoteBadly();
    expect(await guardLive(toolsOf(), guard.name)).toMatchObject({ scn: guard.scn });
  });

  test('is refused where the restore point was made anew, or is gone', async () => {
    const guard = await promoteBadly();
    await expect(back({ ...guard, scn: '17' })).rejects.toThrow('somebody made it anew');
    await releaseGuard(toolsOf(), guard.name);
    await expect(back(guard)).rejects.toThrow('the restore point CLONA_GUARD is gone');
    expect(await query('SELECT SUM(id) FROM orders')).toEqual([['3']]);
  });

  test('a restore point of that name that is not ours is left alone', async () => {
    await execute('CREATE RESTORE POINT CLONA_GUARD');
    await expect(guardLive(toolsOf(), 'CLONA_GUARD')).rejects.toMatchObject({ kind: 'targetOccupied' });
  });

  test('a full recovery area is told of as such, and nothing is half-made', async () => {
    sim.faults.failing.push({
      statement: /GUARANTEE/,
      code: 38_784,
      text: "Cannot create restore point 'CLONA_GUARD'.\nORA-19809: limit exceeded for recovery files",
    });
    await expect(guardLive(toolsOf(), 'CLONA_GUARD')).rejects.toMatchObject({
      kind: 'diskFull',
      exitCode: 6,
    });
  });

  test('a cluster is refused before anything is touched: nothing would take it back', async () => {
    sim.instance.database!.parameters.set('cluster_database', 'TRUE');
    await expect(guardLive(toolsOf(), 'CLONA_GUARD')).rejects.toMatchObject({
      kind: 'serverUnfit',
      exitCode: 2,
    });
  });

  test('in the Standard Edition the snapshot is the only way, and nothing is created', async () => {
    sim.instance.settings.edition = 'SE2';
    const guard = await guardLive(toolsOf(), 'CLONA_GUARD');
    expect(guard).toMatchObject({ kind: 'snapshot' });
    expect(guard.reasons[0]).toContain('ORA-00439');
    await expect(execute('CREATE RESTORE POINT x GUARANTEE FLASHBACK DATABASE')).rejects.toThrow('ORA-00439');
    await expect(back(guard)).rejects.toThrow('there was no guaranteed restore point');
  });
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
