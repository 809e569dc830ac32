import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import oracledb from 'oracledb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTwoMachines, type TwoMachines } from '../support/two-oracle-machines.ts';
import { mounted } from './instance/physical/database.ts';
import { beginTransaction, changePage, endTransaction } from './instance/physical/change.ts';

let world: TwoMachines;

beforeEach(async () => {
  world = await openTwoMachines();
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const backup = 'BACKUP DATABASE TAG nightly PLUS ARCHIVELOG;\n';

describe('rman on the simulated machine', () => {
  test('restores a database to an SCN on another machine, under other names', async () => {
    await world.insert(1);
    const saved = await world.rman(world.liveTools, backup);
    expect(saved).toMatchObject({ code: 0, stdout: expect.stringContaining('Finished backup') as string });
    await world.insert(2);
    const until = await world.scnNow();
    await world.insert(4);
    expect(await world.rman(world.liveTools, 'BACKUP ARCHIVELOG ALL;')).toMatchObject({ code: 0 });
    const mount = await world.rman(world.cloneTools, world.mountProgram());
    expect(mount.stdout).toContain('CURRENT');
    expect(mount.code).toBe(0);
    const restored = await world.rman(world.cloneTools, world.restoreProgram(`SET UNTIL SCN ${until};`));
    expect(restored.stdout).toContain('media recovery complete');
    expect(restored.code).toBe(0);
    expect(await world.sum(world.clone)).toBe(3);
    expect(await world.sum(world.live)).toBe(7);
    expect(mounted(world.clone.instance.database!).incarnations.map(({ status }) => status)).toEqual([
      'PARENT',
      'CURRENT',
    ]);
  });

  test('restores to a time between two changes', async () => {
    await world.rman(world.liveTools, backup);
    await world.insert(1);
    const at = new Date((world.clock.at += 1000)).toISOString().slice(0, 19).replace('T', ' ');
    world.clock.at += 60_000;
    await world.insert(2);
    await world.rman(world.liveTools, 'BACKUP ARCHIVELOG ALL;');
    await world.rman(world.cloneTools, world.mountProgram());
    const restored = await world.rman(
      world.cloneTools,
      world.restoreProgram(`SET UNTIL TIME "TO_DATE('${at}', 'YYYY-MM-DD HH24:MI:SS')";`),
    );
    expect(restored.stdout).toContain('media recovery complete');
    expect(restored.code).toBe(0);
    expect([null, 1]).toContain(await world.sum(world.clone));
  });

  test('marks a backup made under load as fuzzy, and recovery must go beyond it', async () => {
    let left = 3;
    const database = world.live.instance.database!;
    database.betweenBlocks = () => {
      if ((left -= 1) < 0) return;
      const transaction = beginTransaction(database);
      changePage(database, transaction, 5, 'T:CLONA.NOISE', `{"columns":[],"rows":[],"n":${left}}`);
      endTransaction(database, transaction, true);
    };
    await world.insert(1);
    await world.rman(world.liveTools, 'BACKUP DATABASE;');
    await using connection = await oracledb.getConnection(world.live);
    const { rows } = await connection.execute<[number, string, string]>(
      'SELECT file#, TO_CHAR(checkpoint_change#), TO_CHAR(absolute_fuzzy_change#) FROM v$backup_datafile WHERE file# > 0',
    );
    const fuzzy = rows?.filter(([, start, highest]) => BigInt(highest) > BigInt(start)) ?? [];
    expect(fuzzy.length).toBeGreaterThan(0);
    const [, , highest] = fuzzy.reduce((a, b) => (BigInt(a[2]) > BigInt(b[2]) ? a : b));
    await world.insert(2);
    await world.rman(world.liveTools, 'BACKUP ARCHIVELOG ALL;');
    await world.rman(world.cloneTools, world.mountProgram());
    const early = await world.rman(world.cloneTools, world.restoreProgram(`SET UNTIL SCN ${highest};`));
    expect(early).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/ORA-01547[^]*ORA-01194/) as string,
    });
    await world.rman(world.cloneTools, world.mountProgram());
    const late = await world.rman(
      world.cloneTools,
      world.restoreProgram(`SET UNTIL SCN ${BigInt(highest) + 1n};`),
    );
    expect(late.code).toBe(0);
  });

  test('restores a chain: level 0, then level 1, then redo', async () => {
    await world.insert(1);
    await world.rman(world.liveTools, 'BACKUP INCREMENTAL LEVEL 0 DATABASE;');
    await world.insert(2);
    await world.rman(world.liveTools, 'BACKUP INCREMENTAL LEVEL 1 DATABASE;');
    const control = world.control();
    const levels = control.sets
      .filter(({ controlFile }) => !controlFile)
      .map(({ level, files }) => [level, files.reduce((sum, { pages }) => sum + pages, 0)]);
    expect(levels[1]![1]).toBeLessThanOrEqual(levels[0]![1]!);
    await world.insert(4);
    const until = await world.scnNow();
    await world.rman(world.liveTools, 'BACKUP ARCHIVELOG ALL;');
    // What the level 1 brings needs no log from before it.
    await rm(control.archived[0]!.name, { force: true });
    await world.rman(world.cloneTools, world.mountProgram());
    const restored = await world.rman(world.cloneTools, world.restoreProgram(`SET UNTIL SCN ${until};`));
    expect(restored.stdout).toContain('starting incremental datafile backup set restore');
    expect(restored.code).toBe(0);
    expect(await world.sum(world.clone)).toBe(7);
  });

  test('says RMAN-06023 when no backup lies before the target', async () => {
    const before = await world.scnNow();
    await world.insert(1);
    await world.rman(world.liveTools, backup);
    await world.rman(world.cloneTools, world.mountProgram());
    const restored = await world.rman(world.cloneTools, world.restoreProgram(`SET UNTIL SCN ${before};`));
    expect(restored).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('RMAN-06023: no backup or copy of datafile 1 found') as string,
    });
    expect(restored.stdout).not.toContain('RMAN-03002: failure of recover');
  });

  test('tells a log that is lost (06025) from one nobody knows (06054)', async () => {
    await world.rman(world.liveTools, 'BACKUP DATABASE;');
    await world.insert(1);
    await using connection = await oracledb.getConnection(world.live);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await world.insert(2);
    await connection.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await world.rman(world.liveTools, 'BACKUP CURRENT CONTROLFILE;');
    const [first] = world.control().archived.slice(-2);
    await world.rman(world.cloneTools, world.mountProgram());
    const unknown = await world.rman(world.cloneTools, world.restoreProgram('SET UNTIL SCN 99999999;'));
    expect(unknown.stdout).toMatch(
      /RMAN-06054: media recovery requesting unknown archived log for thread 1 with sequence \d+/,
    );
    await rm(first!.name);
    await world.rman(world.cloneTools, world.mountProgram());
    const lost = await world.rman(world.cloneTools, world.restoreProgram('SET UNTIL SCN 99999999;'));
    expect(lost.stdout).toContain(
      `RMAN-06025: no backup of archived log for thread 1 with sequence ${first!.sequence}`,
    );
  });

  test('finds a corrupt piece, and restores nothing of it', async () => {
    await world.insert(1);
    await world.rman(world.liveTools, backup);
    const { handle } = world.control().sets.find(({ type }) => type === 'D')!;
    writeFileSync(handle, readFileSync(handle, 'utf8').replace(/"head":"(\d+)n"/, '"head":"1n"'));
    await world.rman(world.cloneTools, world.mountProgram());
    const restored = await world.rman(world.cloneTools, world.restoreProgram(''));
    expect(restored).toMatchObject({ code: 1, stdout: expect.stringContaining('ORA-19599') as string });
    expect((await world.rman(world.liveTools, 'RESTORE DATABASE VALIDATE;')).stdout).toContain('ORA-19870');
  });

  test('stops a backup at a corrupt block, and VALIDATE counts it', async () => {
    await world.insert(1);
    await world.rman(world.liveTools, 'BACKUP DATABASE;');
    const { name } = world.control().files.at(-1)!;
    writeFileSync(name, readFileSync(name, 'utf8').replace('["T:CLONA.ORDERS"', '["T:CLONA.OR'));
    const validated = await world.rman(world.liveTools, 'VALIDATE DATABASE;');
    expect(validated.stdout).toMatch(/^5\s+FAILED\s+1\s/m);
    const { stdout, code } = await world.rman(world.liveTools, 'BACKUP DATABASE;');
    expect(stdout).toContain('ORA-19566');
    expect(code).toBe(1);
    await using connection = await oracledb.getConnection(world.live);
    const { rows } = await connection.execute('SELECT file#, blocks FROM v$database_block_corruption');
    expect(rows).toEqual([[5, 1]]);
  });

  test('goes to an orphan branch only after RESET DATABASE', async () => {
    await world.insert(1);
    await world.rman(world.liveTools, backup);
    const branch = await world.scnNow();
    await world.insert(2);
    const until = await world.scnNow();
    await world.rman(world.liveTools, 'BACKUP ARCHIVELOG ALL;');
    const back = `SHUTDOWN ABORT;\nSTARTUP MOUNT;\nRUN { SET UNTIL SCN ${branch}; RESTORE DATABASE; RECOVER DATABASE; }\nALTER DATABASE OPEN RESETLOGS;\n`;
    expect(await world.rman(world.liveTools, back)).toMatchObject({ code: 0 });
    expect(await world.sum(world.live)).toBe(1);
    await world.insert(16);
    await world.rman(world.liveTools, backup);
    await world.rman(world.cloneTools, world.mountProgram());
    const wrong = await world.rman(
      world.cloneTools,
      world.restoreProgram(`SET UNTIL SCN ${BigInt(branch) - 1n};`),
    );
    expect(wrong.stdout).toContain('RMAN-20208: UNTIL CHANGE is before RESETLOGS change');
    await world.rman(world.cloneTools, world.mountProgram());
    const right = await world.rman(
      world.cloneTools,
      world.restoreProgram(`SET UNTIL SCN ${until};`, 'RESET DATABASE TO INCARNATION 1;'),
    );
    expect(right.code).toBe(0);
    expect(await world.sum(world.clone)).toBe(3);
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
    const { stdout, code: exitCode } = await world.rman(world.liveTools, program);
    expect(stdout).toContain(code);
    expect(exitCode).toBe(1);
  });

  test.each([
    [
      'another name in the parameter file',
      () =>
        `STARTUP FORCE NOMOUNT PFILE='${world.parameterFile('OTHER')}';\nRESTORE CONTROLFILE FROM '${world.control().sets.findLast(({ controlFile }) => controlFile)!.handle}';\nALTER DATABASE MOUNT;`,
      'ORA-01103',
    ],
    [
      'a piece without a control file',
      () =>
        `STARTUP FORCE NOMOUNT PFILE='${world.parameterFile()}';\nRESTORE CONTROLFILE FROM '${world.control().sets[0]!.handle}';`,
      'RMAN-06172',
    ],
    [
      'another DBID',
      () => `SET DBID 42;\n${world.mountProgram().split('\n').slice(1).join('\n')}`,
      'RMAN-06189',
    ],
    ['no parameter file', () => 'STARTUP NOMOUNT;', 'LRM-00109'],
    ['an instance that is not started', () => 'LIST INCARNATION;', 'ORA-01034'],
  ])('refuses on the clone: %s', async (_, program, code) => {
    await world.rman(world.liveTools, backup);
    const { stdout, code: exitCode } = await world.rman(world.cloneTools, program());
    expect(stdout).toContain(code);
    expect(exitCode).toBe(1);
  });
});
