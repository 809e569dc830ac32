import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import oracledb from 'oracledb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestFolder } from '../support/machine.ts';
import { forgetRecords } from './instance/forget.ts';
import { mounted } from './instance/physical/database.ts';
import { abort, startUp, stop } from './instance/startup.ts';
import { startOracleSim, type OracleSim } from './server.ts';

let folder: string;
let sim: OracleSim;
let connection: oracledb.Connection;

beforeEach(async () => {
  folder = await makeTestFolder();
  let clock = Date.parse('2026-03-01T10:00:00Z');
  sim = await startOracleSim({ instance: { storage: { folder }, now: () => (clock += 1000) } });
  connection = await oracledb.getConnection(sim);
  await connection.execute('CREATE TABLE orders (id NUMBER, note VARCHAR2(40))');
});

afterEach(async () => {
  await connection.close().catch(() => {});
  await sim[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const insert = async (id: number): Promise<void> => {
  await connection.execute('INSERT INTO orders (id, note) VALUES (:1, :2)', [id, `order ${id}`]);
  await connection.commit();
};

const sum = async (by = connection): Promise<unknown> =>
  (await by.execute<unknown[]>('SELECT COUNT(*), SUM(id) FROM clona.orders')).rows?.[0];

const rows = async (sql: string): Promise<Record<string, unknown>[]> =>
  (await connection.execute<Record<string, unknown>>(sql, [], { outFormat: oracledb.OUT_FORMAT_OBJECT }))
    .rows ?? [];

const asSysdba = (): Promise<oracledb.Connection> =>
  oracledb.getConnection({ ...sim, user: 'SYS', privilege: oracledb.SYSDBA });

describe('a simulated instance with files', () => {
  test('shows what was committed to others, and what was not to its own session only', async () => {
    await insert(1);
    await connection.execute('INSERT INTO orders VALUES (2, NULL)');
    await using other = await oracledb.getConnection(sim);
    expect(await sum(other)).toEqual([1, 1]);
    expect(await sum()).toEqual([2, 3]);
    await expect(other.execute('UPDATE clona.orders SET id = 3')).rejects.toThrow('ORA-00054');
    await connection.rollback();
    expect(await sum()).toEqual([1, 1]);
  });

  test('archives a log at a switch, and the views tell of it without a gap', async () => {
    await insert(1);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await insert(2);
    await connection.execute('ALTER SYSTEM SWITCH LOGFILE');
    const logs = await rows(
      'SELECT sequence#, name, first_change#, next_change# FROM v$archived_log ORDER BY sequence#',
    );
    expect(logs.map((log) => log['SEQUENCE#'])).toEqual([1, 2]);
    expect(logs[1]?.['FIRST_CHANGE#']).toBe(logs[0]?.['NEXT_CHANGE#']);
    expect(logs.every(({ NAME }) => existsSync(String(NAME)))).toBe(true);
    expect(await rows("SELECT sequence# FROM v$log WHERE status = 'CURRENT'")).toEqual([{ 'SEQUENCE#': 3 }]);
  });

  test('survives a crash: committed rows stay, others go', async () => {
    await insert(1);
    await connection.execute('INSERT INTO orders VALUES (2, NULL)');
    abort(sim.instance);
    await expect(connection.execute('SELECT 1 FROM dual')).rejects.toThrow('NJS-500');
    startUp(sim.instance, { force: false, restricted: false, until: 'OPEN', pfile: null });
    connection = await oracledb.getConnection(sim);
    expect(await sum()).toEqual([1, 1]);
  });

  test('will not start after a crash in backup mode, until END BACKUP', async () => {
    await insert(1);
    await connection.execute('ALTER TABLESPACE erp BEGIN BACKUP');
    await expect(connection.execute('ALTER TABLESPACE erp BEGIN BACKUP')).rejects.toThrow('ORA-01146');
    await insert(2);
    expect(await rows("SELECT file# FROM v$backup WHERE status = 'ACTIVE'")).toEqual([{ 'FILE#': 5 }]);
    abort(sim.instance);
    const open = { force: false, restricted: false, until: 'OPEN', pfile: null } as const;
    expect(() => startUp(sim.instance, open)).toThrow('ORA-10873');
    await using dba = await asSysdba();
    await dba.execute('ALTER DATABASE END BACKUP');
    await dba.execute('ALTER DATABASE OPEN');
    connection = await oracledb.getConnection(sim);
    expect(await sum()).toEqual([2, 3]);
  });

  test('refuses to archive when there is no room, and says so to whoever asks for it', async () => {
    const area = join(folder, 'fra');
    await rm(area, { recursive: true, force: true });
    await writeFile(area, 'no folder');
    await expect(connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT')).rejects.toThrow('ORA-00257');
  });

  test('takes a restore point, and drops it', async () => {
    await using dba = await asSysdba();
    await dba.execute('CREATE RESTORE POINT before_kit GUARANTEE FLASHBACK DATABASE');
    expect(await rows('SELECT name, guarantee_flashback_database g FROM v$restore_point')).toEqual([
      { NAME: 'BEFORE_KIT', G: 'YES' },
    ]);
    await expect(dba.execute('CREATE RESTORE POINT before_kit')).rejects.toThrow('ORA-38778');
    await dba.execute('DROP RESTORE POINT before_kit');
    await expect(dba.execute('DROP RESTORE POINT before_kit')).rejects.toThrow('ORA-38780');
  });

  test.each([
    ['ALTER SYSTEM SWITCH LOGS', 'ORA-02065'],
    ['ALTER TABLESPACE nowhere BEGIN BACKUP', 'ORA-00959'],
    ['ALTER TABLESPACE erp END BACKUP', 'ORA-01142'],
    ['ALTER DATABASE OPEN', 'ORA-01031'],
    ['ALTER DATABASE FROBNICATE', 'ORA-02231'],
    ['ALTER GARDEN', 'ORA-00940'],
    ['CREATE GARDEN', 'ORA-00901'],
    ['ALTER SYSTEM SET no_such = 1', 'ORA-02065'],
    ['ALTER SYSTEM SET db_name = x', 'ORA-02095'],
    ['ALTER SYSTEM CHECKPOINT;', 'ORA-00911'],
    ['INSERT INTO orders VALUES (1)', 'ORA-00947'],
    ["INSERT INTO orders VALUES ('x', NULL)", 'ORA-01722'],
    ['UPDATE nothing SET a = 1', 'ORA-00942'],
    ['BEGIN dbms_garden.dig(1); END;', 'PLS-00201'],
  ])('refuses %s', async (sql, code) => {
    await expect(connection.execute(sql)).rejects.toThrow(code);
  });
});

/** What `cp` does, file by file. */
function copyFiles(to: string): void {
  mkdirSync(to, { recursive: true });
  for (const { name } of mounted(sim.instance.database!).files) copyFileSync(name, join(to, basename(name)));
}

/** The machine is lost but for the copies, the archived logs and a control file. */
async function bringBack(from: string): Promise<oracledb.Connection> {
  const { files } = structuredClone(mounted(sim.instance.database!));
  await connection.close();
  stop(sim.instance, 'ABORT');
  for (const { name } of files) copyFileSync(join(from, basename(name)), name);
  startUp(sim.instance, { force: false, restricted: false, until: 'MOUNT', pfile: null });
  return asSysdba();
}

describe('a hot backup of the simulated instance', () => {
  test('comes back to an SCN between, and begins a new incarnation', async () => {
    await insert(1);
    await connection.execute('ALTER DATABASE BEGIN BACKUP');
    await insert(2);
    copyFiles(join(folder, 'copies'));
    await insert(4);
    await connection.execute('ALTER DATABASE END BACKUP');
    await insert(8);
    const [{ SCN: scn } = {}] = await rows('SELECT TO_CHAR(current_scn + 1) scn FROM v$database');
    await insert(16);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await using dba = await bringBack(join(folder, 'copies'));
    await expect(dba.execute('ALTER DATABASE OPEN')).rejects.toThrow('ORA-01113');
    await dba.execute(`ALTER DATABASE RECOVER DATABASE UNTIL CHANGE ${String(scn)}`);
    await expect(dba.execute('ALTER DATABASE OPEN')).rejects.toThrow('ORA-01589');
    await dba.execute('ALTER DATABASE OPEN RESETLOGS');
    connection = await oracledb.getConnection(sim);
    expect(await sum()).toEqual([4, 15]);
    const incarnations = await rows(
      'SELECT incarnation#, status, prior_incarnation# p FROM v$database_incarnation',
    );
    expect(incarnations).toEqual([
      { 'INCARNATION#': 1, STATUS: 'PARENT', P: 0 },
      { 'INCARNATION#': 2, STATUS: 'CURRENT', P: 1 },
    ]);
  });

  test('is of no use before its END BACKUP', async () => {
    await connection.execute('ALTER DATABASE BEGIN BACKUP');
    await insert(1);
    copyFiles(join(folder, 'copies'));
    const [{ SCN: scn } = {}] = await rows('SELECT TO_CHAR(current_scn + 1) scn FROM v$database');
    await insert(2);
    await connection.execute('ALTER DATABASE END BACKUP');
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await using dba = await bringBack(join(folder, 'copies'));
    await expect(dba.execute(`ALTER DATABASE RECOVER DATABASE UNTIL CHANGE ${String(scn)}`)).rejects.toThrow(
      'ORA-01547',
    );
    await expect(dba.execute('ALTER DATABASE OPEN RESETLOGS')).rejects.toThrow('ORA-01194');
  });

  test('without backup mode is fractured, and recovery finds it', async () => {
    await insert(1);
    await insert(2);
    copyFiles(join(folder, 'copies'));
    await insert(4);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await using dba = await bringBack(join(folder, 'copies'));
    await expect(dba.execute('ALTER DATABASE RECOVER DATABASE')).rejects.toThrow('ORA-01578');
  });

  test('says which log is missing', async () => {
    await connection.execute('ALTER DATABASE BEGIN BACKUP');
    copyFiles(join(folder, 'copies'));
    await connection.execute('ALTER DATABASE END BACKUP');
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    for (let round = 0; round < 4; round += 1) {
      await insert(round);
      await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    }
    const [{ NAME: lost } = {}] = await rows('SELECT name FROM v$archived_log WHERE sequence# = 2');
    await rm(String(lost));
    await using dba = await bringBack(join(folder, 'copies'));
    await expect(dba.execute('ALTER DATABASE RECOVER DATABASE')).rejects.toThrow(/sequence #2[^]*ORA-00308/);
    expect(readdirSync(join(folder, 'copies'))).toHaveLength(5);
    expect(readFileSync(join(folder, 'copies', 'erp01.dbf'), 'utf8')).toContain('SIMULATED ORACLE DATAFILE');
  });
});

describe('ways back of a simulated LIVE', () => {
  test('a guaranteed restore point brings the rows back, on a new incarnation', async () => {
    await insert(1);
    await using dba = await asSysdba();
    await dba.execute('CREATE RESTORE POINT before_kit GUARANTEE FLASHBACK DATABASE');
    await insert(2);
    await expect(dba.execute('FLASHBACK DATABASE TO RESTORE POINT before_kit')).rejects.toThrow('ORA-38757');
    await connection.close();
    abort(sim.instance);
    startUp(sim.instance, { force: false, restricted: false, until: 'MOUNT', pfile: null });
    await using mounted = await asSysdba();
    await mounted.execute('FLASHBACK DATABASE TO RESTORE POINT before_kit');
    await expect(mounted.execute('ALTER DATABASE OPEN')).rejects.toThrow('ORA-01589');
    await mounted.execute('ALTER DATABASE OPEN RESETLOGS');
    connection = await oracledb.getConnection(sim);
    expect(await sum()).toEqual([1, 1]);
    expect(await rows("SELECT incarnation# i FROM v$database_incarnation WHERE status = 'CURRENT'")).toEqual([
      { I: 2 },
    ]);
  });

  test('Standard Edition has none', async () => {
    sim.instance.settings.edition = 'SE2';
    await using dba = await asSysdba();
    await expect(dba.execute('CREATE RESTORE POINT p GUARANTEE FLASHBACK DATABASE')).rejects.toThrow(
      'ORA-00439',
    );
  });

  test('a restart of the node breaks sessions and loses nothing that was committed', async () => {
    await insert(1);
    sim.restartNode();
    await expect(sum()).rejects.toThrow(/NJS-500|NJS-003/);
    connection = await oracledb.getConnection(sim);
    expect(await sum()).toEqual([1, 1]);
  });

  test('backup mode makes redo dear, and the statistics show it', async () => {
    const redo = async (): Promise<number> =>
      Number((await rows("SELECT value FROM v$sysstat WHERE name = 'redo size'"))[0]?.['VALUE']);
    const before = await redo();
    await insert(1);
    const plain = (await redo()) - before;
    await connection.execute('ALTER DATABASE BEGIN BACKUP');
    const begun = await redo();
    await insert(2);
    expect((await redo()) - begun).toBeGreaterThan(plain * 10);
  });

  test('shows every archive destination, and which of them are used', async () => {
    await connection.execute("ALTER SYSTEM SET log_archive_dest_7 = 'SERVICE=standby' SCOPE = BOTH");
    const used = await rows(
      "SELECT dest_id, target, destination FROM v$archive_dest WHERE status <> 'INACTIVE'",
    );
    expect(used).toEqual([
      { DEST_ID: 1, TARGET: 'PRIMARY', DESTINATION: 'USE_DB_RECOVERY_FILE_DEST' },
      { DEST_ID: 7, TARGET: 'STANDBY', DESTINATION: 'standby' },
    ]);
    await connection.execute("ALTER SYSTEM SET log_archive_dest_7 = '' SCOPE = BOTH");
    expect(await rows('SELECT COUNT(*) n FROM v$archive_dest WHERE destination IS NOT NULL')).toEqual([
      { N: 1 },
    ]);
  });
});

describe('the recovery area of the simulated instance', () => {
  test('gives up logs that are backed up before it is full, and then says so', async () => {
    await insert(1);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    const control = mounted(sim.instance.database!);
    const [first] = control.archived;
    expect(
      await rows("SELECT number_of_files n FROM v$recovery_area_usage WHERE file_type = 'ARCHIVED LOG'"),
    ).toEqual([{ N: 1 }]);
    const [{ U: used } = {}] = await rows('SELECT space_used u FROM v$recovery_file_dest');
    await connection.execute(
      `ALTER SYSTEM SET db_recovery_file_dest_size = ${Number(used) + 200} SCOPE = BOTH`,
    );
    await insert(2);
    await expect(connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT')).rejects.toThrow('ORA-00257');
    first!.backups = 1;
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    expect(existsSync(first!.name)).toBe(false);
    expect(await rows("SELECT sequence# s FROM v$archived_log WHERE deleted = 'NO'")).toEqual([{ S: 2 }]);
  });

  test('while the archiver is stuck only SYSDBA gets in', async () => {
    sim.instance.archiverStuck = true;
    await expect(oracledb.getConnection(sim)).rejects.toThrow('ORA-00257');
    await using dba = await asSysdba();
    await dba.ping();
  });

  test('what the control file forgets is gone from the views, not from the disk', async () => {
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    const [log] = mounted(sim.instance.database!).archived;
    forgetRecords(sim.instance, Infinity);
    expect(await rows('SELECT name FROM v$archived_log')).toEqual([]);
    expect(existsSync(log!.name)).toBe(true);
  });

  test('a session sees its own privileges and roles', async () => {
    sim.instance.users.push({
      name: 'POOR',
      password: 'x',
      grants: ['CREATE SESSION', 'SELECT_CATALOG_ROLE', 'SELECT ON SYS.V_$LOG'],
    });
    await using poor = await oracledb.getConnection({ ...sim, user: 'poor', password: 'x' });
    expect((await poor.execute('SELECT privilege FROM session_privs')).rows).toEqual([['CREATE SESSION']]);
    expect((await poor.execute('SELECT role FROM session_roles')).rows).toEqual([['SELECT_CATALOG_ROLE']]);
  });
});

test('CURRENT_SCHEMA is where names without a schema are looked for, and rights stay those of the user', async () => {
  await connection.execute('CREATE USER erp IDENTIFIED BY x QUOTA UNLIMITED ON ERP');
  await connection.execute('CREATE TABLE erp.items (id NUMBER)');
  await connection.execute('ALTER SESSION SET CURRENT_SCHEMA = erp');
  await connection.execute('INSERT INTO items VALUES (1)');
  expect(await rows('SELECT COUNT(*) n FROM items')).toEqual([{ N: 1 }]);
  await expect(connection.execute('SELECT * FROM orders')).rejects.toThrow('ORA-00942');
  await expect(connection.execute("ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY'")).rejects.toThrow(
    'not simulated',
  );
});
