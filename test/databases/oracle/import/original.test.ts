import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  importIntoCloneSchemas,
  type SchemaImportReport,
} from '../../../../src/databases/oracle/import/import.ts';
import { judgeJobLog } from '../../../../src/proof/job-log.ts';
import { installTools, type Tools } from '../../../oracle-sim/machine/tools.ts';
import { createHostGuest } from '../../../support/host-guest.ts';
import { makeTestFolder } from '../../../support/machine.ts';
import { openPumpWorld, type PumpWorld } from '../../../support/oracle-pump.ts';

// Driver-verified, not Oracle-verified: exp and imp are those of test/oracle-sim.

const { signal } = new AbortController();
let folder: string;
let world: PumpWorld;
let tools: Tools;

beforeEach(async () => {
  folder = await makeTestFolder();
  world = await openPumpWorld(folder, signal);
  tools = await installTools(world.sim.server, folder);
});
afterEach(async () => {
  await tools[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function exportOriginal(): Promise<void> {
  const argv = [join(tools.bin, 'exp'), '/ as sysdba', 'owner=erp', 'file=old.dmp', 'log=old.log'];
  await createHostGuest(folder).run(argv, { signal });
}

async function importOriginal(password = world.sim.password): Promise<SchemaImportReport> {
  const logon = { kind: 'prompt', user: world.sim.user, password } as const;
  const original = { guest: createHostGuest(folder), home: tools.home, instanceName: 'ERP', logon };
  return importIntoCloneSchemas(world.options({ dumpFiles: ['old.dmp'], exportLog: 'old.log', original }));
}

test('a dump of the original exp is imported by imp on the machine, and held against its log', async () => {
  await exportOriginal();
  expect(judgeJobLog(await readFile(join(folder, 'old.log'), 'utf8'))).toMatchObject({
    kind: 'exp',
    verdict: 'ok',
  });
  const report = await importOriginal();
  expect(report).toMatchObject({ passed: true, tables: 2, rows: '4', constraints: 2, importVerdict: 'ok' });
  expect(await world.one('SELECT COUNT(*) FROM clona_erp.orders')).toBe('3');
  expect((await stat(join(folder, 'clona_test.par'))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(folder, 'clona_test.par'), 'utf8')).not.toContain(world.sim.password);
});

test('rows that imp lost are found, though its log says that they are there', async () => {
  await exportOriginal();
  world.pump.faults = { loseRows: { table: 'ORDERS', rows: 1 } };
  const { passed, findings } = await importOriginal();
  expect(passed).toBe(false);
  expect(findings).toMatchObject([{ object: 'ORDERS', text: 'exported with 3 rows, the copy has 2' }]);
});

test('a wrong password ends it, and the copy is marked unusable', async () => {
  await exportOriginal();
  await expect(importOriginal('wrong')).rejects.toMatchObject({ kind: 'databaseLogin', exitCode: 2 });
  expect(await world.one('SELECT state FROM clona_erp."CLONA$IMPORT"')).toBe('unusable');
});

test('without the programs of the machine it is refused before anything is created', async () => {
  await exportOriginal();
  const options = world.options({ dumpFiles: ['old.dmp'], exportLog: 'old.log' });
  await expect(importIntoCloneSchemas(options)).rejects.toMatchObject({ kind: 'serverUnfit', exitCode: 2 });
  expect(await world.one("SELECT COUNT(*) FROM dba_users WHERE username = 'CLONA_ERP'")).toBe('0');
});
