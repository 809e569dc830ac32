import { describe, expect, test } from 'vitest';
import { buildCatalog } from '../../../src/databases/oracle/catalog.ts';
import { chooseControlFile, readRestoreFacts } from '../../../src/databases/oracle/restore-facts.ts';
import {
  nidArguments,
  openKeystore,
  writeAfterNid,
  writeBeforeNid,
} from '../../../src/databases/oracle/clone-instance-program.ts';
import {
  writeMountProgram,
  writeRestoreProgram,
  type MountedFacts,
} from '../../../src/databases/oracle/restore-program.ts';
import { writeValidateProgram } from '../../../src/databases/oracle/validate-program.ts';
import { writeParameterFile, type RestoreTarget } from '../../../src/databases/oracle/restore-target.ts';
import {
  archivedLogName,
  writeUserManagedRecovery,
} from '../../../src/databases/oracle/user-managed-program.ts';
import { planRecovery } from '../../../src/recovery/plan.ts';
import { asPosition } from '../../../src/recovery/position.ts';
import { addLog, addRow, addSet, at, openDatabase } from '../../support/oracle-rows.ts';

const tag = 'TAG20170308T100000';

function prepare(change: (rows: ReturnType<typeof openDatabase>) => void = () => {}) {
  const rows = openDatabase();
  addRow(rows, 'parameters', { name: 'compatible', value: '19.0.0' });
  const files = [
    { file: '1', checkpoint: '100', fuzzy: '130' },
    { file: '2', checkpoint: '120' },
  ];
  addSet(rows, { tag, files });
  addSet(rows, { tag: 'TAG20170308T100100', files: [{ file: '0', creation: '0', checkpoint: '140' }] });
  addLog(rows, ['1', '1', '90', '500']);
  change(rows);
  const built = buildCatalog(rows);
  return { catalog: built.catalog, facts: readRestoreFacts(rows, built) };
}

const linux: RestoreTarget = {
  platform: 'linux',
  databaseName: 'clonaerp',
  instanceName: 'CLONAERP',
  dataDir: '/data/clona',
  recoveryDir: '/data/fra',
  recoveryBytes: 10_737_418_240,
  archiveDirs: ['/archive/backup/', '/archive/log/'],
  channels: 2,
};
const windows: RestoreTarget = {
  ...linux,
  platform: 'windows',
  dataDir: 'D:\\Clona data',
  recoveryDir: 'D:\\fra',
  archiveDirs: ['\\\\backup\\erp\\'],
  channels: 1,
};
const mounted: MountedFacts = {
  incarnations: [{ key: 1, resetlogs: '1', resetlogsTime: at('01:00'), status: 'CURRENT' }],
  logMembers: ['/u01/erp/redo01.log', '/u02/erp/redo01.log'],
  tempFiles: [1],
  changeTracking: false,
  flashback: false,
  restorePoints: [],
};
const scn = { kind: 'scn', scn: asPosition(400n) } as const;
const lostOnline = { until: { kind: 'position', position: asPosition(400n) }, lost: 'online-log' } as const;

describe('the restore program', () => {
  test('mounts the control file under production, clears what production configured and catalogs the archive', () => {
    const { facts } = prepare();
    const text = writeMountProgram(facts, linux, '/data/clona/init.ora', facts.controlFiles[0]!.handle);
    expect(text.split('\n').filter((line) => !line.startsWith('#') && !line.includes('CONFIGURE'))).toEqual([
      'SET DBID 1234567890;',
      "STARTUP FORCE NOMOUNT DBA PFILE='/data/clona/init.ora';",
      expect.stringMatching(/^RESTORE CONTROLFILE FROM '\/backup\/\d+_1\.bkp';$/),
      'ALTER DATABASE MOUNT;',
      "CATALOG START WITH '/archive/backup/' NOPROMPT;",
      "CATALOG START WITH '/archive/log/' NOPROMPT;",
      'LIST INCARNATION OF DATABASE;',
      '',
    ]);
    expect(text).toContain('CONFIGURE ARCHIVELOG DELETION POLICY CLEAR;');
  });

  test('renames every file to the disks of the clone and stops at the exclusive target', () => {
    const { catalog } = prepare();
    const text = writeRestoreProgram(planRecovery(catalog, lostOnline), catalog, mounted, linux, scn);
    expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      "ALTER DATABASE RENAME FILE '/u01/erp/redo01.log' TO '/data/clona/redo_1.log';",
      "ALTER DATABASE RENAME FILE '/u02/erp/redo01.log' TO '/data/clona/redo_2.log';",
      'RUN {',
      '  ALLOCATE CHANNEL c1 DEVICE TYPE DISK;',
      '  ALLOCATE CHANNEL c2 DEVICE TYPE DISK;',
      "  SET NEWNAME FOR DATABASE TO '/data/clona/file_%f.dbf';",
      "  SET NEWNAME FOR TEMPFILE 1 TO '/data/clona/temp_1.dbf';",
      '  SET UNTIL SCN 400;',
      `  RESTORE DATABASE FROM TAG '${tag}';`,
      '  SWITCH DATAFILE ALL;',
      '  SWITCH TEMPFILE ALL;',
      '  RECOVER DATABASE DELETE ARCHIVELOG;',
      '}',
      'ALTER DATABASE OPEN RESETLOGS;',
      '',
    ]);
  });

  test('a Windows guest gets its own paths, and a time is given in the clock of the server', () => {
    const { catalog } = prepare();
    const until = { kind: 'time', wall: '2017-03-08T17:52:00' } as const;
    const text = writeRestoreProgram(planRecovery(catalog, lostOnline), catalog, mounted, windows, until);
    expect(text).toContain("SET NEWNAME FOR DATABASE TO 'D:\\Clona data\\file_%f.dbf';");
    expect(text).toContain(`SET UNTIL TIME "TO_DATE('2017-03-08 17:52:00', 'YYYY-MM-DD HH24:MI:SS')";`);
  });

  test('the incarnation is reset by the key that the restored control file has for it, whatever ours is', () => {
    const { catalog } = prepare((rows) => {
      addRow(rows, 'incarnations', {
        id: '2',
        prior: '1',
        resetlogs: '450',
        resetlogsTime: at('12:00'),
        priorResetlogs: '1',
        priorResetlogsTime: at('01:00'),
        status: 'CURRENT',
      });
      Object.assign(rows.database[0]!, { resetlogs: '450', resetlogsTime: at('12:00') });
      rows.incarnations[0]!.status = 'PARENT';
    });
    const plan = planRecovery(catalog, lostOnline);
    expect(plan.resetDatabaseToIncarnation).toBe(1);
    const incarnations = [
      { key: 7, resetlogs: '1', resetlogsTime: null, status: 'PARENT' },
      { key: 8, resetlogs: '450', resetlogsTime: null, status: 'CURRENT' },
    ];
    const text = writeRestoreProgram(plan, catalog, { ...mounted, incarnations }, linux, scn);
    expect(text).toContain('RESET DATABASE TO INCARNATION 7;');
    const without = { ...mounted, incarnations: incarnations.slice(1) };
    expect(() => writeRestoreProgram(plan, catalog, without, linux, scn)).toThrow(
      /does not know the incarnation/,
    );
  });

  test('what would write outside of the clone is off before anything is opened', () => {
    const { catalog } = prepare();
    const more = {
      ...mounted,
      changeTracking: true,
      flashback: true,
      restorePoints: ['Before "x'.slice(0, 6)],
    };
    const text = writeRestoreProgram(planRecovery(catalog, lostOnline), catalog, more, linux, scn);
    expect(text).toContain('DISABLE BLOCK CHANGE TRACKING');
    expect(text).toContain('DROP RESTORE POINT "Before";');
    expect(text).toContain('FLASHBACK OFF');
  });

  test('an unreachable plan and one that needs the online log of production are refused', () => {
    const { catalog } = prepare((rows) => {
      addRow(rows, 'onlineLogs', { group: '1', thread: '1', sequence: '2', first: '500', status: 'CURRENT' });
    });
    const online = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'database' });
    expect(() => writeRestoreProgram(online, catalog, mounted, linux, scn)).toThrow(/online log/);
    const none = planRecovery(catalog, {
      ...lostOnline,
      until: { kind: 'position', position: asPosition(50n) },
    });
    expect(() => writeRestoreProgram(none, catalog, mounted, linux, scn)).toThrow(/no way/);
  });

  test('the control file is one made after the backup and before the target, on the way to it', () => {
    const { catalog, facts } = prepare();
    const controlFiles = [
      { handle: 'early', finishedAt: null, checkpoint: '50', branch: '1' },
      { handle: 'orphan', finishedAt: null, checkpoint: '200', branch: '77' },
      { handle: 'fitting', finishedAt: null, checkpoint: '300', branch: '1' },
      { handle: 'late', finishedAt: null, checkpoint: '450', branch: '1' },
    ];
    const plan = planRecovery(catalog, lostOnline);
    const choose = (count: number) =>
      chooseControlFile(
        { ...facts, controlFiles: controlFiles.slice(0, count) },
        plan,
        catalog,
        catalog.incarnations,
      );
    expect([0, 1, 2, 3, 4].map(choose)).toEqual([null, 'early', 'early', 'fitting', 'fitting']);
  });

  test('VALIDATE reads what RMAN itself would take for the target', () => {
    expect(writeValidateProgram(scn, ['/archive/'])).toContain(
      '  SET UNTIL SCN 400;\n  RESTORE DATABASE PREVIEW;\n  RESTORE DATABASE VALIDATE CHECK LOGICAL;\n',
    );
  });
});

describe('a clone of its own', () => {
  test('the parameter file takes nothing of production over and has an own recovery area', () => {
    const { facts } = prepare();
    const before = writeParameterFile(facts, linux, 'as-production');
    expect(before).toContain("*.db_name='ERP'\n*.db_unique_name='CLONAERP'");
    expect(before).toContain("*.db_recovery_file_dest='/data/fra'");
    expect(before).toContain('*.job_queue_processes=0');
    expect(writeParameterFile(facts, linux, 'as-clone')).toContain("*.db_name='CLONAERP'");
  });

  test('nid gives it a DBID and a name of its own, the session stays restricted', () => {
    const { facts } = prepare();
    expect(nidArguments(facts, linux, '/data/nid.log')).toEqual([
      'nid',
      'TARGET=/',
      'DBNAME=CLONAERP',
      'LOGFILE=/data/nid.log',
    ]);
    expect(nidArguments({ ...facts, cdb: true }, linux, 'x')).toContain('PDB=ALL');
    expect(writeBeforeNid('/data/init.ora')).toContain("STARTUP RESTRICT MOUNT PFILE='/data/init.ora'");
    expect(writeAfterNid('/data/init.ora', facts)).toContain('ALTER DATABASE OPEN RESETLOGS;');
  });

  test('a cluster becomes a single instance: nothing of its own is carried over', () => {
    const { facts } = prepare((rows) => {
      addRow(rows, 'parameters', { name: 'cluster_database', value: 'TRUE' });
      addRow(rows, 'parameters', { name: 'undo_tablespace', value: 'UNDOTBS1' });
      for (const [group, thread] of [
        ['1', '1'],
        ['2', '1'],
        ['3', '2'],
        ['4', '3'],
      ] as const)
        addRow(rows, 'onlineLogs', {
          group,
          thread,
          bytes: '1000',
          sequence: '9',
          status: 'INACTIVE',
          first: '500',
        });
    });
    const text = writeParameterFile(facts, linux, 'as-clone');
    expect(text).not.toContain('cluster');
    expect(text).toContain("*.undo_tablespace='UNDOTBS1'");
  });

  test('a keystore with a password is opened before the database, and in its pluggable ones, in no written script', () => {
    const { facts } = prepare();
    const script = writeAfterNid('/data/init.ora', { ...facts, cdb: true });
    expect(script).not.toContain('ADMINISTER');
    const lines = openKeystore(script, 'Open Sesame', ['SALES']).split('\n');
    const open = 'ADMINISTER KEY MANAGEMENT SET KEYSTORE OPEN IDENTIFIED BY "Open Sesame";';
    const after = lines.slice(lines.indexOf('STARTUP FORCE RESTRICT MOUNT') + 1);
    expect(after.slice(0, 6)).toEqual([
      open,
      'ALTER DATABASE OPEN RESETLOGS;',
      'ALTER PLUGGABLE DATABASE ALL OPEN RESTRICTED;',
      'ALTER SESSION SET CONTAINER = "SALES";',
      open,
      'ALTER SESSION SET CONTAINER = "CDB$ROOT";',
    ]);
    expect(lines.join()).toContain('ECHO OFF');
    expect(() => openKeystore(script, 'a"b')).toThrow(/holds a sign/);
  });

  test.each([
    ['production', 'ERP', /as production is/],
    ['nine letters', 'CLONAERP1', /no name for an Oracle database/],
    ['a quote', "X'", /no name for an Oracle database/],
  ])('it cannot be called like %s', (_, databaseName, message) => {
    const { facts } = prepare();
    expect(() => writeParameterFile(facts, { ...linux, databaseName }, 'as-clone')).toThrow(message);
  });

  test.each(["/data/o'brien", '/data/a"b', '/data/a\nb', '/data/&1', ''])(
    'a path that RMAN cannot quote is refused: %j',
    (dataDir) => {
      const { facts } = prepare();
      expect(() => writeParameterFile(facts, { ...linux, dataDir }, 'as-clone')).toThrow(
        /holds a sign|is empty/,
      );
    },
  );
});

describe('recovery without RMAN', () => {
  const files = [{ production: "/u01/erp/o'neil.dbf", clone: '/data/clona/1.dbf' }];

  test('SQL*Plus names the copies and applies the logs from their folder up to the exclusive target', () => {
    const { catalog } = prepare();
    const text = writeUserManagedRecovery(
      planRecovery(catalog, lostOnline),
      files,
      mounted,
      linux,
      '/archive/log',
    );
    expect(text).toContain("ALTER DATABASE RENAME FILE '/u01/erp/o''neil.dbf' TO '/data/clona/1.dbf';");
    expect(text).toContain(
      "SET AUTORECOVERY ON\nSET LOGSOURCE '/archive/log'\nRECOVER DATABASE USING BACKUP CONTROLFILE UNTIL CHANGE 400\nALTER DATABASE OPEN RESETLOGS;",
    );
    expect(text).not.toContain('END BACKUP');
    expect(archivedLogName(1, 7, '938')).toBe('1_7_938.arc');
  });

  test('files that agree with each other need no log', () => {
    const { catalog } = prepare();
    const plan = { ...planRecovery(catalog, lostOnline), redoFrom: asPosition(400n) };
    expect(writeUserManagedRecovery(plan, files, mounted, linux, '/archive/log')).toContain(
      'RECOVER CANCEL;',
    );
  });
});
