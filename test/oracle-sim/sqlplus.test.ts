import { cpSync } from 'node:fs';
import { join } from 'node:path';
import oracledb from 'oracledb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTwoMachines, type TwoMachines } from '../support/two-oracle-machines.ts';

let world: TwoMachines;

beforeEach(async () => {
  world = await openTwoMachines();
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

describe('sqlplus and nid on the simulated machine', () => {
  test('runs SQL, loses digits of wide numbers, and ends at the first error when told', async () => {
    const script = `WHENEVER SQLERROR EXIT 3 ROLLBACK
SELECT 281474976710656 n FROM dual;
SELECT nothing FROM dual;
SELECT 'never' FROM dual;
`;
    const { stdout, code } = await world.sqlPlus(world.liveTools, script);
    expect(stdout).toContain('2.8147E+14');
    expect(stdout).toContain('ERROR at line 1:\nORA-00904');
    expect(stdout).not.toContain('never');
    expect(code).toBe(3);
  });

  test('recovers a user-managed copy, and gives the clone a name of its own', async () => {
    await world.insert(1);
    await using connection = await oracledb.getConnection(world.live);
    await connection.execute('ALTER DATABASE BEGIN BACKUP');
    const data = join(world.folder, 'clone', 'data');
    const pfile = world.parameterFile();
    const control = world.control();
    for (const { name, file } of control.files) cpSync(name, join(data, `f${file}.dbf`));
    await world.insert(2);
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
    const recovered = await world.sqlPlus(world.cloneTools, recovery);
    expect(recovered.stdout).toContain('Media recovery complete.');
    expect(recovered.code).toBe(0);
    expect((await world.run(world.cloneTools, 'nid', ['TARGET=/', 'DBNAME=STAGE'])).stdout).toContain(
      'Database name changed to STAGE.',
    );
    const opened = `WHENEVER SQLERROR EXIT 1\nSTARTUP RESTRICT MOUNT PFILE='${world.parameterFile('STAGE')}'\nALTER DATABASE OPEN RESETLOGS;\nSELECT name FROM v$database;\n`;
    expect(await world.sqlPlus(world.cloneTools, opened)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('STAGE') as string,
    });
    expect(await world.sum(world.clone)).toBe(3);
  });

  test('a recovery that waits for a log is an error of SQL, and its cancel is none; after a clean shutdown none waits', async () => {
    const clean =
      'WHENEVER SQLERROR EXIT 1\nSHUTDOWN IMMEDIATE\nSTARTUP MOUNT\nALTER DATABASE RECOVER DATABASE UNTIL CANCEL;\nALTER DATABASE OPEN RESETLOGS;\n';
    expect(await world.sqlPlus(world.liveTools, clean)).toMatchObject({ code: 0 });
    const waiting =
      'SHUTDOWN IMMEDIATE\nSTARTUP MOUNT\nALTER DATABASE RECOVER DATABASE USING BACKUP CONTROLFILE UNTIL CANCEL;\nALTER DATABASE RECOVER CANCEL;\nALTER DATABASE RECOVER CANCEL;\n';
    const { stdout } = await world.sqlPlus(world.liveTools, waiting);
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
    expect((await world.sqlPlus(world.liveTools, script)).stdout).toMatch(message);
  });
});
