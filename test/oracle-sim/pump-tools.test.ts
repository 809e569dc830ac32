import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import oracledb from 'oracledb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { judgeJobLog } from '../../src/proof/job-log.ts';
import { openGuest } from '../../src/guest/open.ts';
import { createHostGuest } from '../support/host-guest.ts';
import { makeTestFolder } from '../support/machine.ts';
import { startSimulatedGuests } from '../support/simulated-guests.ts';
import { installTools, type Tools } from './machine/tools.ts';
import { pumpOf } from './pump/state.ts';
import { simPassword, startOracleSim, type OracleSim } from './server.ts';

const { signal } = new AbortController();
let folder: string;
let sim: OracleSim;
let tools: Tools;

beforeEach(async () => {
  folder = await makeTestFolder();
  sim = await startOracleSim({ instance: { storage: { folder } } });
  tools = await installTools(sim.server, folder);
  pumpOf(sim.instance).directories.set('DUMPS', folder);
  await using connection = await oracledb.getConnection(sim);
  for (const sql of [
    'CREATE USER erp IDENTIFIED BY x QUOTA UNLIMITED ON ERP',
    'CREATE USER clona_erp IDENTIFIED BY x QUOTA UNLIMITED ON ERP',
    'CREATE TABLE erp.orders (id NUMBER)',
    'INSERT INTO erp.orders VALUES (1)',
    'INSERT INTO erp.orders VALUES (2)',
  ])
    await connection.execute(sql);
  await connection.commit();
});

afterEach(async () => {
  await tools[Symbol.asyncDispose]();
  await sim[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function run(
  tool: 'expdp' | 'impdp',
  lines: string[],
  logon = '/ as sysdba',
  stdin = '',
): Promise<{ text: string; exitCode: number | null }> {
  const path = join(folder, `${tool}.par`);
  await writeFile(path, `${lines.join('\n')}\n`);
  const guest = createHostGuest(folder);
  const { stdout, exitCode } = await guest.run([join(tools.bin, tool), logon, `PARFILE=${path}`], {
    signal,
    stdin,
  });
  return { text: stdout, exitCode };
}

const exported = ['DIRECTORY=DUMPS', 'DUMPFILE=erp.dmp', 'LOGFILE=erp.log', 'SCHEMAS=ERP'];
const imported = [
  'DIRECTORY=DUMPS',
  'DUMPFILE=erp.dmp',
  'LOGFILE=in.log',
  'SCHEMAS=ERP',
  'REMAP_SCHEMA=ERP:CLONA_ERP',
  'EXCLUDE=USER,STATISTICS',
  'TRANSFORM=OID:N',
  'LOGTIME=ALL',
  'METRICS=Y',
];

async function count(table: string): Promise<unknown> {
  await using connection = await oracledb.getConnection(sim);
  return (await connection.execute<unknown[]>(`SELECT COUNT(*) FROM ${table}`)).rows?.[0]?.[0];
}

describe('expdp and impdp on the simulated machine', () => {
  test('are reached over SSH, as every command of the machine is', async () => {
    await using guests = await startSimulatedGuests(folder);
    const { address, hostKey } = await guests.make('live');
    const endpoint = { kind: 'tcp', host: address, port: guests.port } as const;
    const where = {
      endpoint,
      user: 'erp',
      privateKeyFile: guests.privateKeyFile,
      hostKey,
      platform: 'linux',
    } as const;
    await using guest = await openGuest(where, signal);
    expect(await guest.run([join(tools.bin, 'expdp'), '/ as sysdba', ...exported], { signal })).toMatchObject(
      { exitCode: 0 },
    );
    const listed = await guest.run([join(tools.bin, 'rman'), 'target', '/', 'nocatalog'], {
      signal,
      stdin: 'LIST INCARNATION;\nEXIT;\n',
    });
    expect(listed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('CURRENT') as string });
  });

  test('export a schema and import it under another name, with logs that are judged ok', async () => {
    expect(await run('expdp', exported)).toMatchObject({ exitCode: 0 });
    expect(judgeJobLog(await readFile(join(folder, 'erp.log'), 'utf8'))).toMatchObject({
      kind: 'expdp',
      verdict: 'ok',
      rows: { 'ERP.ORDERS': 2 },
    });
    expect(await run('impdp', imported)).toMatchObject({ exitCode: 0 });
    expect(judgeJobLog(await readFile(join(folder, 'in.log'), 'utf8'))).toMatchObject({
      kind: 'impdp',
      verdict: 'ok',
      rows: { 'CLONA_ERP.ORDERS': 2 },
    });
    expect(await count('clona_erp.orders')).toBe(2);
  });

  test('end with 5 when a table was not taken, and the log is judged failed', async () => {
    pumpOf(sim.instance).faults.failTable = { table: 'ORDERS', errors: ['ORA-01555: snapshot too old'] };
    expect(await run('expdp', exported)).toMatchObject({ exitCode: 5 });
    expect(judgeJobLog(await readFile(join(folder, 'erp.log'), 'utf8')).verdict).toBe('failed');
  });

  test('cannot export a past that has changed since', async () => {
    await using connection = await oracledb.getConnection(sim);
    const { rows } = await connection.execute<[string]>('SELECT TO_CHAR(current_scn) FROM v$database');
    const scn = rows![0]![0];
    expect(await run('expdp', [...exported, `FLASHBACK_SCN=${scn}`])).toMatchObject({ exitCode: 0 });
    await connection.execute('INSERT INTO erp.orders VALUES (3)', [], { autoCommit: true });
    const late = await run('expdp', [...exported, 'REUSE_DUMPFILES=Y', `FLASHBACK_SCN=${scn}`]);
    expect(late).toMatchObject({ exitCode: 5, text: expect.stringContaining('ORA-01555') as string });
  });

  test.each<[string, 'expdp' | 'impdp', string[], string]>([
    [
      'a parameter they do not know',
      'expdp',
      [...exported, 'GARDEN=Y'],
      "LRM-00101: unknown parameter name 'garden'",
    ],
    ['a parameter of the other tool', 'expdp', [...exported, 'REMAP_SCHEMA=A:B'], 'LRM-00101'],
    ['what is not simulated', 'impdp', [...imported, 'FULL=Y'], 'not simulated'],
    ['a directory that is not', 'expdp', ['DIRECTORY=NOWHERE', 'SCHEMAS=ERP'], 'ORA-39087'],
    ['a dump that is not there', 'impdp', imported, 'ORA-39001'],
    ['a schema that is not', 'expdp', ['DIRECTORY=DUMPS', 'SCHEMAS=GHOST'], 'ORA-39165'],
    ['an SCN of the future', 'expdp', [...exported, 'FLASHBACK_SCN=99999999999'], 'ORA-08181'],
  ])('refuse %s', async (_, tool, lines, message) => {
    const { text, exitCode } = await run(tool, lines);
    expect(text).toContain(message);
    expect(exitCode).toBe(1);
  });

  test('take the password from the prompt, and refuse a wrong one', async () => {
    expect(await run('expdp', exported, 'clona', `${simPassword}\n`)).toMatchObject({ exitCode: 0 });
    expect(await run('expdp', exported, 'clona', 'wrong\n')).toMatchObject({
      exitCode: 1,
      text: expect.stringContaining('ORA-01017') as string,
    });
  });
});
