import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { reopenProgram, writeBackupProgram } from '../../../src/databases/oracle/backup-program.ts';
import { connectOracle } from '../../../src/databases/oracle/connect.ts';
import { normaliseDdl } from '../../../src/databases/oracle/fingerprint.ts';
import {
  createRestorePoint,
  decideWayBack,
  dropRestorePoint,
  isBackAt,
  readWayBackFacts,
  writeAfterRevert,
  writeFlashback,
} from '../../../src/databases/oracle/way-back.ts';
import { asPosition } from '../../../src/recovery/position.ts';
import { startOracleSim } from '../../oracle-sim/server.ts';
import { makeTestFolder } from '../../support/machine.ts';

const { signal } = new AbortController();
const enterprise = {
  flashbackLicensed: true,
  flashbackOn: false,
  logMode: 'ARCHIVELOG',
  hasRecoveryArea: true,
  currentIncarnation: 4,
};

describe('the way back', () => {
  test.each([
    ['Enterprise Edition', {}, 'flashback', /keeps the blocks as they were/],
    ['Standard Edition', { flashbackLicensed: false }, 'snapshot', /ORA-00439/],
    ['no recovery area', { hasRecoveryArea: false }, 'snapshot', /no recovery area/],
    ['NOARCHIVELOG', { logMode: 'NOARCHIVELOG' }, 'snapshot', /NOARCHIVELOG/],
  ])('with %s', (_, change, kind, why) => {
    const { kind: decided, reasons } = decideWayBack({ ...enterprise, ...change });
    expect(decided).toBe(kind);
    expect(reasons[0]).toMatch(why);
    expect(reasons[1]).toContain('a new incarnation whose parent is 4');
  });

  test('a guaranteed restore point is made and dropped, and holds its SCN', async () => {
    const folder = await makeTestFolder();
    try {
      await using sim = await startOracleSim({ instance: { storage: { folder } } });
      const { host, port, password } = sim;
      const address = {
        engine: 'oracle',
        host,
        port,
        database: 'ERP',
        user: 'SYS',
        password,
        oracle: { privilege: 'sysdba' },
      } as const;
      await using session = await connectOracle(address, signal);
      const scn = await createRestorePoint(session, 'CLONA_GUARD');
      expect(scn).toMatch(/^\d+$/);
      await dropRestorePoint(session, 'CLONA_GUARD');
      await expect(dropRestorePoint(session, 'CLONA_GUARD')).rejects.toMatchObject({
        details: { code: 'ORA-38780' },
      });
      expect(await readWayBackFacts(session, 1)).toMatchObject({ logMode: 'ARCHIVELOG' });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('FLASHBACK ends on a new incarnation, restricted', () => {
    expect(writeFlashback('GUARD')).toContain(
      'STARTUP RESTRICT MOUNT\nFLASHBACK DATABASE TO RESTORE POINT "GUARD";\nALTER DATABASE OPEN RESETLOGS;',
    );
  });

  test('after a revert of the machine nothing is archived before the new incarnation', () => {
    const text = writeAfterRevert([1, 2]).split('\n');
    const at = (line: string): number => text.indexOf(line);
    expect(at('ALTER SYSTEM SET log_archive_dest_state_1 = DEFER SCOPE = MEMORY;')).toBeLessThan(
      at('ALTER DATABASE OPEN;'),
    );
    expect(at('SHUTDOWN IMMEDIATE')).toBeLessThan(at('ALTER DATABASE RECOVER CANCEL;'));
    expect(at('ALTER DATABASE OPEN RESETLOGS;')).toBeLessThan(
      at('ALTER SYSTEM SET log_archive_dest_state_2 = ENABLE SCOPE = MEMORY;'),
    );
    expect(() => writeAfterRevert([32])).toThrow('no archive destination');
  });

  test.each([
    [100n, 100n, true],
    [101n, 100n, true],
    [99n, 100n, false],
    [120n, 100n, false],
  ])('LIVE whose RESETLOGS is %s and should be back at %s: %s', (resetlogs, noted, is) => {
    expect(isBackAt(asPosition(resetlogs), asPosition(noted))).toBe(is);
  });
});

describe("RMAN's backup", () => {
  test('carries its own log and ends with a control file that knows its pieces', () => {
    expect(
      writeBackupProgram({ kind: 'managed', level: 1, channels: 1, compressed: true, tag: 'nightly' }),
    ).toBe(
      `RUN {
  ALLOCATE CHANNEL c1 DEVICE TYPE DISK;
  BACKUP AS COMPRESSED BACKUPSET INCREMENTAL LEVEL 1 CHECK LOGICAL DATABASE TAG 'NIGHTLY' PLUS ARCHIVELOG TAG 'NIGHTLY';
  BACKUP CURRENT CONTROLFILE TAG 'NIGHTLY';
}
`,
    );
  });

  test('a cold one shuts down cleanly, and a program of its own opens again', () => {
    const text = writeBackupProgram({ kind: 'cold', level: null, channels: 1, compressed: false });
    expect(text).toContain('SHUTDOWN IMMEDIATE;\nSTARTUP MOUNT;\n');
    expect(text).toContain('  BACKUP CHECK LOGICAL DATABASE;\n');
    expect(reopenProgram).toContain('ALTER DATABASE OPEN;');
  });

  test('a tag that would end its quotes is refused', () => {
    expect(() =>
      writeBackupProgram({ kind: 'managed', level: 0, channels: 1, compressed: false, tag: "x'" }),
    ).toThrow('no tag');
  });
});

test.each([
  ['white space', 'CREATE TABLE  "ERP"."T"\n   (  "ID" NUMBER)', 'CREATE TABLE "ERP"."T" ( "ID" NUMBER)'],
  ['names of the server', 'CONSTRAINT "SYS_C0012345" CHECK (x)', 'CONSTRAINT "SYS_" CHECK (x)'],
  [
    'where a sequence stands',
    'CREATE SEQUENCE "S" START WITH 1042 CACHE 20',
    'CREATE SEQUENCE "S" START WITH 1 CACHE 20',
  ],
  ['texts stay as they are', "DEFAULT 'a  b  ''c''  START WITH 7'", "DEFAULT 'a  b  ''c''  START WITH 7'"],
  ['quoted names stay as they are', '"My  Table"', '"My  Table"'],
])('a definition is compared without what a copy may differ in: %s', (_, ddl, expected) => {
  expect(normaliseDdl(ddl)).toBe(expected);
});
