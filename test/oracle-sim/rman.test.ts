import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import oracledb from 'oracledb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestFolder } from '../support/machine.ts';
import { beginTransaction, changePage, endTransaction } from './instance/physical/change.ts';
import { mounted } from './instance/physical/database.ts';
import { installTools, type Tools } from './machine/tools.ts';
import { startOracleSim, type OracleSim } from './server.ts';

interface Ran {
  stdout: string;
  code: number;
}

/** Production with its tools, and an empty machine beside it that sees the archive. */
let folder: string;
let archive: string;
let live: OracleSim;
let liveTools: Tools;
let clone: OracleSim;
let cloneTools: Tools;

const clock = { at: Date.parse('2026-03-01T10:00:00Z') };
const now = (): number => (clock.at += 1000);

beforeEach(async () => {
  folder = await makeTestFolder();
  archive = join(folder, 'archive');
  const area = join(archive, 'fra');
  live = await startOracleSim({
    instance: { now, storage: { folder: join(folder, 'live'), recoveryArea: area } },
  });
  clone = await startOracleSim({
    instance: { now, storage: { folder: join(folder, 'clone'), create: false } },
  });
  liveTools = await installTools(live.server, join(folder, 'live'));
  cloneTools = await installTools(clone.server, join(folder, 'clone'));
  await using connection = await oracledb.getConnection(live);
  await connection.execute('CREATE TABLE orders (id NUMBER)');
});

afterEach(async () => {
  for (const one of [liveTools, cloneTools, live, clone]) await one[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function run({ bin }: Tools, tool: string, argv: string[], stdin = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(join(bin, tool), argv, { cwd: folder }, (error, stdout) => {
      resolve({ stdout, code: typeof error?.code === 'number' ? error.code : 0 });
    });
    child.stdin?.end(stdin);
  });
}

function rman(tools: Tools, program: string): Promise<Ran> {
  const path = join(folder, 'program.rman');
  writeFileSync(path, program);
  return run(tools, 'rman', ['TARGET', '/', 'NOCATALOG', `CMDFILE=${path}`]);
}

async function insert(id: number): Promise<void> {
  await using connection = await oracledb.getConnection(live);
  await connection.execute('INSERT INTO orders VALUES (:1)', [id], { autoCommit: true });
}

async function scnNow(): Promise<string> {
  await using connection = await oracledb.getConnection(live);
  const { rows } = await connection.execute<[string]>('SELECT TO_CHAR(current_scn + 1) FROM v$database');
  return rows![0]![0];
}

async function sum(sim: OracleSim): Promise<unknown> {
  await using connection = await oracledb.getConnection({ ...sim, user: 'SYS', privilege: oracledb.SYSDBA });
  const { rows } = await connection.execute<unknown[]>('SELECT SUM(id) FROM clona.orders');
  return rows?.[0]?.[0];
}

const backup = 'BACKUP DATABASE TAG nightly PLUS ARCHIVELOG;\n';

function parameterFile(name = 'ERP'): string {
  const data = join(folder, 'clone', 'data');
  mkdirSync(data, { recursive: true });
  const path = join(folder, 'clone', 'init.ora');
  writeFileSync(
    path,
    `*.db_name='${name}'\n*.control_files='${data}/control01.ctl'\n*.db_recovery_file_dest='${folder}/clone/fra'\n*.db_recovery_file_dest_size=1000000\n`,
  );
  return path;
}

function controlPiece(): string {
  return mounted(live.instance.database!).sets.findLast(({ controlFile }) => controlFile)!.handle;
}

function mountProgram(): string {
  return `SET DBID 1789012345;
STARTUP FORCE NOMOUNT PFILE='${parameterFile()}';
RESTORE CONTROLFILE FROM '${controlPiece()}';
ALTER DATABASE MOUNT;
CONFIGURE ARCHIVELOG DELETION POLICY CLEAR;
CATALOG START WITH '${archive}' NOPROMPT;
LIST INCARNATION OF DATABASE;
`;
}

function restoreProgram(until: string, before = ''): string {
  const data = join(folder, 'clone', 'data');
  const members = mounted(live.instance.database!).groups.flatMap((group) => group.members);
  return `${before}
${members.map((member, index) => `ALTER DATABASE RENAME FILE '${member}' TO '${data}/redo${index}.log';`).join('\n')}
RUN {
  ALLOCATE CHANNEL c1 DEVICE TYPE DISK;
  SET NEWNAME FOR DATABASE TO '${data}/file_%f.dbf';
  ${until}
  RESTORE DATABASE;
  SWITCH DATAFILE ALL;
  RECOVER DATABASE;
}
ALTER DATABASE OPEN RESETLOGS;
`;
}

describe('rman on the simulated machine', () => {
  test('restores a database to an SCN on another machine, under other names', async () => {
    await insert(1);
    const saved = await rman(liveTools, backup);
    expect(saved).toMatchObject({ code: 0, stdout: expect.stringContaining('Finished backup') as string });
    await insert(2);
    const until = await scnNow();
    await insert(4);
    expect(await rman(liveTools, 'BACKUP ARCHIVELOG ALL;')).toMatchObject({ code: 0 });
    const mount = await rman(cloneTools, mountProgram());
    expect(mount.stdout).toContain('CURRENT');
    expect(mount.code).toBe(0);
    const restored = await rman(cloneTools, restoreProgram(`SET UNTIL SCN ${until};`));
    expect(restored.stdout).toContain('media recovery complete');
    expect(restored.code).toBe(0);
    expect(await sum(clone)).toBe(3);
    expect(await sum(live)).toBe(7);
    expect(mounted(clone.instance.database!).incarnations.map(({ status }) => status)).toEqual([
      'PARENT',
      'CURRENT',
    ]);
  });

  test('restores to a time between two changes', async () => {
    await rman(liveTools, backup);
    await insert(1);
    const at = new Date(now()).toISOString().slice(0, 19).replace('T', ' ');
    clock.at += 60_000;
    await insert(2);
    await rman(liveTools, 'BACKUP ARCHIVELOG ALL;');
    await rman(cloneTools, mountProgram());
    const restored = await rman(
      cloneTools,
      restoreProgram(`SET UNTIL TIME "TO_DATE('${at}', 'YYYY-MM-DD HH24:MI:SS')";`),
    );
    expect(restored.stdout).toContain('media recovery complete');
    expect(restored.code).toBe(0);
    expect([null, 1]).toContain(await sum(clone));
  });

  test('marks a backup made under load as fuzzy, and recovery must go beyond it', async () => {
    let left = 3;
    const database = live.instance.database!;
    database.betweenBlocks = () => {
      if ((left -= 1) < 0) return;
      const transaction = beginTransaction(database);
      changePage(database, transaction, 5, 'T:CLONA.NOISE', `{"columns":[],"rows":[],"n":${left}}`);
      endTransaction(database, transaction, true);
    };
    await insert(1);
    await rman(liveTools, 'BACKUP DATABASE;');
    await using connection = await oracledb.getConnection(live);
    const { rows } = await connection.execute<[number, string, string]>(
      'SELECT file#, TO_CHAR(checkpoint_change#), TO_CHAR(absolute_fuzzy_change#) FROM v$backup_datafile WHERE file# > 0',
    );
    const fuzzy = rows?.filter(([, start, highest]) => BigInt(highest) > BigInt(start)) ?? [];
    expect(fuzzy.length).toBeGreaterThan(0);
    const [, , highest] = fuzzy.reduce((a, b) => (BigInt(a[2]) > BigInt(b[2]) ? a : b));
    await insert(2);
    await rman(liveTools, 'BACKUP ARCHIVELOG ALL;');
    await rman(cloneTools, mountProgram());
    const early = await rman(cloneTools, restoreProgram(`SET UNTIL SCN ${highest};`));
    expect(early).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/ORA-01547[^]*ORA-01194/) as string,
    });
    await rman(cloneTools, mountProgram());
    const late = await rman(cloneTools, restoreProgram(`SET UNTIL SCN ${BigInt(highest) + 1n};`));
    expect(late.code).toBe(0);
  });

  test('restores a chain: level 0, then level 1, then redo', async () => {
    await insert(1);
    await rman(liveTools, 'BACKUP INCREMENTAL LEVEL 0 DATABASE;');
    await insert(2);
    await rman(liveTools, 'BACKUP INCREMENTAL LEVEL 1 DATABASE;');
    const control = mounted(live.instance.database!);
    const levels = control.sets
      .filter(({ controlFile }) => !controlFile)
      .map(({ level, files }) => [level, files.reduce((sum, { pages }) => sum + pages, 0)]);
    expect(levels[1]![1]).toBeLessThanOrEqual(levels[0]![1]!);
    await insert(4);
    const until = await scnNow();
    await rman(liveTools, 'BACKUP ARCHIVELOG ALL;');
    // What the level 1 brings needs no log from before it.
    await rm(control.archived[0]!.name, { force: true });
    await rman(cloneTools, mountProgram());
    const restored = await rman(cloneTools, restoreProgram(`SET UNTIL SCN ${until};`));
    expect(restored.stdout).toContain('starting incremental datafile backup set restore');
    expect(restored.code).toBe(0);
    expect(await sum(clone)).toBe(7);
  });

  test('says RMAN-06023 when no backup lies before the target', async () => {
    const before = await scnNow();
    await insert(1);
    await rman(liveTools, backup);
    await rman(cloneTools, mountProgram());
    const restored = await rman(cloneTools, restoreProgram(`SET UNTIL SCN ${before};`));
    expect(restored).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('RMAN-06023: no backup or copy of datafile 1 found') as string,
    });
    expect(restored.stdout).not.toContain('RMAN-03002: failure of recover');
  });

  test('tells a log that is lost (06025) from one nobody knows (06054)', async () => {
    await rman(liveTools, 'BACKUP DATABASE;');
    await insert(1);
    await using connection = await oracledb.getConnection(live);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await insert(2);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await rman(liveTools, 'BACKUP CURRENT CONTROLFILE;');
    const [first] = mounted(live.instance.database!).archived.slice(-2);
    await rman(cloneTools, mountProgram());
    const unknown = await rman(cloneTools, restoreProgram('SET UNTIL SCN 99999999;'));
    expect(unknown.stdout).toMatch(
      /RMAN-06054: media recovery requesting unknown archived log for thread 1 with sequence \d+/,
    );
    await rm(first!.name);
    await rman(cloneTools, mountProgram());
    const lost = await rman(cloneTools, restoreProgram('SET UNTIL SCN 99999999;'));
    expect(lost.stdout).toContain(
      `RMAN-06025: no backup of archived log for thread 1 with sequence ${first!.sequence}`,
    );
  });

  test('finds a corrupt piece, and restores nothing of it', async () => {
    await insert(1);
    await rman(liveTools, backup);
    const { handle } = mounted(live.instance.database!).sets.find(({ type }) => type === 'D')!;
    writeFileSync(handle, readFileSync(handle, 'utf8').replace(/"head":"(\d+)n"/, '"head":"1n"'));
    await rman(cloneTools, mountProgram());
    const restored = await rman(cloneTools, restoreProgram(''));
    expect(restored).toMatchObject({ code: 1, stdout: expect.stringContaining('ORA-19599') as string });
    expect((await rman(liveTools, 'RESTORE DATABASE VALIDATE;')).stdout).toContain('ORA-19870');
  });

  test('goes to an orphan branch only after RESET DATABASE', async () => {
    await insert(1);
    await rman(liveTools, backup);
    const branch = await scnNow();
    await insert(2);
    const until = await scnNow();
    await rman(liveTools, 'BACKUP ARCHIVELOG ALL;');
    const back = `SHUTDOWN ABORT;\nSTARTUP MOUNT;\nRUN { SET UNTIL SCN ${branch}; RESTORE DATABASE; RECOVER DATABASE; }\nALTER DATABASE OPEN RESETLOGS;\n`;
    expect(await rman(liveTools, back)).toMatchObject({ code: 0 });
    expect(await sum(live)).toBe(1);
    await insert(16);
    await rman(liveTools, backup);
    await rman(cloneTools, mountProgram());
    const wrong = await rman(cloneTools, restoreProgram(`SET UNTIL SCN ${BigInt(branch) - 1n};`));
    expect(wrong.stdout).toContain('RMAN-20208: UNTIL CHANGE is before RESETLOGS change');
    await rman(cloneTools, mountProgram());
    const right = await rman(
      cloneTools,
      restoreProgram(`SET UNTIL SCN ${until};`, 'RESET DATABASE TO INCARNATION 1;'),
    );
    expect(right.code).toBe(0);
    expect(await sum(clone)).toBe(3);
  });

  test.each([
    ['a word it does not know', 'FROBNICATE DATABASE;', 'RMAN-01008: the bad identifier was: FROBNICATE'],
    ['a missing semicolon', 'BACKUP DATABASE\nLIST INCARNATION;', 'RMAN-00558'],
    ['a setting that does not exist', 'CONFIGURE GARDEN CLEAR;', 'RMAN-00558'],
    ['SET UNTIL outside of RUN', 'SET UNTIL SCN 5;', 'RMAN-00558'],
    ['NEWNAME without a part that differs', "RUN { SET NEWNAME FOR DATABASE TO '/x/y.dbf'; }", 'RMAN-00558'],
    ['a channel of tape', 'RUN { ALLOCATE CHANNEL t DEVICE TYPE SBT; }', 'RMAN-00558'],
    ['DELETE without NOPROMPT', 'DELETE ARCHIVELOG ALL;', 'RMAN-00558'],
    ['a control file while it is mounted', "RESTORE CONTROLFILE FROM '/nowhere';", 'RMAN-06496'],
    ['files of an open database', 'BACKUP DATABASE;\nRESTORE DATABASE;', 'ORA-19573'],
    ['an incarnation that is not', 'RESET DATABASE TO INCARNATION 9;', 'RMAN-06188'],
    ['SQL the server refuses', 'ALTER DATABASE OPEN;', 'ORA-01531'],
    ['a time in another form', 'RUN { SET UNTIL TIME "2026-03-01"; RESTORE DATABASE; }', 'ORA-01861'],
  ])('refuses %s', async (_, program, code) => {
    const { stdout, code: exitCode } = await rman(liveTools, program);
    expect(stdout).toContain(code);
    expect(exitCode).toBe(1);
  });

  test.each([
    [
      'another name in the parameter file',
      () =>
        `STARTUP FORCE NOMOUNT PFILE='${parameterFile('OTHER')}';\nRESTORE CONTROLFILE FROM '${controlPiece()}';\nALTER DATABASE MOUNT;`,
      'ORA-01103',
    ],
    [
      'a piece without a control file',
      () =>
        `STARTUP FORCE NOMOUNT PFILE='${parameterFile()}';\nRESTORE CONTROLFILE FROM '${mounted(live.instance.database!).sets[0]!.handle}';`,
      'RMAN-06172',
    ],
    ['another DBID', () => `SET DBID 42;\n${mountProgram().split('\n').slice(1).join('\n')}`, 'RMAN-06189'],
    ['no parameter file', () => 'STARTUP NOMOUNT;', 'LRM-00109'],
    ['an instance that is not started', () => 'LIST INCARNATION;', 'ORA-01034'],
  ])('refuses on the clone: %s', async (_, program, code) => {
    await rman(liveTools, backup);
    const { stdout, code: exitCode } = await rman(cloneTools, program());
    expect(stdout).toContain(code);
    expect(exitCode).toBe(1);
  });
});

describe('sqlplus and nid on the simulated machine', () => {
  const plus = (tools: Tools, script: string): Promise<Ran> =>
    run(tools, 'sqlplus', ['-S', '-L', '/', 'AS', 'SYSDBA'], script);

  test('runs SQL, loses digits of wide numbers, and ends at the first error when told', async () => {
    const script = `WHENEVER SQLERROR EXIT 3 ROLLBACK
SELECT 281474976710656 n FROM dual;
SELECT nothing FROM dual;
SELECT 'never' FROM dual;
`;
    const { stdout, code } = await plus(liveTools, script);
    expect(stdout).toContain('2.8147E+14');
    expect(stdout).toContain('ERROR at line 1:\nORA-00904');
    expect(stdout).not.toContain('never');
    expect(code).toBe(3);
  });

  test('recovers a user-managed copy, and gives the clone a name of its own', async () => {
    await insert(1);
    await using connection = await oracledb.getConnection(live);
    await connection.execute('ALTER DATABASE BEGIN BACKUP');
    const data = join(folder, 'clone', 'data');
    const pfile = parameterFile();
    const control = mounted(live.instance.database!);
    for (const { name, file } of control.files) cpSync(name, join(data, `f${file}.dbf`));
    await insert(2);
    await connection.execute('ALTER DATABASE END BACKUP');
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await connection.execute(`ALTER DATABASE BACKUP CONTROLFILE TO '${data}/control01.ctl'`);
    const until = control.archived.at(-1)!.nextScn;
    const renames = [
      ...control.files.map(
        ({ name, file }) => `ALTER DATABASE RENAME FILE '${name}' TO '${data}/f${file}.dbf';`,
      ),
      ...control.groups
        .flatMap(({ members }) => members)
        .map((member, index) => `ALTER DATABASE RENAME FILE '${member}' TO '${data}/r${index}.log';`),
    ];
    const recovery = `WHENEVER SQLERROR EXIT 1
STARTUP MOUNT PFILE='${pfile}'
${renames.join('\n')}
SET AUTORECOVERY ON
RECOVER DATABASE USING BACKUP CONTROLFILE UNTIL CHANGE ${until}
ALTER DATABASE OPEN RESETLOGS;
SHUTDOWN IMMEDIATE
STARTUP RESTRICT MOUNT PFILE='${pfile}'
EXIT 0
`;
    const recovered = await plus(cloneTools, recovery);
    expect(recovered.stdout).toContain('Media recovery complete.');
    expect(recovered.code).toBe(0);
    expect((await run(cloneTools, 'nid', ['TARGET=/', 'DBNAME=STAGE'])).stdout).toContain(
      'Database name changed to STAGE.',
    );
    const opened = `WHENEVER SQLERROR EXIT 1\nSTARTUP RESTRICT MOUNT PFILE='${parameterFile('STAGE')}'\nALTER DATABASE OPEN RESETLOGS;\nSELECT name FROM v$database;\n`;
    expect(await plus(cloneTools, opened)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('STAGE') as string,
    });
    expect(await sum(clone)).toBe(3);
  });

  test('a recovery that waits for a log is an error of SQL, and its cancel is none; after a clean shutdown none waits', async () => {
    const clean =
      'WHENEVER SQLERROR EXIT 1\nSHUTDOWN IMMEDIATE\nSTARTUP MOUNT\nALTER DATABASE RECOVER DATABASE UNTIL CANCEL;\nALTER DATABASE OPEN RESETLOGS;\n';
    expect(await plus(liveTools, clean)).toMatchObject({ code: 0 });
    const waiting =
      'SHUTDOWN IMMEDIATE\nSTARTUP MOUNT\nALTER DATABASE RECOVER DATABASE USING BACKUP CONTROLFILE UNTIL CANCEL;\nALTER DATABASE RECOVER CANCEL;\nALTER DATABASE RECOVER CANCEL;\n';
    const { stdout } = await plus(liveTools, waiting);
    expect(stdout).toMatch(/ORA-00279[^]*Database altered[^]*ORA-01112/);
  });

  test.each([
    ['a command it does not know', 'VARIABLE x NUMBER\n', /SP2-0734/],
    [
      'recovery that nobody answers',
      'SHUTDOWN ABORT\nSTARTUP MOUNT\nRECOVER DATABASE UNTIL CANCEL\n',
      /ORA-00283/,
    ],
    ['an option that does not exist', 'SET GARDEN ON\n', /SP2-0158/],
    ['a start of what runs', 'STARTUP\n', /ORA-01081/],
  ])('says what is wrong with %s', async (_, script, message) => {
    expect((await plus(liveTools, script)).stdout).toMatch(message);
  });
});
