import { readFile, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  importIntoCloneSchemas,
  type SchemaImportOptions,
} from '../../../../src/databases/oracle/import/import.ts';
import { connectOracle } from '../../../../src/databases/oracle/connect.ts';
import { ClonaError, toClonaError } from '../../../../src/errors.ts';
import { newJob, type PumpFaults } from '../../../oracle-sim/pump/state.ts';
import { makeTestFolder } from '../../../support/machine.ts';
import { cutFile, openPumpWorld, type PumpWorld } from '../../../support/oracle-pump.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

let folder: string;
let world: PumpWorld;
const { signal } = new AbortController();

beforeEach(async () => {
  folder = await makeTestFolder();
  world = await openPumpWorld(folder, signal);
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const state = async (): Promise<string | null> => world.one('SELECT state FROM clona_erp."CLONA$IMPORT"');
const cloneExists = async (): Promise<string | null> =>
  world.one("SELECT COUNT(*) FROM dba_users WHERE username = 'CLONA_ERP'");
const fails = async (more: Partial<SchemaImportOptions> = {}): Promise<ClonaError> => {
  try {
    await importIntoCloneSchemas(world.options(more));
  } catch (error) {
    return toClonaError(error);
  }
  throw new Error('the import did not fail');
};

describe('an import into the CLONA schema', () => {
  test('brings every row, constraint and view, and LIVE is as it was', async () => {
    const dumpFiles = await world.exportErp({ files: ['erp01.dmp', 'erp02.dmp'] });
    await world.run("INSERT INTO erp.orders VALUES (4, 'later')");
    const { before: _, ...options } = world.options({ dumpFiles });
    const report = await importIntoCloneSchemas({ ...options, before: options.address });
    expect(report).toMatchObject({
      passed: true,
      schemas: [{ live: 'ERP', clone: 'CLONA_ERP' }],
      dump: { files: ['erp01.dmp', 'erp02.dmp'], version: '19.00.00.00.00' },
      exportVerdict: 'ok',
      importVerdict: 'ok',
      tables: 2,
      rows: '4',
      constraints: 2,
      findings: [],
      warnings: [],
    });
    expect(await world.one('SELECT COUNT(*) FROM erp.orders')).toBe('4');
    expect(await world.one('SELECT COUNT(*) FROM clona_erp."Lines"')).toBe('1');
    expect(
      await world.one(
        "SELECT r_owner FROM dba_constraints WHERE owner = 'CLONA_ERP' AND constraint_name = 'LINES_FK'",
      ),
    ).toBe('CLONA_ERP');
    expect(await world.one("SELECT account_status FROM dba_users WHERE username = 'CLONA_ERP'")).toBe(
      'LOCKED',
    );
    expect(await world.one("SELECT COUNT(*) FROM dba_sys_privs WHERE grantee = 'CLONA_ERP'")).toBe('0');
    expect(await state()).toBe('usable');
  });

  test('takes the place of an earlier copy, but of nothing that is not one', async () => {
    await world.exportErp();
    await importIntoCloneSchemas(world.options());
    await importIntoCloneSchemas(world.options({ label: 'again' }));
    await world.run('CREATE USER x_erp IDENTIFIED BY secret');
    expect(await fails({ prefix: 'X' })).toMatchObject({ kind: 'targetOccupied', exitCode: 2 });
    expect(await world.one("SELECT COUNT(*) FROM dba_users WHERE username = 'X_ERP'")).toBe('1');
  });

  test('opens an encrypted dump with its password, which is in no statement', async () => {
    await world.exportErp({ password: 'Dump_S3cret' });
    const report = await importIntoCloneSchemas(world.options({ encryptionPassword: 'Dump_S3cret' }));
    expect(report.passed).toBe(true);
    expect(world.sim.watch.statements.join('\n')).not.toContain('Dump_S3cret');
  });
});

describe('refused before anything is created', () => {
  test.each([
    ['a dump of a newer version', { version: '23.0' }, {}, 'databaseVersion', 2],
    ['an encrypted dump without its key', { password: 'secret' }, {}, 'secretMissing', 2],
    [
      'a dump set of which a part is missing',
      { files: ['erp01.dmp', 'erp02.dmp'] },
      { dumpFiles: ['erp01.dmp'] },
      'proofFailed',
      4,
    ],
    [
      'a dump set without its master table',
      { files: ['erp01.dmp', 'erp02.dmp'] },
      { dumpFiles: ['erp02.dmp'] },
      'proofFailed',
      4,
    ],
    ['a dump that is not there', {}, { dumpFiles: ['none.dmp'] }, 'proofFailed', 4],
    ['a directory that is not there', {}, { directory: 'NOWHERE' }, 'siteInvalid', 2],
    ['workers that nobody pays for', {}, { parallel: { degree: 4, licensed: false } }, 'usage', 2],
  ])('%s', async (_, exported, options, kind, exitCode) => {
    await world.exportErp(exported);
    expect(await fails(options)).toMatchObject({ kind, exitCode });
    expect(await cloneExists()).toBe('0');
  });

  test('a dump file that was cut off', async () => {
    await world.exportErp();
    await cutFile(folder, 'erp01.dmp', await readFile(join(folder, 'erp01.dmp')));
    expect(await fails()).toMatchObject({ kind: 'proofFailed', exitCode: 4 });
  });

  test.each<[string, PumpFaults, string]>([
    [
      'lost a table',
      {
        failTable: {
          table: 'ORDERS',
          errors: ['ORA-02354: error in exporting/importing data', 'ORA-01555: snapshot too old'],
        },
      },
      'failed',
    ],
    ['died half-way', { dieBefore: 'Lines' }, 'failed'],
    ['was cut off', { cutLogAfter: 10 }, 'incomplete'],
  ])('an export that %s', async (_, faults, verdict) => {
    Object.assign(world.pump.faults, faults);
    await world.exportErp();
    world.pump.faults = {};
    expect(await fails()).toMatchObject({ kind: 'jobLogFailed', exitCode: 4, details: { verdict } });
    expect(await cloneExists()).toBe('0');
  });

  test('a log of an export that is gone', async () => {
    await world.exportErp();
    await unlink(join(folder, 'erp.log'));
    expect((await fails()).exitCode).not.toBe(0);
    expect(await cloneExists()).toBe('0');
  });
});

describe('failed half-way, the copy is marked unusable', () => {
  test.each<[string, PumpFaults, Partial<SchemaImportOptions>, string, number]>([
    [
      'a full tablespace',
      {
        failTable: {
          table: 'ORDERS',
          errors: ['ORA-01653: unable to extend table CLONA_ERP.ORDERS by 128 in tablespace USERS'],
        },
      },
      {},
      'diskFull',
      6,
    ],
    ['a job that dies', { dieBefore: 'Lines' }, {}, 'jobLogFailed', 4],
    ['a log that breaks off', { cutLogAfter: 12 }, {}, 'jobLogFailed', 4],
    [
      'a tablespace that is not here',
      {},
      { tablespaces: { ERP: 'NOWHERE' }, defaultTablespace: 'USERS' },
      'siteInvalid',
      2,
    ],
    [
      'texts that outgrow their columns',
      {
        failTable: {
          table: 'ORDERS',
          errors: [
            'ORA-02354: error in exporting/importing data',
            'ORA-12899: value too large for column NOTE (actual: 41, maximum: 40)',
          ],
        },
      },
      {},
      'proofFailed',
      4,
    ],
    ['a wrong key', {}, { encryptionPassword: 'wrong' }, 'secretMissing', 2],
    ['a tablespace without a quota', {}, { tablespaces: {} }, 'siteInvalid', 2],
  ])('%s', async (name, faults, options, kind, exitCode) => {
    await world.exportErp(name === 'a wrong key' ? { password: 'right' } : {});
    world.pump.faults = faults;
    expect(await fails(options)).toMatchObject({ kind, exitCode });
    expect(await state()).toBe('unusable');
    expect(await world.one('SELECT why FROM clona_erp."CLONA$IMPORT"')).not.toBe('-');
    expect([...world.pump.jobs.keys()]).toEqual([]);
  });

  test.each<[string, PumpFaults, string]>([
    [
      'rows that did not arrive, though the log says so',
      { loseRows: { table: 'ORDERS', rows: 1 } },
      'exported with 3 rows, the copy has 2',
    ],
    ['constraints that are disabled', { breakConstraints: true }, 'is disabled'],
  ])('%s', async (_, faults, text) => {
    await world.exportErp();
    world.pump.faults = faults;
    const report = await importIntoCloneSchemas(world.options());
    expect(report.passed).toBe(false);
    expect(report.findings).toContainEqual(expect.objectContaining({ severity: 'failed', text }));
    expect(await state()).toBe('unusable');
  });

  test('an interruption ends the job on the server, too', async () => {
    await world.exportErp();
    world.pump.faults = { hang: true };
    const stop = new AbortController();
    const running = importIntoCloneSchemas(
      world.options({
        signal: stop.signal,
        onProgress: ({ step, state: now }) => {
          if (step === 'import CLONA_TEST' && now === 'running')
            stop.abort(new ClonaError('interrupted', 'interrupted'));
        },
      }),
    );
    await expect(running).rejects.toMatchObject({ exitCode: 130 });
    expect([...world.pump.jobs.keys()]).toEqual([]);
    expect(await state()).toBe('unusable');
  });
});

test('a job that waits for room is ended, instead of waiting for two hours', async () => {
  await world.exportErp();
  const waitsForRoom = 'ORA-01653: unable to extend table CLONA_ERP.ORDERS by 128 in tablespace USERS';
  world.pump.faults = { hang: true, waitsForRoom };
  expect(await fails({ roomWaitMs: 0 })).toMatchObject({
    kind: 'diskFull',
    exitCode: 6,
    message: expect.stringContaining('ORA-01653'),
  });
  expect([...world.pump.jobs.keys()]).toEqual([]);
  expect(await state()).toBe('unusable');
});

test('a connection that breaks ends the job on the server, and the copy is unusable', async () => {
  await world.exportErp();
  world.pump.faults = { hang: true };
  const running = importIntoCloneSchemas(
    world.options({
      onProgress: ({ step, state: now }) => {
        if (step === 'import CLONA_TEST' && now === 'running') world.sim.killSessions();
      },
    }),
  );
  await expect(running).rejects.toMatchObject({ exitCode: 6 });
  expect([...world.pump.jobs.keys()]).toEqual([]);
  await using again = await connectOracle(world.options().address, signal);
  expect(await again.query('SELECT state FROM clona_erp."CLONA$IMPORT"')).toEqual([['unusable']]);
});

test('a user who may not see what all wait for sees his own', async () => {
  await world.exportErp();
  world.pump.faults = { hang: true, waitsForRoom: 'ORA-01536: space quota exceeded for tablespace USERS' };
  world.sim.faults.failing.push({
    statement: /DBA_RESUMABLE/,
    code: 942,
    text: 'table or view does not exist',
  });
  expect(await fails({ roomWaitMs: 0 })).toMatchObject({ kind: 'diskFull', exitCode: 6 });
});

test('a run that was killed half-way is repeated: its job is ended, and its copy made anew', async () => {
  await world.exportErp();
  await importIntoCloneSchemas(world.options());
  const left = newJob('CLONA_KILLED', 'CLONA', 'IMPORT');
  Object.assign(left, { state: 'EXECUTING', remapSchema: new Map([['ERP', 'CLONA_ERP']]) });
  world.pump.jobs.set(left.name, left);
  await world.run(`UPDATE clona_erp."CLONA$IMPORT" SET state = 'importing', why = 'job CLONA_KILLED'`);
  await world.run('DELETE FROM clona_erp.orders');
  const report = await importIntoCloneSchemas(world.options({ label: 'again' }));
  expect(report).toMatchObject({ passed: true, rows: '4' });
  expect([...world.pump.jobs.keys()]).toEqual([]);
});

test('while it runs the copy says by which job, so that the next run can end it', async () => {
  await world.exportErp();
  world.pump.faults = { hang: true };
  const stop = new AbortController();
  const said = Promise.withResolvers<string | null>();
  let asked = false;
  const ask = async (): Promise<void> => {
    said.resolve(await world.one('SELECT why FROM clona_erp."CLONA$IMPORT"'));
    stop.abort(new ClonaError('interrupted', 'interrupted'));
  };
  const running = importIntoCloneSchemas(
    world.options({
      signal: stop.signal,
      onProgress: ({ step, state: now }) => {
        if (step !== 'import CLONA_TEST' || now !== 'running' || asked) return;
        asked = true;
        void ask();
      },
    }),
  );
  await expect(running).rejects.toMatchObject({ exitCode: 130 });
  expect(await said.promise).toBe('job CLONA_TEST');
});

describe('character sets', () => {
  test('a server that lacks letters of the dump is refused before anything is created, unless that is accepted', async () => {
    await world.run("INSERT INTO erp.orders VALUES (4, 'Żywiec')");
    await world.exportErp();
    world.sim.instance.settings.characterSet = 'WE8MSWIN1252';
    expect(await fails()).toMatchObject({ kind: 'serverUnfit', exitCode: 2 });
    expect(await cloneExists()).toBe('0');
    const report = await importIntoCloneSchemas(world.options({ acceptCharacterLoss: true }));
    expect(report.warnings[0]).toContain('replacement signs');
    expect(await world.one('SELECT note FROM clona_erp.orders WHERE id = 4')).toBe('¿ywiec');
  });

  test('rows that outgrow their columns are missing rows, whatever the closing line says', async () => {
    world.sim.instance.settings.characterSet = 'WE8MSWIN1252';
    await world.run(`INSERT INTO erp.orders VALUES (4, '${'š'.repeat(30)}')`);
    await world.exportErp();
    world.sim.instance.settings.characterSet = 'AL32UTF8';
    expect(await fails()).toMatchObject({
      kind: 'proofFailed',
      exitCode: 4,
      message: expect.stringContaining('ORA-12899') as string,
    });
    expect(await state()).toBe('unusable');
  });
});

test('a version that is too new is told as such where the server does not even describe the file', async () => {
  await world.exportErp();
  world.sim.faults.failing.push({
    statement: /GET_DUMPFILE_INFO/,
    code: 39_211,
    text: 'unable to retrieve dumpfile information as specified\nORA-39142: incompatible version number 6.1 in dump file "erp01.dmp"',
  });
  expect(await fails()).toMatchObject({ kind: 'databaseVersion', exitCode: 2 });
});

test.each([
  ['Erp Live', '"CLONA_Erp Live"'],
  ['My$Erp#1', '"CLONA_My$Erp#1"'],
  ['erp', '"CLONA_erp"'],
])('a schema made as "%s" is imported under its very letters', async (schema, clone) => {
  await world.run(
    `CREATE USER "${schema}" IDENTIFIED BY secret QUOTA UNLIMITED ON ERP`,
    `CREATE TABLE "${schema}"."Order Lines" (id NUMBER)`,
    `INSERT INTO "${schema}"."Order Lines" VALUES (1)`,
    `CREATE OR REPLACE PROCEDURE "${schema}"."Pay" IS BEGIN INSERT INTO "${schema}"."Order Lines" VALUES (2); END;`,
  );
  await world.exportErp({ schemas: [schema] });
  const refused = await importIntoCloneSchemas(world.options({ schemas: [schema] }));
  expect(refused.findings).toMatchObject([
    { kind: 'live-name', object: 'PROCEDURE Pay', severity: 'failed' },
  ]);
  const options = world.options({ schemas: [schema], liveNames: { mode: 'rewrite', accepted: [] } });
  expect(await importIntoCloneSchemas(options)).toMatchObject({ passed: true, rewritten: ['PROCEDURE Pay'] });
  expect(await world.one(`SELECT COUNT(*) FROM ${clone}."Order Lines"`)).toBe('1');
});

test('what everybody may do to LIVE the copy may do, too: that is a fault, until somebody answers for it', async () => {
  await world.run('CREATE USER public IDENTIFIED BY secret', 'GRANT INSERT ON erp.orders TO public');
  await world.exportErp();
  const report = await importIntoCloneSchemas(world.options());
  expect(report).toMatchObject({
    passed: false,
    findings: [
      { kind: 'right', severity: 'failed', text: expect.stringContaining('INSERT on ERP.ORDERS') as string },
    ],
  });
  const accepted = world.options({ liveNames: { mode: 'refuse', accepted: ['INSERT on ERP.ORDERS'] } });
  expect(await importIntoCloneSchemas(accepted)).toMatchObject({ passed: true });
});

test('a privilege to compile that is missing is told, and judged by what is invalid', async () => {
  await world.exportErp();
  world.sim.faults.failing.push({
    statement: /COMPILE_SCHEMA/,
    code: 20_000,
    text: 'You have insufficient privileges for an object in this schema.',
  });
  const report = await importIntoCloneSchemas(world.options());
  expect(report).toMatchObject({ passed: true, findings: [{ severity: 'warning', object: 'CLONA_ERP' }] });
});

test('a schema made in quotes keeps its case, and is not taken for the one in capitals', async () => {
  await world.run(
    'CREATE USER "Erp" IDENTIFIED BY secret QUOTA UNLIMITED ON ERP',
    'CREATE TABLE "Erp"."Order Lines" (id NUMBER)',
    'INSERT INTO "Erp"."Order Lines" VALUES (1)',
    'CREATE OR REPLACE VIEW "Erp".v AS SELECT id FROM erp.orders',
  );
  await world.exportErp({ schemas: ['Erp'] });
  const report = await importIntoCloneSchemas(world.options({ schemas: ['Erp'] }));
  expect(report).toMatchObject({ passed: true, schemas: [{ live: 'Erp', clone: 'CLONA_Erp' }], rows: '1' });
  expect(await world.one('SELECT COUNT(*) FROM "CLONA_Erp"."Order Lines"')).toBe('1');
});

describe("code that names LIVE's schema", () => {
  const pay = 'CREATE OR REPLACE PROCEDURE erp.pay IS BEGIN INSERT INTO Erp.orders VALUES (9, NULL); END;';

  test('is refused before the import where LIVE can be asked', async () => {
    await world.run(pay);
    await world.exportErp();
    const { address } = world.options();
    expect(await fails({ before: address })).toMatchObject({ kind: 'proofFailed', exitCode: 4 });
    expect(await cloneExists()).toBe('0');
  });

  test('is refused after it where LIVE is gone', async () => {
    await world.run(pay);
    await world.exportErp();
    const report = await importIntoCloneSchemas(world.options());
    expect(report.findings).toMatchObject([
      { kind: 'live-name', object: 'PROCEDURE PAY', severity: 'failed' },
    ]);
    expect(await state()).toBe('unusable');
  });

  test('is rewritten on request, and nothing points to LIVE any more', async () => {
    await world.run(
      pay,
      'CREATE OR REPLACE VIEW erp.sums AS SELECT id FROM "ERP".orders',
      'CREATE OR REPLACE SYNONYM erp.ord FOR erp.orders',
      'CREATE OR REPLACE TRIGGER erp.audit_orders AFTER INSERT ON erp.orders BEGIN NULL; END;',
    );
    await world.exportErp();
    const report = await importIntoCloneSchemas(
      world.options({ liveNames: { mode: 'rewrite', accepted: [] } }),
    );
    expect(report.findings).toEqual([]);
    expect(report.rewritten.sort()).toEqual(['PROCEDURE PAY', 'TRIGGER AUDIT_ORDERS', 'VIEW SUMS']);
    const pointing = "FROM dba_dependencies WHERE owner = 'CLONA_ERP' AND referenced_owner = 'ERP'";
    expect(await world.one(`SELECT COUNT(*) ${pointing}`)).toBe('0');
    expect(await world.one("SELECT table_owner FROM dba_triggers WHERE owner = 'CLONA_ERP'")).toBe(
      'CLONA_ERP',
    );
    expect(
      await world.one(
        "SELECT COUNT(*) FROM dba_dependencies WHERE owner = 'ERP' AND referenced_owner = 'ERP'",
      ),
    ).not.toBe('0');
  });
});
