import { copyFile, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { connectOracle, type OracleSession } from '../../src/databases/oracle/connect.ts';
import { takeHotBackup } from '../../src/databases/oracle/hot-backup.ts';
import type { OracleTools } from '../../src/databases/oracle/guest-tools.ts';
import { restoreOracle } from '../../src/databases/oracle/restore.ts';
import { takeRmanBackup } from '../../src/databases/oracle/take-backup.ts';
import { readOracleCatalog } from '../../src/databases/oracle/site-catalog.ts';
import { silent } from '../../src/progress.ts';
import { listIncarnations } from '../../src/recovery/incarnations.ts';
import type { Backup, Catalog } from '../../src/recovery/catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { createHostGuest } from '../support/host-guest.ts';
import { makeTestFolder } from '../support/machine.ts';
import { startUp, stop } from './instance/startup.ts';
import { installTools, type Tools } from './machine/tools.ts';
import { startOracleSim, type OracleSim } from './server.ts';

// Driver-verified, not Oracle-verified: a cluster of two nodes, each with its own redo thread, archived to two destinations.

const { signal } = new AbortController();
let folder: string;
let sim: OracleSim;
let backup: Backup;
let copies: { name: string; path: string }[];

beforeEach(async () => {
  folder = await makeTestFolder();
  let clock = Date.parse('2026-03-01T10:00:00Z');
  const storage = { folder, threads: 2 };
  sim = await startOracleSim({ instance: { storage, now: () => (clock += 1000) } });
  await mkdir(join(folder, 'second'));
  await execute(`ALTER SYSTEM SET log_archive_dest_2 = 'LOCATION=${join(folder, 'second')}'`);
  await execute('CREATE TABLE one (id NUMBER)');
  await execute('CREATE TABLE two (id NUMBER)');
  await work(1, 1);
  await work(2, 10);
  await mkdir(join(folder, 'copies'));
  const taken = await takeHotBackup(
    {
      open: connect,
      identify: async () => '1:1',
      mark: async () => {},
      copy: async ({ name, bytes }) => {
        const path = join(folder, 'copies', basename(name));
        await copyFile(name, path);
        return { path, bytes };
      },
    },
    {
      label: 'HOT',
      incarnation: 1,
      device: null,
      signal,
      onProgress: silent,
      now: () => new Date('2026-03-01T12:00:00Z'),
    },
  );
  ({ backup } = taken);
  copies = taken.files;
  // Both nodes go on, each at its own pace.
  await work(1, 100);
  await execute('ALTER SYSTEM SWITCH LOGFILE');
  await work(2, 1000);
  await execute('ALTER SYSTEM SWITCH LOGFILE');
  await work(1, 10_000);
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
});

afterEach(async () => {
  await sim[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const address = (more: Partial<DatabaseAddress> = {}): DatabaseAddress => ({
  engine: 'oracle',
  host: sim.host,
  port: sim.port,
  database: 'ERP',
  user: sim.user,
  password: sim.password,
  ...more,
});
const connect = async (): Promise<OracleSession> => connectOracle(address(), signal);

async function execute(sql: string): Promise<void> {
  await using session = await connect();
  await session.execute(sql);
}

/** On one node: the redo goes to its thread. */
async function work(thread: 1 | 2, id: number): Promise<void> {
  sim.instance.database!.thread = thread;
  await using session = await connect();
  await session.driver.execute(`INSERT INTO ${thread === 1 ? 'one' : 'two'} VALUES (:1)`, [id], {
    autoCommit: true,
  });
}

async function read(): Promise<Catalog> {
  const { catalog } = await readOracleCatalog(address(), { archiveDir: folder }, signal);
  return { ...catalog, backups: [backup] };
}

const latest = { until: { kind: 'latest' }, lost: 'online-log' } as const;

async function namesOf(thread: number): Promise<string[]> {
  await using session = await connect();
  const rows = await session.query(
    'SELECT NAME FROM V$ARCHIVED_LOG WHERE THREAD# = :thread ORDER BY FIRST_CHANGE#, DEST_ID',
    { thread },
  );
  return rows.map(([name]) => name!);
}

/** As RMAN's DELETE notes it. */
function forget(names: readonly string[]): void {
  for (const log of sim.instance.database!.control!.archived) {
    if (names.includes(log.name)) Object.assign(log, { deleted: true, status: 'D' });
  }
}

/** SQL*Plus's way back: the copies, then the redo of both threads. */
async function recoverTo(scn: bigint | null): Promise<(string | null)[][]> {
  stop(sim.instance, 'ABORT');
  for (const { name, path } of copies) await copyFile(path, name);
  startUp(sim.instance, { force: false, restricted: false, until: 'MOUNT', pfile: null });
  const dba = { user: 'SYS', oracle: { privilege: 'sysdba' } } as const;
  await using session = await connectOracle(address(dba), signal);
  await session.execute(`ALTER DATABASE RECOVER DATABASE UNTIL CHANGE ${scn}`);
  await session.execute('ALTER DATABASE OPEN RESETLOGS');
  return await session.query(
    'SELECT (SELECT SUM(id) FROM clona.one), (SELECT SUM(id) FROM clona.two) FROM DUAL',
  );
}

test('every log of both threads and both destinations is in the catalog, and the plan covers both', async () => {
  const catalog = await read();
  const names = catalog.logs.map(({ thread, sequence }) => `${thread}/${sequence}`);
  expect(new Set(catalog.logs.map(({ thread }) => thread))).toEqual(new Set([1, 2]));
  expect(names).toHaveLength(new Set(names).size * 2);
  const plan = planRecovery(catalog, latest);
  expect(plan).toMatchObject({ reachable: true, backup: 'HOT' });
  expect(new Set(plan.logs.map(({ thread }) => thread))).toEqual(new Set([1, 2]));
  expect(await recoverTo(plan.redoTo)).toEqual([['10101', '1010']]);
});

test('one destination suffices; a log of one thread that is nowhere is a gap, wherever the other thread reaches', async () => {
  const whole = planRecovery(await read(), latest).redoTo!;
  const second = await namesOf(2);
  for (const name of second.filter((one) => one.startsWith(join(folder, 'second')))) await rm(name);
  expect(planRecovery(await read(), latest).redoTo).toBe(whole);
  // The control file knows both destinations by one record here: with it the log is gone from both.
  forget(second.filter((one) => !one.startsWith(join(folder, 'second'))).slice(-1));
  const catalog = await read();
  const gone = catalog.logs.find(({ thread, state }) => thread === 2 && state === 'missing')!;
  const plan = planRecovery(catalog, latest);
  expect(plan).toMatchObject({ reachable: true, redoTo: gone.first });
  const beyond = planRecovery(catalog, {
    until: { kind: 'position', position: gone.next },
    lost: 'online-log',
  });
  expect(beyond.reachable).toBe(false);
  expect(JSON.stringify(beyond.rejected)).toMatch(/thread 2/);
  expect((await recoverTo(plan.redoTo))[0]?.[1]).not.toBe(null);
});

test('a thread that is disabled is needed up to there, and one that is enabled again from there', async () => {
  const before = planRecovery(await read(), latest);
  sim.instance.database!.thread = 1;
  await execute('ALTER DATABASE DISABLE THREAD 2');
  await work(1, 100_000);
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  const off = planRecovery(await read(), latest);
  expect(off).toMatchObject({ reachable: true });
  expect(off.redoTo! > before.redoTo!).toBe(true);
  await execute('ALTER DATABASE ENABLE PUBLIC THREAD 2');
  await work(2, 10_000);
  await work(1, 1);
  sim.instance.database!.thread = 1;
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  const plan = planRecovery(await read(), latest);
  expect(plan.redoTo! > off.redoTo!).toBe(true);
  expect(await recoverTo(plan.redoTo)).toEqual([['110102', '11010']]);
});

test('RESETLOGS begins both threads anew, and the incarnation before serves as far as both reach', async () => {
  const before = await read();
  const middle = planRecovery(before, latest).redoTo!;
  await recoverTo(middle - 3n);
  await work(1, 5);
  await work(2, 50);
  await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  const catalog = await read();
  expect(listIncarnations(catalog).map(({ status }) => status)).toEqual(['PARENT', 'CURRENT']);
  const logs = catalog.logs.filter(({ incarnation }) => incarnation === 2);
  expect(new Set(logs.map(({ thread, sequence }) => `${thread}/${sequence}`))).toEqual(
    new Set(['1/1', '2/1']),
  );
  const plan = planRecovery(catalog, latest);
  expect(plan).toMatchObject({ reachable: true, target: { incarnation: 2 } });
  const onBoth = new Set(plan.logs.map(({ incarnation, thread }) => `${incarnation}/${thread}`));
  expect(onBoth).toEqual(new Set(['1/1', '1/2', '2/1', '2/2']));
});

test('RMAN restores a backup of both threads into a clone, with the redo of both', async () => {
  const clone = await startOracleSim({
    instance: { now: () => Date.now(), storage: { folder: join(folder, 'clone'), create: false } },
  });
  const tools = [
    await installTools(sim.server, join(folder, 'live')),
    await installTools(clone.server, join(folder, 'clone')),
  ] as const;
  try {
    const toolsIn = (name: string, { home }: Tools): OracleTools => ({
      guest: createHostGuest(join(folder, name)),
      home,
      instanceName: 'ERP',
      workDir: join(folder, name, 'work'),
      signal,
    });
    await takeRmanBackup(toolsIn('live', tools[0]), {
      kind: 'managed',
      level: null,
      channels: 1,
      compressed: true,
    });
    await work(2, 100_000);
    await work(1, 1_000_000);
    await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    const { catalog, facts } = await readOracleCatalog(address(), { archiveDir: folder }, signal);
    const plan = planRecovery(catalog, latest);
    expect(plan).toMatchObject({ reachable: true, backup: expect.stringMatching(/^TAG/) });
    const area = `${join(folder, 'fra')}/`;
    const restored = await restoreOracle({
      plan,
      catalog,
      facts,
      target: {
        platform: 'linux',
        databaseName: 'CLONAERP',
        instanceName: 'CLONAERP',
        dataDir: join(folder, 'clone/data'),
        recoveryDir: join(folder, 'clone/fra'),
        recoveryBytes: 1_000_000_000,
        archiveDirs: [area],
        channels: 1,
      },
      tools: toolsIn('clone', tools[1]),
      until: { kind: 'scn', scn: plan.redoTo! },
      onProgress: silent,
    });
    expect(restored.name).toBe('CLONAERP');
    const { host, port, password } = clone;
    const sys = { engine: 'oracle', host, port, database: 'ERP', user: 'SYS', password } as const;
    await using session = await connectOracle({ ...sys, oracle: { privilege: 'sysdba' } }, signal);
    const sums = 'SELECT (SELECT SUM(id) FROM clona.one), (SELECT SUM(id) FROM clona.two) FROM DUAL';
    expect(await session.query(sums)).toEqual([['1010101', '101010']]);
  } finally {
    for (const one of [...tools, clone]) await one[Symbol.asyncDispose]();
  }
});
