import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import { addFoundArchives } from '../../../src/databases/oracle/archives/look.ts';
import { connectOracle, type OracleSession } from '../../../src/databases/oracle/connect.ts';
import { fenceOracleClone } from '../../../src/databases/oracle/fence/fence-clone.ts';
import type { OracleTools } from '../../../src/databases/oracle/guest-tools.ts';
import { proveCopies } from '../../../src/databases/oracle/prove-copies.ts';
import { chooseToProve, proveByValidate } from '../../../src/databases/oracle/prove.ts';
import { keepFiles } from '../../../src/databases/oracle/keep-files.ts';
import type { KeepSettings } from '../../../src/databases/oracle/kept-files.ts';
import { readKept, type Kept } from '../../../src/databases/oracle/place-kept-files.ts';
import { takeHotBackup } from '../../../src/databases/oracle/hot-backup.ts';
import { endLeftBackupMode } from '../../../src/databases/oracle/cure-left.ts';
import { hotBackupPorts, markFileOf } from '../../../src/databases/oracle/hot-ports.ts';
import { keepLogs } from '../../../src/databases/oracle/keep-logs.ts';
import { withKeptLogs, type KeptLog } from '../../../src/databases/oracle/kept-logs.ts';
import { restoreOracle } from '../../../src/databases/oracle/restore.ts';
import type { OracleRestoreOptions } from '../../../src/databases/oracle/restore-options.ts';
import type { RestoreTarget } from '../../../src/databases/oracle/restore-target.ts';
import { readOracleCatalog } from '../../../src/databases/oracle/site-catalog.ts';
import { openSqlPlusSession } from '../../../src/databases/oracle/sqlplus-session.ts';
import { takeCopies, type TakenCopies } from '../../../src/databases/oracle/take-copies.ts';
import { takeExport, type TakenExport } from '../../../src/databases/oracle/take-export.ts';
import { takeRmanBackup } from '../../../src/databases/oracle/take-backup.ts';
import { silent, type ProgressEvent } from '../../../src/progress.ts';
import { planRecovery } from '../../../src/recovery/plan.ts';
import { controlFilePaths } from '../../oracle-sim/instance/physical/database.ts';
import { startUp, stop } from '../../oracle-sim/instance/startup.ts';
import { readPiece, writePiece } from '../../oracle-sim/instance/physical/files.ts';
import { installTools, type Tools } from '../../oracle-sim/machine/tools.ts';
import { pumpOf, type PumpFaults } from '../../oracle-sim/pump/state.ts';
import { startOracleSim, type OracleSim } from '../../oracle-sim/server.ts';
import { createHostGuest } from '../../support/host-guest.ts';
import { makeTestFolder } from '../../support/machine.ts';

// Driver-verified, not Oracle-verified: rman, sqlplus and nid are those of test/oracle-sim.

const { signal } = new AbortController();
let folder: string;
let live: OracleSim;
let clone: OracleSim;
let liveTools: Tools;
let cloneTools: Tools;

beforeEach(async () => {
  folder = await makeTestFolder();
  let clock = Date.parse('2026-03-01T10:00:00Z');
  const now = (): number => (clock += 1000);
  const recoveryArea = join(folder, 'archive');
  live = await startOracleSim({ instance: { now, storage: { folder: join(folder, 'live'), recoveryArea } } });
  clone = await startOracleSim({
    instance: { now, storage: { folder: join(folder, 'clone'), create: false } },
  });
  liveTools = await installTools(live.server, join(folder, 'live'));
  cloneTools = await installTools(clone.server, join(folder, 'clone'));
  await execute(live, 'CREATE TABLE orders (id NUMBER)');
});

afterEach(async () => {
  for (const one of [liveTools, cloneTools, live, clone]) await one[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const addressOf = ({ host, port, user, password }: OracleSim): DatabaseAddress => ({
  engine: 'oracle',
  host,
  port,
  database: 'ERP',
  user,
  password,
});

async function execute(sim: OracleSim, sql: string): Promise<void> {
  await using session = await connectOracle(addressOf(sim), signal);
  await session.execute(sql);
}

async function insert(id: number): Promise<void> {
  await using session = await connectOracle(addressOf(live), signal);
  await session.driver.execute('INSERT INTO orders VALUES (:1)', [id], { autoCommit: true });
}

async function scnNow(): Promise<string> {
  await using session = await connectOracle(addressOf(live), signal);
  return (await session.query('SELECT CURRENT_SCN + 1 FROM V$DATABASE'))[0]![0]!;
}

function toolsOf({ home }: Tools, name: string): OracleTools {
  const workDir = join(folder, name, 'work');
  return {
    guest: createHostGuest(join(folder, name)),
    home,
    instanceName: name.toUpperCase(),
    workDir,
    signal,
  };
}

async function backUp(level: 0 | 1 | null, kind: 'managed' | 'cold' = 'managed'): Promise<void> {
  const { judgement } = await takeRmanBackup(toolsOf(liveTools, 'live'), {
    kind,
    level,
    channels: 1,
    compressed: true,
  });
  expect(judgement).toMatchObject({ kind: 'rman', verdict: 'ok' });
}

const target = (): RestoreTarget => ({
  platform: 'linux',
  databaseName: 'CLONAERP',
  instanceName: 'CLONAERP',
  dataDir: join(folder, 'clone/data'),
  recoveryDir: join(folder, 'clone/fra'),
  recoveryBytes: 1_000_000_000,
  archiveDirs: [`${join(folder, 'archive')}/`],
  channels: 1,
});

async function restore(
  position: string,
  change: (catalog: Awaited<ReturnType<typeof readOracleCatalog>>) => void = () => {},
  more: Partial<OracleRestoreOptions> = {},
) {
  const found = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
  change(found);
  const { catalog, facts } = found;
  const until = { kind: 'position', position: BigInt(position) } as Parameters<
    typeof planRecovery
  >[1]['until'];
  const plan = planRecovery(catalog, { until, lost: 'online-log' });
  expect(plan.reachable).toBe(true);
  const scn = { kind: 'scn', scn: plan.redoTo! } as const;
  const tools = toolsOf(cloneTools, 'clone');
  const common = { plan, catalog, facts, target: target(), tools, until: scn, onProgress: silent };
  return restoreOracle({ ...common, ...more });
}

async function openClone(): Promise<OracleSession> {
  const { host, port, password } = clone;
  const address = { engine: 'oracle', host, port, database: 'ERP', user: 'SYS', password } as const;
  return connectOracle({ ...address, oracle: { privilege: 'sysdba' } }, signal);
}

test('a plan becomes a clone: at its SCN, on its own disks, with a name and a DBID of its own, restricted', async () => {
  await insert(1);
  await backUp(0);
  await insert(2);
  await backUp(1);
  await insert(4);
  const until = await scnNow();
  await insert(8);
  await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
  const { dbid, name, outputs } = await restore(until);
  expect(name).toBe('CLONAERP');
  // A step of a pipeline that is done twice: nothing is touched, the answer is the same.
  expect(await restore(until)).toMatchObject({
    dbid,
    name,
    outputs: {},
    resumed: expect.stringContaining('fence'),
  });
  expect(dbid).not.toBe('1789012345');
  expect(Object.keys(outputs)).toEqual(['mount', 'restore', 'close', 'rename', 'open']);
  await using session = await openClone();
  expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['7']]);
  const files = await session.query('SELECT NAME FROM V$DATAFILE');
  expect(files.every(([file]) => file?.startsWith(join(folder, 'clone/data')))).toBe(true);
  expect(await session.query('SELECT LOGINS FROM V$INSTANCE')).toEqual([['RESTRICTED']]);
  const tools = toolsOf(cloneTools, 'clone');
  const fence = { tools, target: target(), onProgress: silent };
  const hole = { name: 'bank', sql: 'ALTER SYSTEM CHECKPOINT', check: 'SELECT 0 FROM DUAL' };
  await expect(fenceOracleClone({ ...fence, rules: [hole] })).rejects.toMatchObject({ kind: 'fenceFailed' });
  expect(await session.query('SELECT LOGINS FROM V$INSTANCE')).toEqual([['RESTRICTED']]);
  const { fenced, logins } = await fenceOracleClone({ ...fence, rules: [] });
  expect({ fenced, logins }).toEqual({ fenced: true, logins: 'ALLOWED' });
  await expect(restore(until)).rejects.toMatchObject({
    kind: 'targetOccupied',
    message: expect.stringContaining('let go'),
  });
});

test('while RMAN works its progress is told, from another session of the same machine', async () => {
  await insert(1);
  await backUp(null);
  const events: ProgressEvent[] = [];
  const seen = Promise.withResolvers<void>();
  // RMAN stands still in the middle of its files until somebody has been told.
  clone.instance.pace = async () => {
    const step = clone.instance.longOperations.find(({ name }) => name === 'RMAN: full datafile restore');
    if (step !== undefined && step.soFar > 0 && step.soFar < step.total) await seen.promise;
  };
  const onProgress = (event: ProgressEvent): void => {
    events.push(event);
    if (event.state === 'running') seen.resolve();
  };
  const catalogNow = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
  await restore(String(catalogNow.catalog.backups[0]!.consistentFrom), undefined, { onProgress, pollMs: 1 });
  const told = events.find(({ state }) => state === 'running');
  expect(told).toMatchObject({ step: 'restore: restore', detail: expect.stringMatching(/^\d+ %/) });
  expect(told!.doneBytes).toBeGreaterThan(0);
  expect(told!.doneBytes).toBeLessThan(told!.totalBytes!);
});

describe('a restore that was killed', () => {
  /** Ends clona where it calls that program: before it, or when it is through and nobody hears of it any more. */
  function killedAt(program: string, when: 'before' | 'after'): OracleTools {
    const tools = toolsOf(cloneTools, 'clone');
    const run: OracleTools['guest']['run'] = async (argv, options) => {
      const isIt = argv.some((word) => word.endsWith(program));
      if (isIt && when === 'before') throw new Error('killed');
      const result = await tools.guest.run(argv, options);
      if (isIt) throw new Error('killed');
      return result;
    };
    return { ...tools, guest: { ...tools.guest, run } };
  }

  test.each([
    ['after the control file', 'mount.rman', 'after', /OPEN RESETLOGS/],
    ['after the files were opened, before it was written down', 'restore.rman', 'after', /OPEN RESETLOGS/],
    ['when it was open under the name of production', 'close.sql', 'before', /nid is still to come/],
    ['before nid', '/nid', 'before', /nid was at work/],
    ['after nid, before it was written down', '/nid', 'after', /nid was at work/],
    ['before the clone was opened', 'open.sql', 'before', /nid was through/],
    ['after the clone was opened, before it was written down', 'open.sql', 'after', /nid was through/],
  ] as const)('%s is whole when it is asked for again', async (_, program, when, reason) => {
    await insert(1);
    await backUp(null);
    const until = await scnNow();
    await insert(2);
    await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
    const tools = killedAt(program, when);
    await expect(restore(until, undefined, { tools })).rejects.toThrow('killed');
    const { name, dbid, resumed, branchPosition } = await restore(until);
    expect({ name, resumed }).toEqual({ name: 'CLONAERP', resumed: expect.stringMatching(reason) });
    expect(dbid).not.toBe('1789012345');
    expect(branchPosition).toBeGreaterThan(0n);
    await using session = await openClone();
    expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['1']]);
    expect(await session.query('SELECT LOGINS FROM V$INSTANCE')).toEqual([['RESTRICTED']]);
  });

  test('by the power of the clone, with files half written, is done again from nothing', async () => {
    await insert(1);
    await backUp(null);
    const until = await scnNow();
    await insert(2);
    await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
    clone.instance.pace = async () => {
      const step = clone.instance.longOperations.find(({ name }) => name === 'RMAN: full datafile restore');
      if (step === undefined || step.soFar === 0) return;
      clone.instance.pace = async () => {};
      stop(clone.instance, 'ABORT');
      throw new Error('no power');
    };
    await expect(restore(until)).rejects.toMatchObject({ kind: 'recoveryFailed' });
    const other = String(BigInt(until) - 1n);
    await expect(restore(other)).rejects.toMatchObject({
      kind: 'targetOccupied',
      message: expect.stringContaining('unfinished restore'),
    });
    const { resumed } = await restore(until);
    expect(resumed).toContain('how far each file came');
    await using session = await openClone();
    expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['1']]);
  });
});

test('a container database comes with its pluggable ones, each fenced from inside before anyone is let in', async () => {
  live.instance.database!.control!.pdbs = ['SALES', 'HR'];
  await insert(1);
  await backUp(null);
  const { catalog, facts } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
  expect(facts).toMatchObject({ cdb: true, pdbs: ['SALES', 'HR'] });
  await restore(String(catalog.backups[0]!.consistentFrom));
  await using session = await openClone();
  const containers = 'SELECT NAME, OPEN_MODE, RESTRICTED FROM V$PDBS WHERE CON_ID > 2 ORDER BY NAME';
  expect(await session.query(containers)).toEqual([
    ['HR', 'READ WRITE', 'YES'],
    ['SALES', 'READ WRITE', 'YES'],
  ]);
  const tools = toolsOf(cloneTools, 'clone');
  const { parts, logins } = await fenceOracleClone({
    tools,
    target: target(),
    rules: [],
    onProgress: silent,
  });
  expect(parts.map(({ name }) => name).slice(0, 2)).toEqual([
    'pluggable database SALES',
    'pluggable database HR',
  ]);
  expect(logins).toBe('ALLOWED');
  expect((await session.query(containers)).map(([, , restricted]) => restricted)).toEqual(['NO', 'NO']);
});

test('a cluster of two threads becomes one instance with the redo of both, the other thread disabled', async () => {
  for (const one of [liveTools, live]) await one[Symbol.asyncDispose]();
  let clock = Date.parse('2026-03-01T12:00:00Z');
  const recoveryArea = join(folder, 'archive');
  const storage = { folder: join(folder, 'cluster'), recoveryArea, threads: 2 };
  live = await startOracleSim({ instance: { now: () => (clock += 1000), storage } });
  liveTools = await installTools(live.server, join(folder, 'cluster'));
  await execute(live, 'CREATE TABLE orders (id NUMBER)');
  const on = async (thread: number, id: number): Promise<void> => {
    live.instance.database!.thread = thread;
    await insert(id);
  };
  await on(1, 1);
  await on(2, 2);
  await backUp(null);
  await on(2, 4);
  await on(1, 8);
  const until = await scnNow();
  await on(2, 16);
  await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
  const { outputs } = await restore(until);
  expect(Object.keys(outputs)).toContain('threads');
  await using session = await openClone();
  expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['15']]);
  expect(await session.query('SELECT THREAD#, ENABLED FROM V$THREAD ORDER BY THREAD#')).toEqual([
    ['1', 'PUBLIC'],
    ['2', 'DISABLED'],
  ]);
});

describe('what RMAN does not hold', () => {
  const keystoreDir = (): string => join(folder, 'live/keystore/tde');
  const apart = (): string => join(folder, 'apart');
  const settings = (): KeepSettings => ({
    folder: join(folder, 'archive-keep'),
    passwordFile: join(folder, 'live/orapwERP'),
    wallet: join(folder, 'live/wallet'),
    keystore: { from: keystoreDir(), to: apart() },
  });

  /** Production with its secrets, encrypted with the key K1; a backup, and what is kept beside it. */
  async function makeBackup(keystore: Record<string, string>): Promise<string> {
    for (const path of [keystoreDir(), join(folder, 'live/wallet'), join(folder, 'clone/oracle/dbs')])
      await mkdir(path, { recursive: true });
    await writeFile(settings().passwordFile!, 'hashes');
    await writeFile(join(folder, 'live/wallet/ewallet.p12'), 'certificate');
    for (const [name, text] of Object.entries(keystore)) await writeFile(join(keystoreDir(), name), text);
    const database = live.instance.database!;
    database.control!.masterKey = 'K1';
    database.parameters.set('wallet_root', join(folder, 'live/keystore'));
    live.instance.spfile!.set('undo_retention', '3600');
    live.instance.spfile!.set('log_archive_dest_2', 'SERVICE=standby');
    await insert(1);
    await backUp(null);
    const { catalog } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
    const { label, consistentFrom } = catalog.backups[0]!;
    await keepFiles(toolsOf(liveTools, 'live'), settings(), label, () => new Date());
    return String(consistentFrom);
  }

  async function readAll(): Promise<Kept | null> {
    const { catalog } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
    await mkdir(join(folder, 'clone/work'), { recursive: true });
    return readKept(toolsOf(cloneTools, 'clone'), settings(), catalog.backups[0]!);
  }

  test('is kept beside it and comes to the clone: parameters, password file, wallet, keystore apart', async () => {
    const until = await makeBackup({ 'cwallet.sso': 'key=K1\n', 'notes.txt': 'no part of it' });
    const { placed, parameters } = await restore(until, undefined, { kept: await readAll() });
    expect(placed.map((path) => path.slice(folder.length)).sort()).toEqual([
      '/clone/keystore/tde/cwallet.sso',
      '/clone/oracle/dbs/orapwCLONE',
      '/live/wallet/ewallet.p12',
    ]);
    for (const path of placed) expect((await stat(path)).mode & 0o777).toBe(0o600);
    const verdictOf = (name: string) => parameters.find((one) => one.name === name)?.verdict;
    expect([verdictOf('undo_retention'), verdictOf('log_archive_dest_2')]).toEqual(['carried', 'left out']);
    await using session = await openClone();
    expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['1']]);
    const values = await session.query(
      "SELECT NAME, VALUE FROM V$PARAMETER WHERE NAME IN ('undo_retention', 'log_archive_dest_2') ORDER BY NAME",
    );
    expect(values).toEqual([
      ['log_archive_dest_2', null],
      ['undo_retention', '3600'],
    ]);
    const lying = await readdir(settings().folder, { recursive: true });
    expect(lying.some((name) => name.includes('cwallet'))).toBe(false);
  });

  test('a keystore with a password is opened with it, which is in no file and in no output', async () => {
    const until = await makeBackup({ 'ewallet.p12': 'password=Open-Sesame\nkey=K1\n' });
    const { outputs } = await restore(until, undefined, {
      kept: await readAll(),
      keystorePassword: 'Open-Sesame',
    });
    expect(JSON.stringify(outputs)).not.toContain('Open-Sesame');
    for (const name of await readdir(join(folder, 'clone/work')))
      expect(await readFile(join(folder, 'clone/work', name), 'utf8')).not.toContain('Open-Sesame');
    await using session = await openClone();
    expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['1']]);
  });

  test.each([
    ['no keystore', undefined, /ORA-28365/],
    ['a keystore with another key', 'key=K0\n', /ORA-28374/],
  ])(
    '%s on the clone: nothing of an encrypted backup can be restored, and it is said why',
    async (_, key, code) => {
      const until = await makeBackup({ 'cwallet.sso': 'key=K1\n' });
      const kept = key === undefined ? null : await readAll();
      for (const one of kept?.files ?? []) if (one.role === 'keystore') one.content = Buffer.from(key ?? '');
      await expect(restore(until, undefined, { kept })).rejects.toMatchObject({
        kind: 'recoveryFailed',
        message: expect.stringMatching(code),
        hint: expect.stringContaining('keystore'),
      });
    },
  );

  test.each([
    ['changed', 'archiveDamaged', async (path: string) => writeFile(path, 'other')],
    ['gone', 'archiveMissing', async (path: string) => rm(path)],
  ])('a kept file that is %s is named before anything is placed', async (_, kind, harm) => {
    await makeBackup({ 'cwallet.sso': 'key=K1\n' });
    const [label = ''] = await readdir(settings().folder);
    await harm(join(settings().folder, label, 'orapw'));
    await expect(readAll()).rejects.toMatchObject({ kind, message: expect.stringContaining('orapw') });
  });
});

test.each<[string, (found: Awaited<ReturnType<typeof readOracleCatalog>>) => void, object]>([
  [
    'older software',
    () => Object.assign(clone.instance.settings, { version: [12, 2, 0] }),
    { kind: 'databaseVersion', exitCode: 2 },
  ],
  [
    'a smaller edition',
    () => Object.assign(clone.instance.settings, { edition: 'SE2' }),
    { kind: 'serverUnfit', message: expect.stringContaining('Standard Edition 2') },
  ],
  [
    'too small a disk',
    ({ facts }) => Object.assign(facts.datafiles[0]!, { bytes: 1e18 }),
    { kind: 'diskFull', exitCode: 6 },
  ],
  [
    'no sight of the backup, which lies in ASM',
    ({ catalog, facts }) => {
      facts.pieces[catalog.backups[0]!.label] = ['+FRA/ERP/BACKUPSET/x.1'];
    },
    { kind: 'questionInvalid', message: expect.stringContaining('+FRA') },
  ],
])('a clone with %s gets no file of production', async (_, change, refused) => {
  await insert(1);
  await backUp(null);
  const { catalog } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
  await expect(restore(String(catalog.backups[0]!.consistentFrom), change)).rejects.toMatchObject(refused);
  const lying = await readdir(join(folder, 'clone/data')).catch(() => []);
  expect(lying.filter((name) => name.endsWith('.dbf'))).toEqual([]);
});

test('folders of the clone that hold anything are left alone', async () => {
  await insert(1);
  await backUp(null);
  await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
  await mkdir(join(folder, 'clone/data/precious'), { recursive: true });
  await expect(restore(await scnNow().then((scn) => String(BigInt(scn) - 2n)))).rejects.toMatchObject({
    kind: 'targetOccupied',
  });
});

test('a log that is gone is named, with what would help', async () => {
  await insert(1);
  await backUp(null);
  await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
  await insert(2);
  const until = await scnNow();
  await insert(3);
  await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
  await using session = await connectOracle(addressOf(live), signal);
  const logs = await session.query('SELECT NAME FROM V$ARCHIVED_LOG ORDER BY SEQUENCE#');
  const last = logs.at(-1)![0]!;
  await rm(last);
  await expect(restore(until)).rejects.toMatchObject({
    kind: 'archiveGap',
    exitCode: 5,
    message: expect.stringMatching(/thread 1, sequence 3, from SCN \d+ \(RMAN-06054\)/),
  });
});

test('a cold backup needs no log at all, and production is open again after it', async () => {
  await insert(1);
  await backUp(null, 'cold');
  expect(await scnNow()).toMatch(/^\d+$/);
  const { catalog } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
  const [backup] = catalog.backups;
  expect(backup).toMatchObject({ kind: 'cold', state: 'available', start: backup?.consistentFrom });
  const alone = planRecovery(
    { ...catalog, logs: [], onlineLogs: [] },
    {
      until: { kind: 'backup', label: backup!.label },
      lost: 'everything',
    },
  );
  expect(alone).toMatchObject({ reachable: true, logs: [] });
});

test('a backup whose log shows an error is none, and production is opened all the same', async () => {
  live.instance.database!.control!.logMode = 'NOARCHIVELOG';
  await expect(backUp(null)).rejects.toMatchObject({ kind: 'serverUnfit', exitCode: 2 });
});

test.each<[string, () => Promise<void>, string, RegExp]>([
  [
    'a recovery area without room for logs',
    async () => execute(live, 'ALTER SYSTEM SET db_recovery_file_dest_size = 1000'),
    'databaseFailed',
    /the archiver is stuck.* \(ORA-00257\)/,
  ],
  [
    'a recovery area without room for pieces',
    async () => {
      await execute(live, 'ALTER SYSTEM SET db_recovery_file_dest_size = 1000');
      stop(live.instance, 'IMMEDIATE');
      startUp(live.instance, { force: false, restricted: false, until: 'MOUNT', pfile: null });
    },
    'diskFull',
    /the recovery area is full \(ORA-19809\)/,
  ],
  ['a server that is down', async () => stop(live.instance, 'ABORT'), 'databaseFailed', /is not started/],
])('%s is said as what it is', async (_, spoil, kind, message) => {
  await spoil();
  await expect(backUp(null)).rejects.toMatchObject({
    kind,
    exitCode: 6,
    message: expect.stringMatching(message),
    hint: expect.stringMatching(/./),
  });
});

test('a hot backup by tablespace becomes a clone, too, recovered by SQL*Plus from the cataloged logs', async () => {
  await insert(1);
  const hotFolder = join(folder, 'archive/hot');
  await mkdir(hotFolder, { recursive: true });
  const { guest } = toolsOf(liveTools, 'live');
  const ports = hotBackupPorts({
    address: addressOf(live),
    guest,
    folder: hotFolder,
    markFile: markFileOf(folder),
  });
  const now = (): Date => new Date('2026-03-01T11:00:00Z');
  const given = { label: 'HOT1', incarnation: 1, device: hotFolder, signal, onProgress: silent, now };
  const { backup, files } = await takeHotBackup(ports, given);
  await insert(2);
  await backUp(null);
  const { name } = await restore(String(backup.consistentFrom), ({ catalog, facts }) => {
    catalog.backups.push(backup);
    facts.pieces['HOT1'] = files.map(({ path }) => path);
  });
  expect(name).toBe('CLONAERP');
  await using session = await openClone();
  expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['1']]);
});

describe('what others copied', () => {
  const theirs = (): string => join(folder, 'archive/theirs');
  const question = { until: { kind: 'latest' }, lost: 'online-log' } as const;

  async function copyDatafiles(names: readonly string[]): Promise<void> {
    await mkdir(theirs(), { recursive: true });
    for (const name of names) await copyFile(name, join(theirs(), basename(name)));
  }

  async function namesOf(view: string): Promise<string[]> {
    await using session = await connectOracle(addressOf(live), signal);
    return (await session.query(`SELECT NAME FROM ${view}`)).map(([name]) => name!);
  }

  /** The server has forgotten all of it, and its own archived logs are gone. */
  async function look() {
    for (const name of await namesOf('V$ARCHIVED_LOG')) await rm(name, { force: true });
    live.instance.database!.control!.archived.length = 0;
    const places = { archiveDir: folder };
    return addFoundArchives(
      await readOracleCatalog(addressOf(live), places, signal),
      [join(folder, 'archive')],
      signal,
    );
  }

  async function restoreFound({ catalog, facts }: Awaited<ReturnType<typeof look>>, expected: string) {
    const plan = planRecovery(catalog, question);
    expect(plan).toMatchObject({ reachable: true, backup: catalog.backups[0]!.label });
    const scn = { kind: 'scn', scn: plan.redoTo! } as const;
    const tools = toolsOf(cloneTools, 'clone');
    const options = { plan, catalog, facts, target: target(), tools, until: scn, onProgress: silent };
    expect(await restoreOracle(options)).toMatchObject({ name: 'CLONAERP' });
    await using session = await openClone();
    expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([[expected]]);
  }

  test('a hot backup with its logs beside it is found by its headers, planned and restored', async () => {
    await insert(1);
    await execute(live, 'ALTER DATABASE BEGIN BACKUP');
    await insert(2);
    const files = await namesOf('V$DATAFILE');
    await copyDatafiles(files.slice(0, 2));
    await insert(4);
    await copyDatafiles(files.slice(2));
    await execute(live, 'ALTER DATABASE END BACKUP');
    await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
    await execute(live, `ALTER DATABASE BACKUP CONTROLFILE TO '${join(theirs(), 'backup.ctl')}'`);
    await copyDatafiles(await namesOf('V$ARCHIVED_LOG'));
    await insert(8);
    const found = await look();
    expect(found.catalog.backups).toMatchObject([
      { label: expect.stringMatching(/^hot_theirs@/), kind: 'hot', state: 'available', ownLog: true },
    ]);
    expect(found.passedOver).toEqual([]);
    const before = found.catalog.backups[0]!;
    expect(before.consistentFrom! > before.start!).toBe(true);
    await restoreFound(found, '7');
  });

  test('a cold one is consistent by itself', async () => {
    await insert(1);
    const names = await namesOf('V$DATAFILE');
    stop(live.instance, 'IMMEDIATE');
    await copyDatafiles([...names, ...controlFilePaths(live.instance.database!).slice(0, 1)]);
    startUp(live.instance, { force: false, restricted: false, until: 'OPEN', pfile: null });
    const found = await look();
    const [backup] = found.catalog.backups;
    expect(backup).toMatchObject({ kind: 'cold', state: 'available', start: backup!.consistentFrom });
    await restoreFound(found, '1');
    await rm(join(theirs(), basename(names[0]!)));
    expect((await addFoundArchives(found, [join(folder, 'archive')], signal)).catalog.backups).toMatchObject([
      { label: backup!.label, state: 'missing' },
    ]);
  });

  test('copies without the logs of their backup mode are passed over, and that is said', async () => {
    await execute(live, 'ALTER DATABASE BEGIN BACKUP');
    await copyDatafiles(await namesOf('V$DATAFILE'));
    await execute(live, 'ALTER DATABASE END BACKUP');
    const found = await look();
    expect(found.catalog.backups).toEqual([]);
    expect(found.passedOver[0]?.reasons.join()).toContain('there are no archived logs beside it');
  });
});

test("logs are kept compressed and mirrored, and bring a hot backup back when the server's own are gone", async () => {
  await insert(1);
  const hotFolder = join(folder, 'kept/hot');
  const { guest } = toolsOf(liveTools, 'live');
  await mkdir(join(folder, 'mirror'));
  const ports = hotBackupPorts({
    address: addressOf(live),
    guest,
    folder: hotFolder,
    markFile: markFileOf(folder),
  });
  const now = (): Date => new Date('2026-03-01T11:00:00Z');
  const options = { label: 'HOT1', incarnation: 1, device: hotFolder, signal, onProgress: silent, now };
  const controlFileCopy = join(hotFolder, 'control.ctl');
  const { backup, files } = await takeHotBackup(ports, { ...options, controlFileCopy });
  await using session = await connectOracle(addressOf(live), signal);
  const keep = async (kept: Record<string, KeptLog>) =>
    keepLogs({
      session,
      guest,
      archiveDir: join(folder, 'kept'),
      mirrorDir: join(folder, 'mirror'),
      from: backup.start!,
      kept,
      toInstant: (wall) => (wall === null ? null : `${wall}Z`),
      signal,
    });
  const kept = await keep({});
  expect(kept.length).toBeGreaterThan(0);
  expect(await keep(Object.fromEntries(kept.map((log) => [log.path, log])))).toEqual([]);
  const [first] = kept;
  const other = { ...first!, next: String(BigInt(first!.next) + 1n) };
  await expect(keep({ [other.path]: other })).rejects.toMatchObject({
    kind: 'archiveDamaged',
    hint: expect.stringContaining('RESETLOGS'),
  });
  for (const [name] of await session.query('SELECT NAME FROM V$ARCHIVED_LOG')) await rm(name!);
  live.instance.database!.control!.archived.length = 0;
  // One is damaged: its mirror serves.
  await writeFile(kept[0]!.path, 'rotten');
  const found = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
  const facts = {
    ...found.facts,
    pieces: { HOT1: [...files.map(({ path }) => path), controlFileCopy] },
    keptLogs: Object.fromEntries(kept.map((log) => [log.path, log])),
  };
  const whole = withKeptLogs({ ...found.catalog, backups: [backup] }, kept);
  const plan = planRecovery(whole, { until: { kind: 'backup', label: 'HOT1' }, lost: 'online-log' });
  expect(plan).toMatchObject({ reachable: true, backup: 'HOT1' });
  const tools = toolsOf(cloneTools, 'clone');
  const scn = { kind: 'scn', scn: plan.redoTo! } as const;
  await restoreOracle({
    plan,
    catalog: whole,
    facts,
    target: target(),
    tools,
    until: scn,
    onProgress: silent,
  });
  await using clone = await openClone();
  expect(await clone.query('SELECT SUM(id) FROM clona.orders')).toEqual([['1']]);
});

describe('quiesced', () => {
  const places = () => ({ archiveDir: join(folder, 'kept'), mirrorDir: join(folder, 'mirror') });
  beforeEach(async () => {
    for (const one of Object.values(places())) await mkdir(one);
  });

  const take = async (label: string, limitMs = 60_000): Promise<TakenCopies> =>
    takeCopies({
      kind: 'quiesced',
      address: addressOf(live),
      tools: toolsOf(liveTools, 'live'),
      places: places(),
      label,
      limitMs,
      onProgress: silent,
      now: () => new Date(),
    });

  const state = async (): Promise<unknown> => {
    await using session = await connectOracle(addressOf(live), signal);
    return (await session.query('SELECT ACTIVE_STATE FROM V$INSTANCE'))[0]?.[0];
  };

  test.each(['EE', 'SE2'] as const)(
    'on %s waits for the running transaction, and carries the log up to that moment',
    async (edition) => {
      live.instance.settings.edition = edition;
      await insert(1);
      await using writer = await connectOracle(addressOf(live), signal);
      await writer.driver.execute('INSERT INTO orders VALUES (2)');
      const taking = take('Q1');
      const busy = async (): Promise<boolean> =>
        edition === 'EE'
          ? (await state()) === 'QUIESCING'
          : live.watch.statements.some((sql) => sql.startsWith('LOCK TABLE'));
      while (!(await busy())) await setImmediate();
      await writer.driver.commit();
      const { backup, quiet, keptLogs } = await taking;
      expect(backup).toMatchObject({ kind: 'quiesced', ownLog: true, state: 'available' });
      expect(quiet?.how).toBe(edition === 'EE' ? 'quiesce' : 'locks');
      expect(keptLogs).toBeGreaterThan(0);
      expect(await state()).toBe('NORMAL');
      await insert(4);
      for (const [name] of await writer.query('SELECT NAME FROM V$ARCHIVED_LOG')) await rm(name!);
      live.instance.database!.control!.archived.length = 0;
      const { catalog, facts } = await readOracleCatalog(addressOf(live), places(), signal);
      expect(await proveCopies(catalog, facts, 'Q1', signal)).toMatchObject({ grade: 2, passed: true });
      const question = { until: { kind: 'backup', label: 'Q1' }, lost: 'everything' } as const;
      const plan = planRecovery(catalog, question);
      expect(plan).toMatchObject({ reachable: true, redoTo: backup.consistentFrom });
      const scn = { kind: 'scn', scn: plan.redoTo! } as const;
      const tools = toolsOf(cloneTools, 'clone');
      await restoreOracle({ plan, catalog, facts, target: target(), tools, until: scn, onProgress: silent });
      await using clone = await openClone();
      expect(await clone.query('SELECT SUM(id) FROM clona.orders')).toEqual([['3']]);
      const [one] = facts.copies!['Q1']!.files;
      await writeFile(one!.path, 'rotten');
      expect(await proveCopies(catalog, facts, 'Q1', signal)).toMatchObject({
        grade: 0,
        passed: false,
        reasons: [expect.stringContaining('has another checksum')],
      });
    },
  );

  test.each(['EE', 'SE2'] as const)(
    'on %s gives up when a transaction does not end, and everybody goes on',
    async (edition) => {
      live.instance.settings.edition = edition;
      await using writer = await connectOracle(addressOf(live), signal);
      await writer.driver.execute('INSERT INTO orders VALUES (2)');
      await expect(take('Q2', 1000)).rejects.toMatchObject({
        kind: 'databaseFailed',
        message: expect.stringContaining('did not end within 1 s'),
      });
      expect(await state()).toBe('NORMAL');
      await writer.driver.commit();
      await insert(3);
      expect((await readOracleCatalog(addressOf(live), places(), signal)).catalog.backups).toEqual([]);
      expect(await readdir(join(places().archiveDir, 'hot'))).toEqual([]);
    },
  );

  test('what lies there under its name already is not written over', async () => {
    await mkdir(join(places().archiveDir, 'hot/Q3'), { recursive: true });
    await writeFile(join(places().archiveDir, 'hot/Q3/file_1.dbf'), 'precious');
    await expect(take('Q3')).rejects.toMatchObject({
      kind: 'targetOccupied',
      hint: expect.stringContaining('another --label'),
    });
  });

  test('a clona that was killed while the server was quiesced is made up for', async () => {
    const sysdba = openSqlPlusSession({ ...toolsOf(liveTools, 'live'), workDir: folder });
    await sysdba.execute('ALTER SYSTEM QUIESCE RESTRICTED');
    await writeFile(join(places().archiveDir, '.oracle-quiesced.json'), '{}');
    const said = await endLeftBackupMode(addressOf(live), toolsOf(liveTools, 'live'), places().archiveDir);
    expect(said).toEqual([expect.stringContaining('unquiesced')]);
    expect(await state()).toBe('NORMAL');
  });
});

describe('an export as of one SCN', () => {
  const dumps = (): string => join(folder, 'dumps');
  beforeEach(async () => {
    await mkdir(dumps());
    pumpOf(live.instance).directories.set('DUMPS', dumps());
    await insert(1);
  });

  const take = async (label: string): Promise<TakenExport> =>
    takeExport({
      address: addressOf(live),
      tools: toolsOf(liveTools, 'live'),
      places: { archiveDir: folder },
      label,
      directory: 'DUMPS',
      schemas: ['CLONA'],
      onProgress: silent,
      now: () => new Date(),
    });

  test('is judged by its log, measured, and part of the catalog with its SCN', async () => {
    const before = BigInt(await scnNow());
    const { backup, judgement, warnings } = await take('exp1');
    expect(judgement).toMatchObject({ kind: 'expdp', verdict: 'ok', rows: { 'CLONA.ORDERS': 1 } });
    expect(warnings).toEqual([]);
    expect(backup).toMatchObject({ label: 'exp1', kind: 'export', grade: 2, start: backup.consistentFrom });
    expect(backup.consistent).toBeUndefined();
    expect(backup.consistentFrom! >= before - 1n).toBe(true);
    expect(backup.bytes).toBeGreaterThan(0);
    const { catalog } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
    expect(catalog.backups).toMatchObject([{ label: 'exp1', state: 'available' }]);
    const question = { until: { kind: 'backup', label: 'exp1' }, lost: 'everything' } as const;
    expect(planRecovery(catalog, question)).toMatchObject({ reachable: true, backup: 'exp1' });
    // Seen from this host it is still the same one.
    const found = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
    found.facts.pieces['exp1'] = found.facts.pieces['exp1']!.map((path) => join('/server', basename(path)));
    const seen = await addFoundArchives(found, [dumps()], signal);
    expect(seen.catalog.backups.map(({ label }) => label)).toEqual(['exp1']);
    // The files are there: nothing is written over.
    await expect(take('exp1')).rejects.toMatchObject({
      kind: 'targetOccupied',
      hint: expect.stringContaining('another --label'),
    });
  });

  test.each<[string, (faults: PumpFaults) => void, string, RegExp]>([
    [
      'whose undo is overwritten',
      (faults) => {
        const errors = ['ORA-02354: error in exporting data', 'ORA-01555: snapshot too old'];
        faults.failTable = { table: 'ORDERS', errors };
      },
      'jobLogFailed',
      /could not read its rows as of SCN \d+ any more \(ORA-01555\)/,
    ],
    [
      'without room',
      (faults) => void (faults.dieBefore = 'ORDERS'),
      'diskFull',
      /ran out of room \(ORA-39095\)/,
    ],
    ['that is cut off', (faults) => void (faults.cutLogAfter = 9), 'jobLogFailed', /is incomplete/],
  ])('%s is no archive, and that is said', async (_, spoil, kind, message) => {
    spoil(pumpOf(live.instance).faults);
    await expect(take('exp2')).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
    const { catalog } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
    expect(catalog.backups).toEqual([]);
  });

  test('into a DIRECTORY that nobody knows is refused', async () => {
    pumpOf(live.instance).directories.delete('DUMPS');
    await expect(take('exp3')).rejects.toMatchObject({ kind: 'siteInvalid', exitCode: 2 });
  });
});

describe('a proof by VALIDATE', () => {
  const prove = async () => {
    const { catalog } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
    return proveByValidate(toolsOf(liveTools, 'live'), catalog, chooseToProve(catalog, undefined));
  };

  test('gives grade 2 when every piece and every log up to the newest can be read', async () => {
    await insert(1);
    await backUp(0);
    await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
    expect(await prove()).toMatchObject({ grade: 2, passed: true, reasons: [] });
  });

  const second = (): string => join(folder, 'second');

  /** Two whole backups, so that RMAN could take the older one; logs in two places; one log behind the newest backup. */
  async function makeTwo(): Promise<{ pieces: string[]; controlFiles: string[]; log: string }> {
    await mkdir(second());
    await execute(live, `ALTER SYSTEM SET log_archive_dest_2 = 'LOCATION=${second()}'`);
    for (const id of [1, 2]) {
      await insert(id);
      await backUp(null);
    }
    await execute(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
    const { sets, archived } = live.instance.database!.control!;
    const newest = sets.findLast(({ files }) => files.some(({ file }) => file > 0))!;
    return {
      pieces: [newest.handle],
      controlFiles: sets.filter(({ controlFile }) => controlFile).map(({ handle }) => handle),
      log: archived.at(-1)!.name,
    };
  }
  type Made = Awaited<ReturnType<typeof makeTwo>>;

  test.each<[string, (made: Made) => Promise<void>, number, RegExp]>([
    ['its piece is gone', async ({ pieces }) => rm(pieces[0]!), 0, /cannot be opened|not there/],
    ['its piece was cut off', async ({ pieces }) => truncate(pieces[0]!, 2000), 0, /ends before its end/],
    [
      'its piece is of another database',
      async ({ pieces }) =>
        writePiece(pieces[0]!, { ...(readPiece(pieces[0]!) as object), dbid: 5n, databaseName: 'OTHER' }),
      0,
      /another database/,
    ],
    [
      'no control file is left to begin with',
      async ({ controlFiles }) => {
        for (const path of controlFiles) await rm(path);
      },
      0,
      /^the backup of the control file: /,
    ],
    [
      'the log behind it is gone in both of its places',
      async ({ log }) => {
        await rm(log);
        await rm(join(second(), basename(log)));
      },
      1,
      /RMAN-06025/,
    ],
  ])('is not fooled where an older backup could stand in: %s', async (_, harm, grade, reason) => {
    const made = await makeTwo();
    await harm(made);
    const proof = await prove();
    expect(proof).toMatchObject({ grade, passed: grade > 0 });
    expect(proof.reasons[0]).toMatch(reason);
  });

  test('a log that is gone in one of its places is read from the other', async () => {
    const { log } = await makeTwo();
    await rm(log);
    expect(await prove()).toMatchObject({ grade: 2, passed: true, reasons: [] });
  });
});
