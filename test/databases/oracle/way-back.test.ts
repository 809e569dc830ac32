import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { reopenProgram, writeBackupProgram } from '../../../src/databases/oracle/backup-program.ts';
import { connectOracle } from '../../../src/databases/oracle/connect.ts';
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
    ['flashback on', { flashbackOn: true }, 'flashback', /only what changed since/],
  ])('with %s', (_, change, kind, why) => {
    const { kind: decided, reasons } = decideWayBack({ ...enterprise, ...change });
    expect(decided).toBe(kind);
    expect(reasons[0]).toMatch(why);
    expect(reasons[1]).toContain('a new incarnation whose parent is 4');
  });

  test('a recovery area that is nearly full is told of: the restore point may stop LIVE', () => {
    const area = { areaTotalBytes: 100 * 1024 ** 2, areaHeldBytes: 91 * 1024 ** 2 };
    expect(decideWayBack({ ...enterprise, ...area }).reasons[1]).toMatch(/91 % held, 9 MB are left/);
    const full = decideWayBack({ ...enterprise, ...area, areaHeldBytes: 97 * 1024 ** 2 });
    expect(full.kind).toBe('snapshot');
    expect(full.reasons[0]).toMatch(/97 % held: .* would stop LIVE/);
    expect(decideWayBack({ ...enterprise, ...area, areaHeldBytes: 0 }).reasons[1]).toMatch(/incarnation/);
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

  describe('after a revert of the machine', () => {
    const reverted = {
      instance: 'down',
      logMode: 'ARCHIVELOG',
      destinations: [
        { id: 2, place: '/arch' },
        { id: 3, place: 'standby' },
      ],
      oldDestination: null,
      quarantineDir: '/q',
    } as const;

    test('nothing reaches the archive before the new incarnation, and one destination is always left', () => {
      const text = writeAfterRevert(reverted).split('\n');
      const at = (line: string): number => text.indexOf(line);
      const aside = `ALTER SYSTEM SET log_archive_dest_2 = 'LOCATION="/q"' SCOPE = MEMORY;`;
      expect(at(aside)).toBeGreaterThan(at('STARTUP RESTRICT MOUNT'));
      expect(at(aside)).toBeLessThan(at('ALTER DATABASE OPEN;'));
      expect(at('ALTER DATABASE OPEN;')).toBeLessThan(text.lastIndexOf(aside));
      expect(text.lastIndexOf(aside)).toBeLessThan(at('ALTER DATABASE RECOVER CANCEL;'));
      expect(text.filter((line) => line.includes('_3 ='))).toEqual(
        Array(2).fill('ALTER SYSTEM SET log_archive_dest_state_3 = DEFER SCOPE = MEMORY;'),
      );
      expect(text.some((line) => line.includes('SCOPE = BOTH'))).toBe(false);
      expect(at('ALTER DATABASE OPEN RESETLOGS;')).toBeLessThan(text.lastIndexOf('STARTUP RESTRICT'));
    });

    test.each([
      [
        'an open server is aborted: nobody wants what it wrote',
        { instance: 'open' },
        /\nSHUTDOWN ABORT\nSTARTUP/,
      ],
      ['the old way to name a destination', { oldDestination: '/a' }, /SET log_archive_dest = '\/q'/],
      ['no destination is named', { destinations: [] }, /SET log_archive_dest_1 = /],
      ['nothing is archived at all', { logMode: 'NOARCHIVELOG' }, /MOUNT\nALTER DATABASE OPEN;/],
    ] as const)('%s', (_, change, text) => {
      expect(writeAfterRevert({ ...reverted, ...change })).toMatch(text);
    });

    test('a number that is no destination is refused', () => {
      expect(() => writeAfterRevert({ ...reverted, destinations: [{ id: 32, place: null }] })).toThrow(
        'no archive destination',
      );
    });
  });

  test.each([
    [100n, 100n, true],
    [101n, 100n, true],
    [99n, 100n, false],
    [1200n, 100n, false],
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
