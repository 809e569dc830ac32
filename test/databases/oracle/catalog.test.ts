import { describe, expect, test } from 'vitest';
import { buildCatalog } from '../../../src/databases/oracle/catalog.ts';
import { listIncarnations } from '../../../src/recovery/incarnations.ts';
import { planRecovery } from '../../../src/recovery/plan.ts';
import { asPosition } from '../../../src/recovery/position.ts';
import { addFile, addLog, addRow, addSet, at, openDatabase } from '../../support/oracle-rows.ts';

const latest = { until: { kind: 'latest' }, lost: 'online-log' } as const;
const until = (position: bigint) =>
  ({ until: { kind: 'position', position: asPosition(position) }, lost: 'online-log' }) as const;

function addWorkedExample() {
  const rows = openDatabase();
  rows.incarnations.length = 0;
  const add = (
    id: string,
    prior: string,
    resetlogs: string,
    time: string,
    priorOf: [string, string],
    status: string,
  ) =>
    addRow(rows, 'incarnations', {
      id,
      prior,
      resetlogs,
      resetlogsTime: at(time),
      priorResetlogs: priorOf[0],
      priorResetlogsTime: priorOf[1],
      status,
    });
  add('1', '0', '1', '01:00', ['0', ''], 'PARENT');
  add('2', '1', '200', '13:20', ['1', at('01:00')], 'PARENT');
  add('3', '2', '400', '15:20', ['200', at('13:20')], 'ORPHAN');
  add('4', '2', '300', '17:20', ['200', at('13:20')], 'CURRENT');
  Object.assign(rows.database[0]!, { resetlogs: '300', resetlogsTime: at('17:20'), currentScn: '411' });
  return rows;
}

describe('incarnations', () => {
  test('the worked example of the theory comes out exactly', () => {
    const { catalog } = buildCatalog(addWorkedExample());
    expect(listIncarnations(catalog).map(({ id, prior, status, path }) => [id, prior, status, path])).toEqual(
      [
        [1, 0, 'PARENT', ' -> 1'],
        [2, 1, 'PARENT', ' -> 1 -> 2'],
        [3, 2, 'ORPHAN', ' -> 1 -> 2 -> 3'],
        [4, 2, 'CURRENT', ' -> 1 -> 2 -> 4'],
      ],
    );
    expect(catalog.incarnations[3]).toMatchObject({ branchPosition: 300n, openedAt: '2017-03-08T17:20:00Z' });
  });

  test('the parent is found by its RESETLOGS although its key is another one', () => {
    const rows = addWorkedExample();
    rows.incarnations[3]!.prior = '3';
    expect(buildCatalog(rows).catalog.incarnations[3]?.parent).toBe(2);
  });

  test('a log of an incarnation that is no longer listed belongs to an ORPHAN of its own', () => {
    const rows = openDatabase();
    addLog(rows, ['1', '3', '70', '90'], { resetlogs: '60', resetlogsTime: at('00:30') });
    const { catalog, warnings } = buildCatalog(rows);
    expect(catalog.incarnations).toHaveLength(2);
    expect(catalog.logs[0]?.incarnation).toBe(catalog.incarnations[1]?.id);
    expect(warnings.join()).toContain('opened at 60');
  });

  test('the same RESETLOGS SCN with another time is another incarnation', () => {
    const rows = addWorkedExample();
    addLog(rows, ['1', '1', '300', '320'], { resetlogs: '300', resetlogsTime: at('16:00') });
    addLog(rows, ['1', '1', '300', '330'], { resetlogs: '300', resetlogsTime: at('17:20') });
    const { catalog } = buildCatalog(rows);
    expect(catalog.logs.map(({ incarnation }) => incarnation)).toEqual([5, 4]);
  });
});

describe('logs', () => {
  test.each([
    ['is there', {}, 'available'],
    ['was deleted by RMAN', { deleted: 'YES', status: 'D' }, 'missing'],
    ['has no name: it was cleared', { name: null }, 'missing'],
    ['lies on the standby', { standby: 'YES', name: 'erp_stby' }, 'missing'],
    ['was not found by CROSSCHECK', { status: 'X' }, 'expired'],
    ['is unavailable', { status: 'U' }, 'missing'],
    ['was not archived', { archived: 'NO' }, 'missing'],
  ])('a log that %s is %s', (_, values, state) => {
    const rows = openDatabase();
    addLog(rows, ['1', '1', '100', '200'], values);
    expect(buildCatalog(rows).catalog.logs[0]?.state).toBe(state);
  });

  test('one good copy among several destinations is enough', () => {
    const rows = openDatabase();
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100' },
        { file: '2', checkpoint: '110' },
      ],
    });
    addLog(rows, ['1', '1', '90', '500'], { deleted: 'YES', status: 'D' });
    addLog(rows, ['1', '1', '90', '500'], { destination: '2' });
    expect(planRecovery(buildCatalog(rows).catalog, until(400n))).toMatchObject({ reachable: true });
  });

  test('a deleted log that lies in a backup set is available', () => {
    const rows = openDatabase();
    addLog(rows, ['1', '7', '100', '200'], { deleted: 'YES', status: 'D' });
    addSet(rows, { tag: 'LOGS', files: [], logs: [{ sequence: '7', first: '100', next: '200' }] });
    expect(buildCatalog(rows).catalog.logs.map(({ state }) => state)).toEqual(['missing', 'available']);
  });

  test.each(['281474976710655', '18446744073709551615', '9295429630892703743', '0'])(
    'the log that OPEN RESETLOGS archived (NEXT_CHANGE# %s) reaches to where the new incarnation began, no further',
    (next) => {
      const rows = addWorkedExample();
      const ofTwo = { resetlogs: '200', resetlogsTime: at('13:20') };
      addLog(rows, ['1', '9', '290', next], ofTwo);
      expect(buildCatalog(rows).catalog.logs[0]).toMatchObject({ first: 290n, next: 400n, nextTime: null });
    },
  );

  test('one name with two contents is damage, not a copy', () => {
    const rows = openDatabase();
    addLog(rows, ['1', '7', '100', '200']);
    addLog(rows, ['1', '7', '120', '220'], { destination: '2' });
    const { catalog, warnings } = buildCatalog(rows);
    expect(catalog.logs.map(({ state }) => state)).toEqual(['damaged', 'damaged']);
    expect(warnings.join()).toContain('one name, two contents');
  });

  test('a record without content is left out, and that is said', () => {
    const rows = openDatabase();
    addLog(rows, ['1', '7', '100', '200'], { first: null, next: null });
    addLog(rows, ['1', '8', '200', '300']);
    const { catalog, warnings } = buildCatalog(rows);
    expect(catalog.logs.map(({ sequence }) => sequence)).toEqual([8]);
    expect(warnings.join()).toContain('1 records of V$ARCHIVED_LOG');
  });

  test('positions beyond 2^53 stay exact', () => {
    const rows = openDatabase();
    addLog(rows, ['1', '7', '9007199254740993', '18446744073709551614']);
    expect(buildCatalog(rows).catalog.logs[0]).toMatchObject({
      first: 9_007_199_254_740_993n,
      next: 18_446_744_073_709_551_614n,
    });
  });

  test('the online log ends behind the SCN of now, and a closed thread wrote nothing since', () => {
    const rows = openDatabase();
    addRow(rows, 'threads', {
      thread: '2',
      status: 'CLOSED',
      enabled: 'PUBLIC',
      checkpoint: '800',
      lastRedo: '800',
    });
    const current = { status: 'CURRENT', next: '9295429630892703743', firstTime: at('19:00') };
    addRow(rows, 'onlineLogs', { group: '1', thread: '1', sequence: '8', first: '900', ...current });
    addRow(rows, 'onlineLogs', { group: '2', thread: '2', sequence: '4', first: '700', ...current });
    addRow(rows, 'onlineLogs', { group: '3', thread: '1', sequence: '0', first: '0', status: 'UNUSED' });
    const { onlineLogs } = buildCatalog(rows).catalog;
    expect(onlineLogs.map(({ thread, first, end }) => [thread, first, end])).toEqual([
      [1, 900n, 1001n],
      [2, 700n, 1001n],
    ]);
  });

  test('an online log whose members are all unreadable counts as lost', () => {
    const rows = openDatabase();
    addRow(rows, 'onlineLogs', { group: '1', thread: '1', sequence: '8', first: '900', status: 'CURRENT' });
    addRow(rows, 'logMembers', { group: '1', status: 'INVALID', type: 'ONLINE', member: '/redo/a' });
    const { catalog, warnings } = buildCatalog(rows);
    expect(catalog.onlineLogs).toEqual([]);
    expect(warnings.join()).toContain('online log group 1');
  });
});

describe('RAC', () => {
  function twoThreads() {
    const rows = openDatabase();
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100' },
        { file: '2', checkpoint: '110' },
      ],
    });
    addLog(rows, ['1', '1', '90', '300']);
    addLog(rows, ['1', '2', '300', '600']);
    addLog(rows, ['2', '1', '80', '250']);
    addLog(rows, ['2', '2', '250', '600']);
    return rows;
  }

  test('both threads together reach as far as the shorter one', () => {
    const rows = twoThreads();
    expect(planRecovery(buildCatalog(rows).catalog, latest).redoTo).toBe(600n);
    rows.archivedLogs[3]!.deleted = 'YES';
    expect(planRecovery(buildCatalog(rows).catalog, latest).redoTo).toBe(250n);
  });

  test('a thread without a log where the other one has it is a gap', () => {
    const rows = twoThreads();
    rows.archivedLogs[2]!.status = 'X';
    expect(planRecovery(buildCatalog(rows).catalog, until(240n)).reachable).toBe(false);
  });
});

describe('backups', () => {
  test('recovery must go strictly beyond the absolute fuzzy SCN, and starts at the lowest checkpoint', () => {
    const rows = openDatabase();
    addSet(rows, { tag: 'TAG20170308T100001', files: [{ file: '1', checkpoint: '100', fuzzy: '130' }] });
    addSet(rows, { tag: 'TAG20170308T100001', files: [{ file: '2', checkpoint: '120', fuzzy: '0' }] });
    addLog(rows, ['1', '1', '90', '300']);
    const { catalog } = buildCatalog(rows);
    expect(catalog.backups).toEqual([
      expect.objectContaining({
        label: 'TAG20170308T100001',
        kind: 'managed',
        start: 100n,
        consistentFrom: 131n,
        bytes: 8192,
      }),
    ]);
    expect(planRecovery(catalog, until(130n)).reachable).toBe(false);
    expect(planRecovery(catalog, until(131n)).reachable).toBe(true);
  });

  test('a fuzziness at or below the checkpoint asks for nothing more', () => {
    const rows = openDatabase();
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100', fuzzy: '100' },
        { file: '2', checkpoint: '100', fuzzy: '90' },
      ],
    });
    expect(buildCatalog(rows).catalog.backups[0]).toMatchObject({
      kind: 'cold',
      start: 100n,
      consistentFrom: 100n,
    });
  });

  test.each([
    ['a piece is expired', { pieces: ['A', 'X'] }, 'expired'],
    ['a piece was deleted', { pieces: ['A', 'D'] }, 'missing'],
    ['every piece is there', { pieces: ['A', 'A'] }, 'available'],
  ])('%s: the backup is as good as its worst part', (_, values, state) => {
    const rows = openDatabase();
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100' },
        { file: '2', checkpoint: '100' },
      ],
      ...values,
    });
    expect(buildCatalog(rows).catalog.backups[0]?.state).toBe(state);
  });

  test('a set with blocks marked corrupt is damaged', () => {
    const rows = openDatabase();
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100', corrupt: '1' },
        { file: '2', checkpoint: '100' },
      ],
    });
    expect(buildCatalog(rows).catalog.backups[0]?.state).toBe('damaged');
  });

  test('of a duplexed piece one copy suffices', () => {
    const rows = openDatabase();
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100' },
        { file: '2', checkpoint: '100' },
      ],
      pieces: ['X'],
    });
    addRow(rows, 'backupPieces', {
      ...rows.backupPieces[0],
      copy: '2',
      handle: '/second/1.bkp',
      status: 'A',
    });
    expect(buildCatalog(rows).catalog.backups[0]?.state).toBe('available');
  });

  test('a tag that is used every night makes a backup every night', () => {
    const rows = openDatabase();
    for (const [day, checkpoint] of [
      ['10', '100'],
      ['11', '200'],
    ] as const) {
      addSet(rows, {
        tag: 'NIGHTLY',
        files: [
          { file: '1', checkpoint },
          { file: '2', checkpoint },
        ],
        started: at(`${day}:00`),
        finished: at(`${day}:10`),
      });
    }
    expect(buildCatalog(rows).catalog.backups.map(({ label, start }) => [label, start])).toEqual([
      ['NIGHTLY@20170308T101000', 100n],
      ['NIGHTLY@20170308T111000', 200n],
    ]);
  });

  test('a tablespace backed up alone makes a whole backup with what was backed up before', () => {
    const rows = openDatabase();
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100' },
        { file: '2', checkpoint: '110' },
      ],
    });
    addSet(rows, {
      tag: 'TAG20170308T100002',
      files: [{ file: '2', checkpoint: '200' }],
      finished: at('11:00'),
    });
    expect(buildCatalog(rows).catalog.backups[1]).toMatchObject({
      label: 'TAG20170308T100002',
      start: 100n,
      consistentFrom: 200n,
      requires: ['TAG20170308T100001'],
    });
  });

  test('a command after which some file has no backup at all is no backup of the database, and is said', () => {
    const rows = openDatabase();
    addSet(rows, { tag: 'TAG20170308T100001', files: [{ file: '2', checkpoint: '200' }] });
    const { catalog, warnings } = buildCatalog(rows);
    expect(catalog.backups).toEqual([]);
    expect(warnings.join()).toContain('file1.dbf');
  });

  test('a pluggable database is no place to read a catalog from: its name and the way to the root are said', () => {
    const rows = openDatabase();
    rows.database[0]!.cdb = 'YES';
    rows.clock[0]!.container = '3';
    rows.clock[0]!.containerName = 'SALES';
    expect(() => buildCatalog(rows)).toThrow(
      expect.objectContaining({
        kind: 'siteInvalid',
        message: expect.stringContaining('the pluggable database SALES'),
        hint: expect.stringContaining('by default ERP'),
      }),
    );
  });

  test('a pluggable database that was taken back by itself is told of', () => {
    const rows = openDatabase();
    rows.database[0]!.cdb = 'YES';
    rows.clock[0]!.container = '1';
    addRow(rows, 'pluggables', { id: '3', name: 'SALES' });
    const common = { container: '3', database: '1' };
    addRow(rows, 'pluggableIncarnations', { ...common, number: '0', status: 'PARENT', begin: '1', end: '1' });
    addRow(rows, 'pluggableIncarnations', {
      ...common,
      number: '1',
      status: 'CURRENT',
      begin: '300',
      end: '400',
    });
    expect(buildCatalog(rows).warnings).toEqual([
      'pluggable database SALES was taken back to 300 by itself when the whole stood at 400: a target between them holds what it held before that',
    ]);
  });

  test('a file that was created after the backup began is made from redo and is not missed', () => {
    const rows = openDatabase();
    addFile(rows, '3', '150');
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100' },
        { file: '2', checkpoint: '110' },
      ],
    });
    expect(buildCatalog(rows).catalog.backups).toHaveLength(1);
  });

  test.each([
    ['read-only since then', { enabled: 'READ ONLY', checkpoint: '20' }, 100n],
    ['the seed of a container database', { container: '2', checkpoint: '20' }, 100n],
    ['read-only then, written to again since 60', { offlineFrom: '20', onlineFrom: '60' }, 60n],
    ['an ordinary file with an old checkpoint', {}, 20n],
  ])('the oldest checkpoint is not where redo starts when its file was %s', (_, values, start) => {
    const rows = openDatabase();
    rows.datafiles.length = 0;
    addFile(rows, '1', '5');
    addFile(rows, '2', '6', values);
    addSet(rows, {
      tag: 'TAG20170308T100001',
      files: [
        { file: '1', checkpoint: '100' },
        { file: '2', checkpoint: '20' },
      ],
    });
    expect(buildCatalog(rows).catalog.backups[0]).toMatchObject({ start, consistentFrom: 100n });
  });

  test('KEEP pins a backup', () => {
    const rows = openDatabase();
    const files = [
      { file: '1', checkpoint: '100' },
      { file: '2', checkpoint: '100' },
    ];
    addSet(rows, { tag: 'TAG20170308T100001', files, keep: 'YES' });
    expect(buildCatalog(rows).catalog.backups[0]?.pinned).toBe(true);
  });

  test('a backup that has its log in sets beside it carries it, one whose log lies elsewhere does not', () => {
    const rows = openDatabase();
    for (const [tag, folder] of [
      ['TAG20170308T100001', '/backup'],
      ['TAG20170308T100002', '/elsewhere'],
    ] as const) {
      addSet(rows, {
        tag,
        folder,
        files: [
          { file: '1', checkpoint: '100', fuzzy: '130' },
          { file: '2', checkpoint: '120' },
        ],
      });
    }
    addSet(rows, { tag: 'LOGS', files: [], logs: [{ sequence: '3', first: '90', next: '200' }] });
    expect(buildCatalog(rows).catalog.backups.map(({ label, ownLog }) => [label, ownLog])).toEqual([
      ['TAG20170308T100001', true],
      ['TAG20170308T100002', false],
    ]);
  });
});

describe('incremental backups', () => {
  function chain() {
    const rows = openDatabase();
    const level = (tag: string, level: string, from: string, checkpoint: string, hour: string) =>
      addSet(rows, {
        tag,
        files: [
          { file: '1', checkpoint, level, from },
          { file: '2', checkpoint, level, from },
        ],
        started: at(`${hour}:00`),
        finished: at(`${hour}:10`),
      });
    level('TAG20170308T100000', '0', '0', '100', '10');
    level('TAG20170308T100001', '1', '100', '200', '11');
    level('TAG20170308T100002', '1', '200', '300', '12');
    level('TAG20170308T100003', '1', '100', '400', '13');
    return rows;
  }

  test('each level is one entry that starts at its last level and stands on the levels below', () => {
    const { catalog } = buildCatalog(chain());
    expect(catalog.backups.map(({ label, start, requires }) => [label, start, requires])).toEqual([
      ['TAG20170308T100000', 100n, undefined],
      ['TAG20170308T100001', 200n, ['TAG20170308T100000']],
      ['TAG20170308T100002', 300n, ['TAG20170308T100000', 'TAG20170308T100001']],
      // Cumulative from 100: the newest level at or above that is the nearest to apply it to.
      ['TAG20170308T100003', 400n, ['TAG20170308T100000', 'TAG20170308T100001', 'TAG20170308T100002']],
    ]);
  });

  test('a cumulative level stands on what is still there', () => {
    const rows = chain();
    rows.backupPieces[1]!.status = 'X';
    rows.backupPieces[2]!.status = 'X';
    const { catalog } = buildCatalog(rows);
    expect(catalog.backups[3]).toMatchObject({
      label: 'TAG20170308T100003',
      state: 'available',
      requires: ['TAG20170308T100000'],
    });
    addLog(rows, ['1', '1', '90', '900']);
    const plan = planRecovery(buildCatalog(rows).catalog, latest);
    expect(plan).toMatchObject({ backup: 'TAG20170308T100003', redoFrom: 400n });
  });

  test('without its level 0 no level serves', () => {
    const rows = chain();
    rows.backupPieces[0]!.status = 'X';
    addLog(rows, ['1', '1', '90', '900']);
    expect(planRecovery(buildCatalog(rows).catalog, latest).reachable).toBe(false);
  });

  test('a level whose base the control file has forgotten is not available', () => {
    const rows = chain();
    rows.backupSets.splice(0, 1);
    rows.backupDatafiles.splice(0, 2);
    expect(buildCatalog(rows).catalog.backups[0]).toMatchObject({
      label: 'TAG20170308T100001',
      state: 'missing',
    });
  });

  test('a full backup outside the strategy is no base', () => {
    const rows = chain();
    for (const row of rows.backupDatafiles.slice(0, 2)) row.level = null;
    expect(buildCatalog(rows).catalog.backups[1]).toMatchObject({
      label: 'TAG20170308T100001',
      state: 'missing',
    });
  });
});

describe('what needs the log beside the backups', () => {
  test('backup mode left on, a guaranteed restore point, a standby and a capture process hold the mark', () => {
    const rows = openDatabase();
    addRow(rows, 'backupMode', { file: '1', status: 'ACTIVE', change: '700', time: at('18:00') });
    addRow(rows, 'backupMode', { file: '2', status: 'NOT ACTIVE', change: '10' });
    addRow(rows, 'restorePoints', { name: 'BEFORE', scn: '600', guaranteed: 'YES' });
    addRow(rows, 'restorePoints', { name: 'LABEL', scn: '1', guaranteed: 'NO' });
    addRow(rows, 'destinations', { id: '2', target: 'STANDBY', status: 'VALID', applied: '500' });
    rows.database[0]!.captureFrom = '400';
    const { backups } = buildCatalog(rows).catalog;
    expect(backups.map(({ label, start, consistentFrom }) => [label, start, consistentFrom])).toEqual([
      ['hot backup in progress', 700n, null],
      ['restore point BEFORE', 600n, null],
      ['standby at destination 2', 500n, null],
      ['capture process', 400n, null],
    ]);
  });

  test('a NOLOGGING change is named', () => {
    const rows = openDatabase();
    rows.datafiles[1]!.unrecoverable = '640';
    expect(buildCatalog(rows).catalog.changesWithoutRedo).toEqual([
      { incarnation: 1, position: 640n, object: 'datafile 2 (/u01/erp/file2.dbf)', how: 'NOLOGGING' },
    ]);
  });
});

test('100 000 archived logs in a zone with two offsets become a catalog', () => {
  const rows = openDatabase();
  for (let index = 0; index < 100_000; index += 1) {
    const position = (index: number): string => String(10_000 + index * 10);
    addLog(rows, ['1', String(index + 1), position(index), position(index + 1)]);
  }
  expect(buildCatalog(rows, 'Europe/Sarajevo').catalog.logs).toHaveLength(100_000);
});
