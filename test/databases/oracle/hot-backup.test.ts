import { fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import {
  cureBackupMode,
  decideCure,
  readActive,
  type BackupModeMark,
} from '../../../src/databases/oracle/backup-mode.ts';
import { connectOracle, type OracleSession } from '../../../src/databases/oracle/connect.ts';
import { endLeftBackupMode } from '../../../src/databases/oracle/cure-left.ts';
import { takeHotBackup, type HotBackupPorts } from '../../../src/databases/oracle/hot-backup.ts';
import { hotBackupPorts, markFileOf, readMark } from '../../../src/databases/oracle/hot-ports.ts';
import {
  readOracleCatalog,
  rememberBackup,
  rememberGrade,
  rememberOracle,
} from '../../../src/databases/oracle/site-catalog.ts';
import type { Guest } from '../../../src/guest/guest.ts';
import { silent } from '../../../src/progress.ts';
import { planRecovery } from '../../../src/recovery/plan.ts';
import { abort, startUp, stop } from '../../oracle-sim/instance/startup.ts';
import { installTools, type Tools } from '../../oracle-sim/machine/tools.ts';
import { startOracleSim, type OracleSim } from '../../oracle-sim/server.ts';
import type { HotBackupChild, Stage } from '../../support/hot-backup-child.ts';
import { createHostGuest } from '../../support/host-guest.ts';
import { makeTestFolder } from '../../support/machine.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

const { signal } = new AbortController();
let folder: string;
let sim: OracleSim;
let mark: BackupModeMark | null;
let copies: string;

beforeEach(async () => {
  folder = await makeTestFolder();
  copies = join(folder, 'copies');
  await mkdir(copies);
  mark = null;
  replaced.clear();
  let clock = Date.parse('2026-03-01T10:00:00Z');
  sim = await startOracleSim({ instance: { storage: { folder }, now: () => (clock += 1000) } });
  await using session = await connect();
  await session.execute('CREATE TABLE orders (id NUMBER, note VARCHAR2(40))');
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
const connectAsSysdba = async (): Promise<OracleSession> =>
  connectOracle(address({ user: 'SYS', oracle: { privilege: 'sysdba' } }), signal);

async function insert(id: number): Promise<void> {
  await using session = await connect();
  await session.driver.execute('INSERT INTO orders (id, note) VALUES (:1, :2)', [id, `order ${id}`]);
  await session.driver.commit();
}

async function sum(): Promise<(string | null)[] | undefined> {
  await using session = await connect();
  return (await session.query('SELECT COUNT(*), SUM(id) FROM orders'))[0];
}

/** The simulator writes its datafiles anew, a real server in place: so files are told apart by what a test says of them. */
const replaced = new Set<string>();
const identify = async (name: string): Promise<string> => (replaced.has(name) ? '1:2' : '1:1');

function ports(more: Partial<HotBackupPorts> = {}): HotBackupPorts {
  return {
    open: connect,
    identify,
    mark: async (given) => {
      mark = structuredClone(given);
    },
    copy: async ({ name, bytes }) => {
      await insert(1);
      await copyFile(name, join(copies, basename(name)));
      await insert(2);
      return { path: join(copies, basename(name)), bytes };
    },
    ...more,
  };
}

const options = (abort = signal) => ({
  label: 'HOT1',
  incarnation: 1,
  device: copies,
  signal: abort,
  onProgress: silent,
  now: () => new Date('2026-03-01T12:00:00Z'),
});

const startAgain = (until: 'OPEN' | 'MOUNT'): void =>
  startUp(sim.instance, { force: false, restricted: false, until, pfile: null });

async function active(): Promise<string[]> {
  await using session = await connectAsSysdba();
  return (await readActive(session)).map(({ tablespace }) => tablespace);
}

describe('a hot backup by tablespace', () => {
  test('serves from past its last END BACKUP on: restored and rolled forward it has what was committed below', async () => {
    const seen: string[][] = [];
    const copy = async (...given: Parameters<HotBackupPorts['copy']>) => {
      seen.push(await active());
      return ports().copy(...given);
    };
    const { backup, files } = await takeHotBackup(ports({ copy }), options());
    expect(Math.max(...seen.map((list) => new Set(list).size))).toBe(1);
    expect(await active()).toEqual([]);
    expect(mark).toBeNull();
    expect(backup).toMatchObject({ kind: 'hot', state: 'available', finishedAt: '2026-03-01T12:00:00.000Z' });
    const before = await sum();
    await insert(1000);
    await using session = await connect();
    await session.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    const { catalog } = await readOracleCatalog(address(), { archiveDir: copies }, signal);
    const whole = { ...catalog, backups: [backup] };
    const plan = planRecovery(whole, { until: { kind: 'backup', label: 'HOT1' }, lost: 'online-log' });
    expect(plan).toMatchObject({ reachable: true, redoTo: backup.consistentFrom });
    await session[Symbol.asyncDispose]();
    stop(sim.instance, 'ABORT');
    for (const { name, path } of files) await copyFile(path, name);
    startAgain('MOUNT');
    await using dba = await connectAsSysdba();
    await dba.execute(`ALTER DATABASE RECOVER DATABASE UNTIL CHANGE ${plan.redoTo}`);
    await dba.execute('ALTER DATABASE OPEN RESETLOGS');
    expect(await sum()).toEqual(before);
  });

  test('a copy that fails leaves no tablespace in backup mode', async () => {
    const copy = async (): Promise<never> => Promise.reject(new Error('no space left'));
    await expect(takeHotBackup(ports({ copy }), options())).rejects.toThrow('no space left');
    expect(await active()).toEqual([]);
  });

  test('an interruption leaves no tablespace in backup mode', async () => {
    const stop = new AbortController();
    const copy = async (...given: Parameters<HotBackupPorts['copy']>) => {
      stop.abort(new Error('interrupted'));
      return ports().copy(...given);
    };
    await expect(takeHotBackup(ports({ copy }), options(stop.signal))).rejects.toThrow('interrupted');
    expect(await active()).toEqual([]);
  });

  test('a session that broke meanwhile is replaced for END BACKUP', async () => {
    const copy = async (...given: Parameters<HotBackupPorts['copy']>) => {
      sim.killSessions();
      return ports().copy(...given);
    };
    const { backup } = await takeHotBackup(ports({ copy }), options());
    expect(backup.state).toBe('available');
    expect(await active()).toEqual([]);
  });

  test('files that are in backup mode already are left alone', async () => {
    await using session = await connect();
    await session.execute('ALTER TABLESPACE erp BEGIN BACKUP');
    await expect(takeHotBackup(ports(), options())).rejects.toThrow('in backup mode already');
    expect(await active()).toEqual(['ERP']);
  });
});

test.each<[string, () => Promise<void> | void, string, RegExp]>([
  [
    'a recovery area that is full',
    async () => {
      await using session = await connect();
      await session.execute('ALTER SYSTEM SET db_recovery_file_dest_size = 1000');
    },
    'databaseFailed',
    /ORA-00257/,
  ],
  [
    'an archiver that is stuck',
    () => void (sim.instance.archiverStuck = true),
    'databaseFailed',
    /ORA-00257/,
  ],
  [
    'NOARCHIVELOG mode',
    () => void (sim.instance.database!.control!.logMode = 'NOARCHIVELOG'),
    'serverUnfit',
    /NOARCHIVELOG/,
  ],
  [
    'a server that is only mounted',
    () => {
      stop(sim.instance, 'IMMEDIATE');
      startAgain('MOUNT');
    },
    'databaseFailed',
    /ORA-01033/,
  ],
  ['a listener that is down', async () => sim.stopListener(), 'databaseFailed', /NJS-503/],
])('%s ends a hot backup clearly, and nothing stays in backup mode', async (_, spoil, kind, message) => {
  await spoil();
  await expect(takeHotBackup(ports(), options())).rejects.toMatchObject({
    kind,
    message: expect.stringMatching(message),
  });
  sim.instance.archiverStuck = false;
  expect(sim.instance.database!.control!.files.filter(({ backup }) => backup?.active === true)).toEqual([]);
});

describe('a crash in backup mode', () => {
  /** The server dies while the first copy is being made. */
  async function crash(beforeDeath: () => Promise<void> = async () => {}): Promise<void> {
    const copy = async (): Promise<never> => {
      await insert(7);
      await beforeDeath();
      abort(sim.instance);
      throw new Error('the host is gone');
    };
    await expect(takeHotBackup(ports({ copy }), options())).rejects.toMatchObject({
      message: expect.stringContaining('is left in backup mode'),
      hint: expect.stringContaining('END BACKUP'),
    });
    expect(() => startAgain('OPEN')).toThrow('ORA-10873');
  }

  test('is cured by END BACKUP at the next start, without a restore, and nothing is lost', async () => {
    await crash();
    await using dba = await connectAsSysdba();
    expect(await cureBackupMode(dba, mark, identify)).toMatchObject({
      kind: 'end',
      statements: ['ALTER DATABASE END BACKUP'],
    });
    await dba.execute('ALTER DATABASE OPEN');
    expect(await sum()).toEqual(['1', '7']);
  });

  test('is not cured when a file is another one than was set in backup mode', async () => {
    await crash();
    replaced.add(mark!.files[0]!.name);
    await using dba = await connectAsSysdba();
    await expect(cureBackupMode(dba, mark, identify)).rejects.toMatchObject({
      kind: 'recoveryFailed',
      message: expect.stringContaining('is another file'),
    });
  });

  test('is not cured without a mark: somebody else may be backing up', async () => {
    await crash();
    await using dba = await connectAsSysdba();
    await expect(cureBackupMode(dba, null, identify)).rejects.toThrow('in backup mode: somebody else did');
  });

  test('in an open database the mode that a killed clona left behind is ended, tablespace by tablespace', async () => {
    await using session = await connect();
    await session.execute('ALTER TABLESPACE erp BEGIN BACKUP');
    const [file] = await readActive(session);
    const [[dbid] = []] = await session.query('SELECT DBID FROM V$DATABASE');
    const left = {
      dbid: dbid!,
      startedAt: '',
      files: [{ file: file!.file, name: file!.name, identity: null, copied: true }],
    };
    expect(await cureBackupMode(session, left, identify)).toMatchObject({
      statements: ['ALTER TABLESPACE "ERP" END BACKUP'],
    });
    expect(await active()).toEqual([]);
  });
});

test('in an open database what somebody else set in backup mode is left to him', () => {
  const active = ['4', '5'].map((file) => ({
    file,
    name: `/u01/${file}.dbf`,
    tablespace: `T${file}`,
    change: '7',
  }));
  const files = [{ file: '5', name: '/u01/5.dbf', identity: null, copied: false }];
  const mark = { dbid: '9', startedAt: '', files };
  expect(decideCure(active, 'READ WRITE', '9', mark, () => null)).toMatchObject({
    statements: ['ALTER TABLESPACE "T5" END BACKUP'],
  });
  expect(decideCure(active, 'READ WRITE', '9', null, () => null)).toEqual({ kind: 'nothing' });
  expect(decideCure(active, 'READ WRITE', '8', mark, () => null)).toEqual({ kind: 'nothing' });
});

test.each([
  ['nothing is in backup mode', [], null, 'nothing'],
  ['a copy had been made of it', [{ identity: '1:2', copied: true }], 'MOUNTED', 'refuse'],
  ['it cannot be seen', [{ identity: null, copied: false }], 'MOUNTED', 'refuse'],
  ['it is the original', [{ identity: '1:2', copied: false }], 'MOUNTED', 'end'],
  ['the instance has it open', [{ identity: null, copied: true }], 'READ WRITE', 'end'],
])('the cure when %s', (_, marked, openMode, kind) => {
  const active = marked.map(() => ({ file: '5', name: '/u01/erp.dbf', tablespace: 'ERP', change: '7' }));
  const files = marked.map((one) => ({ file: '5', name: '/u01/erp.dbf', ...one }));
  expect(decideCure(active, openMode, '9', { dbid: '9', startedAt: '', files }, () => '1:2').kind).toBe(kind);
});

describe('clona itself is killed (SIGKILL)', () => {
  const places = (): { archiveDir: string } => ({ archiveDir: copies });
  let tools: Tools | undefined;
  afterEach(async () => {
    await tools?.[Symbol.asyncDispose]();
    tools = undefined;
  });

  async function killAt(stage: Stage): Promise<void> {
    const given: HotBackupChild = {
      address: address(),
      folder,
      copies: join(copies, 'KILLED'),
      markFile: markFileOf(copies),
      stage,
    };
    const script = fileURLToPath(new URL('../../support/hot-backup-child.ts', import.meta.url));
    const env = { ...process.env, CLONA_TEST_HOT_BACKUP: JSON.stringify(given) };
    const child = fork(script, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const ended = once(child, 'exit');
    const [said] = (await Promise.race([once(child, 'message'), ended])) as [unknown];
    expect(said).toBe(stage);
    child.kill('SIGKILL');
    await ended;
  }

  async function endLeft(): Promise<string[]> {
    tools ??= await installTools(sim.server, folder);
    const { home } = tools;
    const workDir = join(folder, 'work');
    return endLeftBackupMode(
      address(),
      { guest: createHostGuest(folder), home, instanceName: 'ERP', workDir, signal },
      copies,
    );
  }

  test.each<[Stage, number, string | null]>([
    ['before the mark', 0, null],
    ['the mark is written', 0, null],
    ['in backup mode', 1, 'in the middle'],
    ['a file is copied', 1, 'in the middle'],
    ['all files are copied', 1, 'in the middle'],
    ['out of backup mode', 0, null],
  ])('%s: %i files stay in backup mode, and the next start ends it', async (stage, left, cured) => {
    await killAt(stage);
    expect(await active()).toHaveLength(left);
    const { warnings } = await readOracleCatalog(address(), places(), signal);
    expect(warnings.filter((said) => said.includes('left 1 datafiles in backup mode'))).toHaveLength(left);
    const said = await endLeft();
    expect(said).toHaveLength(cured === null ? 0 : 1);
    expect(await active()).toEqual([]);
    expect(await readMark(markFileOf(copies))).toBeNull();
    expect(await endLeft()).toEqual([]);
    // Nothing stands in the way of the next one, and what was half copied is in no catalog.
    expect((await readOracleCatalog(address(), places(), signal)).catalog.backups).toEqual([]);
    expect((await takeHotBackup(ports(), options())).backup.state).toBe('available');
  });

  test.each<[Stage, string]>([
    ['in backup mode', 'cured'],
    ['a file is copied', 'refused'],
    ['out of backup mode', 'nothing'],
  ])('%s, and the server dies, too: %s over SQL*Plus, for nobody else gets in', async (stage, outcome) => {
    await insert(3);
    await killAt(stage);
    abort(sim.instance);
    if (outcome === 'nothing') {
      startAgain('OPEN');
      expect(await endLeft()).toEqual([]);
    } else {
      expect(() => startAgain('OPEN')).toThrow('ORA-10873');
      // A copy was made already: the file in its place could be that copy (decision 0140).
      if (outcome === 'refused') await expect(endLeft()).rejects.toMatchObject({ kind: 'recoveryFailed' });
      else {
        expect(await endLeft()).toEqual([expect.stringContaining('it can be opened now')]);
        await using dba = await connectAsSysdba();
        await dba.execute('ALTER DATABASE OPEN');
      }
    }
    if (outcome !== 'refused') expect(await sum()).toEqual(['1', '3']);
  });
});

describe('the way into the machine breaks', () => {
  test.each([['stat'], ['mkdir'], ['cp'], ['mv'], ['sha256sum']])(
    'at %s: no tablespace stays in backup mode',
    async (program) => {
      const guest = createHostGuest(folder);
      const broken: Guest = {
        ...guest,
        run: async (argv, given) =>
          argv[0] === program ? Promise.reject(new Error('connection lost')) : guest.run(argv, given),
      };
      const markFile = markFileOf(copies);
      const given = hotBackupPorts({
        address: address(),
        guest: broken,
        folder: join(copies, 'H'),
        markFile,
      });
      await expect(takeHotBackup(given, options())).rejects.toThrow('connection lost');
      expect(await active()).toEqual([]);
    },
  );
});

describe('with the means of the machine', () => {
  const guestPorts = () =>
    hotBackupPorts({
      address: address(),
      guest: createHostGuest(folder),
      folder: join(copies, 'HOT1'),
      markFile: markFileOf(copies),
    });

  test('the copies lie in the archive, the backup is remembered there, and a catalog read later still has it', async () => {
    const places = { archiveDir: copies };
    const before = await readOracleCatalog(address(), places, signal);
    await rememberOracle(before, places, before.readAt!);
    const { backup, files } = await takeHotBackup(guestPorts(), options());
    await rememberBackup(
      places,
      backup,
      files.map(({ path }) => path),
      signal,
    );
    await rememberGrade(places, 'HOT1', 2, signal);
    const { catalog, facts } = await readOracleCatalog(address(), places, signal);
    expect(catalog.backups.find(({ label }) => label === 'HOT1')).toMatchObject({
      kind: 'hot',
      grade: 2,
      state: 'available',
    });
    expect(facts.pieces['HOT1']).toHaveLength(files.length);
    expect(await readMark(markFileOf(copies))).toBeNull();
  });

  test('a disk without room is said so, and no tablespace stays in backup mode', async () => {
    const guest = createHostGuest(folder);
    const failed = { exitCode: 1, signal: null, stdout: '', stderr: 'cp: No space left on device' };
    const full: Guest = {
      ...guest,
      run: async (argv, given) => (argv[0] === 'cp' ? failed : guest.run(argv, given)),
    };
    const given = {
      ...guestPorts(),
      copy: hotBackupPorts({ address: address(), guest: full, folder: copies, markFile: markFileOf(copies) })
        .copy,
    };
    await expect(takeHotBackup(given, options())).rejects.toMatchObject({
      kind: 'diskFull',
    });
    expect(await active()).toEqual([]);
  });
});
