import { readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import oracledb from 'oracledb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  applyKit,
  requireSuccess,
  type ApplyKitOptions,
  type KitReport,
} from '../../../src/kit/apply/apply.ts';
import { fetchKit } from '../../../src/kit/fetch.ts';
import { installTools, type Tools } from '../../oracle-sim/machine/tools.ts';
import { startOracleSim, type OracleSim } from '../../oracle-sim/server.ts';
import { createHostGuest } from '../../support/host-guest.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { createWindowsHostGuest } from '../../support/windows-host-guest.ts';
import { writeFolder } from '../helpers/archives.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

const never = new AbortController().signal;
const password = 'Erp_S3cret';
let folder: string;
let disk: string;
let sim: OracleSim;
let tools: Tools;
let connection: oracledb.Connection;
let kits = 0;

beforeEach(async () => {
  folder = await makeTestFolder();
  disk = join(folder, 'system');
  sim = await startOracleSim({ instance: { storage: { folder: join(folder, 'db') } } });
  tools = await installTools(sim.server, folder);
  connection = await oracledb.getConnection(sim);
  await writeFolder(disk, [{ path: 'VERSION', content: '2.0\n' }]);
  for (const sql of [
    `CREATE USER erp IDENTIFIED BY "${password}" QUOTA UNLIMITED ON ERP`,
    'GRANT CREATE SESSION, CREATE TABLE, CREATE PROCEDURE, CREATE VIEW TO erp',
    'CREATE TABLE erp.orders (id NUMBER)',
    'CREATE TABLE erp.old_orders (id NUMBER)',
    'CREATE OR REPLACE VIEW erp.history AS SELECT id FROM erp.old_orders',
  ]) {
    await connection.execute(sql);
  }
});

afterEach(async () => {
  await connection.close();
  await tools[Symbol.asyncDispose]();
  await sim[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function apply(
  script: string,
  more: {
    step?: string;
    logon?: NonNullable<ApplyKitOptions['sqlPlus']>['logon'];
    files?: Record<string, string>;
    schema?: string;
  } = {},
): Promise<KitReport> {
  kits += 1;
  const vendor = join(folder, `vendor${kits}`);
  const step = more.step ?? 'sqlplus: sql/up.sql';
  const files = Object.entries(more.files ?? {}).map(([path, content]) => ({ path, content }));
  await writeFolder(vendor, [
    { path: 'kit.yaml', content: `name: erp\nversion: "2.1"\nfromVersions: ["2.0"]\nsteps:\n  - ${step}\n` },
    { path: 'sql/up.sql', content: script },
    ...files,
  ]);
  const kit = await fetchKit({ source: vendor, into: join(folder, `kit${kits}`), signal: never });
  return applyKit({
    kit,
    guest: createHostGuest(join(folder, 'home')),
    place: { systemDisk: disk, dataDisk: join(folder, 'data') },
    database: () => Promise.reject(new Error('no sql steps here')),
    sqlPlus: {
      logon: more.logon ?? { kind: 'password', user: 'ERP', password, connect: '127.0.0.1/ERP' },
      home: tools.home,
      instanceName: 'ERP',
      schema: more.schema,
      address: {
        engine: 'oracle',
        host: sim.host,
        port: sim.port,
        database: 'ERP',
        user: sim.user,
        password: sim.password,
      },
    },
    onRecord: async () => {},
    signal: never,
  });
}

const count = async (sql: string): Promise<unknown> =>
  (await connection.execute<unknown[]>(`SELECT COUNT(*) FROM ${sql}`)).rows?.[0]?.[0];

describe('a kit for Oracle', () => {
  test('runs a script as the owner, with its neighbours, and writes the version', async () => {
    const report = await apply('PROMPT upgrading\nALTER TABLE orders ADD (due DATE);\n@@more.sql\n', {
      files: { 'sql/more.sql': 'INSERT INTO orders VALUES (1, NULL);\n' },
    });
    expect(report).toMatchObject({ outcome: 'succeeded', versionAfter: '2.1' });
    expect(report.steps[0]).toMatchObject({ kind: 'sqlplus', state: 'done' });
    expect(report.steps[0]?.output).toContain('Table altered.');
    expect(await count("dba_tab_columns WHERE table_name = 'ORDERS'")).toBe(2);
    expect(await count('erp.orders')).toBe(1);
  });

  test('keeps the password out of what it shows and records', async () => {
    const report = await apply(`PROMPT ${password}\nALTER TABLE orders ADD (due DATE);\n`);
    expect(JSON.stringify(report)).not.toContain(password);
    expect(JSON.stringify(report)).not.toContain('CLONA-');
  });

  test('fails at the first error, and what was not committed is undone', async () => {
    const report = await apply(
      'INSERT INTO orders VALUES (1);\nINSERT INTO none VALUES (1);\nINSERT INTO orders VALUES (2);\n',
    );
    expect(report).toMatchObject({ outcome: 'failed', versionAfter: '2.0' });
    expect(report.failure).toBe('sql/up.sql: ORA-00942: table or view does not exist');
    expect(await count('erp.orders')).toBe(0);
  });

  test('fails at an error that the script passes over, unless the kit names it', async () => {
    const script =
      'WHENEVER SQLERROR CONTINUE\nDROP TABLE none;\nWHENEVER SQLERROR EXIT FAILURE\nINSERT INTO orders VALUES (1);\n';
    expect((await apply(script)).failure).toContain('ORA-00942');
    const step = 'sqlplus: { file: sql/up.sql, tolerate: [ORA-00942] }';
    expect((await apply(script, { step })).outcome).toBe('succeeded');
  });

  test.each([
    ['a wrong password', { kind: 'password', user: 'ERP', password: 'wrong' } as const],
    [
      'a service that is not there',
      { kind: 'password', user: 'ERP', password, connect: 'host/NONE' } as const,
    ],
  ])('runs nothing with %s', async (_, logon) => {
    const report = await apply('INSERT INTO orders VALUES (1);\n', { logon });
    expect(report.failure).toContain('it could not log on');
    expect(await count('erp.orders')).toBe(0);
  });

  test('by SQLcl fails and succeeds as by SQL*Plus', async () => {
    const step = 'sqlcl: sql/up.sql';
    const bad = await apply('INSERT INTO none VALUES (1);\n', { step });
    expect(bad.failure).toContain('ORA-00942');
    expect((await apply('INSERT INTO orders VALUES (1);\n', { step })).outcome).toBe('succeeded');
    expect(await count('erp.orders')).toBe(1);
  });

  test('says that what ran before the error stays, because DDL commits', async () => {
    const report = await apply(
      'INSERT INTO orders VALUES (1);\nALTER TABLE orders ADD (due DATE);\nDROP TABLE none;\n',
    );
    expect(report.outcome).toBe('failed');
    expect(report.steps[0]?.output).toContain('what ran before stays: DDL commits by itself');
    expect(await count('erp.orders')).toBe(1);
    expect(() => requireSuccess(report, 'LIVE')).toThrow(
      expect.objectContaining({
        hint: expect.stringContaining('no transaction brings it back') as string,
      }) as Error,
    );
  });

  test('by SYSDBA makes what has no owner in the schema of the application, never in SYS', async () => {
    const sysdba = { logon: { kind: 'sysdba' } as const, schema: 'ERP' };
    const script = 'CREATE TABLE fresh (id NUMBER);\nINSERT INTO orders VALUES (1);\n';
    expect((await apply(script, sysdba)).outcome).toBe('succeeded');
    expect(await count("dba_tables WHERE owner = 'ERP' AND table_name = 'FRESH'")).toBe(1);
    expect(await count('erp.orders')).toBe(1);
    await writeFile(join(disk, 'VERSION'), '2.0\n');
    await connection.execute('CREATE USER "Other" IDENTIFIED BY "x" QUOTA UNLIMITED ON ERP');
    const step = `sqlplus: { file: sql/up.sql, schema: '"Other"' }`;
    const report = await apply('CREATE TABLE fresh (id NUMBER);\n', { ...sysdba, step });
    expect(report.failure).toBeNull();
    expect(await count("dba_tables WHERE owner = 'Other'")).toBe(1);
    await writeFile(join(disk, 'VERSION'), '2.0\n');
    const unknown = await apply('COMMIT;\n', { ...sysdba, schema: 'NOBODY' });
    expect(unknown.failure).toContain('ORA-01435');
  });

  test('may close the database and open it again, but must not leave it closed', async () => {
    const sysdba = { logon: { kind: 'sysdba' } as const };
    const again = 'SHUTDOWN IMMEDIATE\nSTARTUP\nALTER TABLE erp.orders ADD (due DATE);\n';
    expect(await apply(again, sysdba)).toMatchObject({ outcome: 'succeeded', failure: null });
    await writeFile(join(disk, 'VERSION'), '2.0\n');
    const report = await apply('SELECT 1 FROM dual;\nSHUTDOWN IMMEDIATE\nSTARTUP MOUNT\n', sysdba);
    expect(report.failure).toMatch(/^after sql\/up\.sql nobody can log on to the database: .*ORA-01033/);
  });

  test('that takes too long is ended, in the server too', async () => {
    const script = 'BEGIN\n  DBMS_SESSION.SLEEP(600);\nEND;\n/\nINSERT INTO orders VALUES (1);\n';
    const step = '{ sqlplus: sql/up.sql, timeout: 2s }';
    const report = await apply(script, { step });
    expect(report.failure).toContain('did not end within 2 s; its session was ended');
    const mine = "v$session WHERE client_identifier LIKE 'CLONA-KIT-%'";
    await expect.poll(async () => count(mine)).toBe(0);
    expect(await count('erp.orders')).toBe(0);
  });

  test('fails where an object is invalid now that was valid before', async () => {
    const report = await apply('DROP TABLE old_orders;\nCREATE TABLE other (id NUMBER);\n', {});
    expect(report.failure).toBe('sql/up.sql leaves 1 objects invalid: VIEW ERP.HISTORY');
    expect(await readFile(join(disk, 'VERSION'), 'utf8')).toBe('2.0\n');
  });

  test('compiles what was created before what it needs', async () => {
    const script =
      'CREATE OR REPLACE PROCEDURE pay IS\nBEGIN\n  INSERT INTO erp.later VALUES (1);\nEND;\n/\nCREATE TABLE later (id NUMBER);\n';
    const report = await apply(script);
    expect(report.outcome).toBe('succeeded');
    expect(report.steps[0]?.output).toContain('1 objects were created with compilation errors');
    expect(await count("dba_objects WHERE status = 'INVALID'")).toBe(0);
  });

  test('runs on a Windows guest, with its services and its program files', async () => {
    await symlink(join(tools.home, 'bin', 'sqlplus'), join(tools.home, 'bin', 'sqlplus.exe'));
    const guest = createWindowsHostGuest(folder);
    const vendor = join(folder, 'vendor');
    const steps = [
      'service: stop ErpServer',
      'sqlplus: sql/up.sql',
      'files: program',
      'service: start ErpServer',
    ];
    await writeFolder(vendor, [
      {
        path: 'kit.yaml',
        content: `name: erp\nversion: "2.1"\nfromVersions: ["2.0"]\nsteps:\n${steps.map((one) => `  - ${one}\n`).join('')}`,
      },
      { path: 'sql/up.sql', content: 'INSERT INTO orders VALUES (1);\n@@more.sql\n' },
      { path: 'sql/more.sql', content: 'INSERT INTO orders VALUES (2);\n' },
      { path: "program/it's/erp.exe", content: 'new' },
    ]);
    const kit = await fetchKit({ source: vendor, into: join(folder, 'kit'), signal: never });
    const { password: secret, host, port, user } = sim;
    const report = await applyKit({
      kit,
      guest,
      place: { systemDisk: 'C:\\system', dataDisk: 'D:\\' },
      database: () => Promise.reject(new Error('no sql steps here')),
      sqlPlus: {
        logon: { kind: 'password', user: 'ERP', password, connect: '127.0.0.1/ERP' },
        home: 'C:\\oracle',
        instanceName: 'ERP',
        address: { engine: 'oracle', host, port, database: 'ERP', user, password: secret },
      },
      onRecord: async () => {},
      signal: never,
    });
    expect(report).toMatchObject({ outcome: 'succeeded', failure: null, versionAfter: '2.1' });
    expect(await count('erp.orders')).toBe(2);
    const [stop = '', files = '', start = ''] = guest.scripts;
    expect(stop).toContain(
      "Stop-Service -Force -Name 'ErpServer'\n(Get-Service -Name 'ErpServer').WaitForStatus('Stopped')",
    );
    expect(files).toMatch(
      /^\$from = 'C:\\system\\\.clona-kit-[0-9a-f]{16}\\program'; \$to = 'C:\\system\\program'$/m,
    );
    expect(start).toContain("Start-Service -Name 'ErpServer'");
    // Nothing of the kit is left on the machine.
    expect(await readdir(disk)).toEqual(['VERSION']);
  });

  test('with a step for PostgreSQL is not begun either, however late that step comes', async () => {
    const step = 'sqlplus: sql/up.sql\n  - sql: sql/up.sql';
    const applying = apply('CREATE TABLE fresh (id NUMBER);\n', { step });
    await expect(applying).rejects.toMatchObject({ kind: 'kitUnfit', exitCode: 2 });
    expect(await count("dba_tables WHERE table_name = 'FRESH'")).toBe(0);
  });

  test('is not begun on a database that has no SQL*Plus', async () => {
    const vendor = join(folder, 'vendor');
    await writeFolder(vendor, [
      {
        path: 'kit.yaml',
        content: 'name: erp\nversion: "2.1"\nfromVersions: ["2.0"]\nsteps:\n  - sqlplus: up.sql\n',
      },
      { path: 'up.sql', content: 'DROP TABLE orders;\n' },
    ]);
    const kit = await fetchKit({ source: vendor, into: join(folder, 'kit'), signal: never });
    const options = {
      kit,
      guest: createHostGuest(join(folder, 'home')),
      place: { systemDisk: disk, dataDisk: disk },
      database: () => Promise.resolve(),
      onRecord: async () => {},
      signal: never,
    };
    await expect(applyKit(options)).rejects.toMatchObject({ kind: 'kitUnfit', exitCode: 2 });
  });
});
