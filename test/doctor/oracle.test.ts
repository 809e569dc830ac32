import { rm, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { markFileOf } from '../../src/databases/oracle/hot-ports.ts';
import { readRestoreFacts } from '../../src/databases/oracle/restore-facts.ts';
import { rememberBackup, rememberOracle } from '../../src/databases/oracle/site-catalog.ts';
import { bk } from '../recovery/build.ts';
import { buildCatalog } from '../../src/databases/oracle/catalog.ts';
import type { ControlFileRows } from '../../src/databases/oracle/control-file.ts';
import type { BlockFacts, DeviceReader } from '../../src/archive/device-reader.ts';
import { judgeOracleDevices } from '../../src/doctor/oracle-device-checks.ts';
import type { Check, Finding, Patient } from '../../src/doctor/check.ts';
import { checks } from '../../src/doctor/checks.ts';
import { examine, exitCodeOf } from '../../src/doctor/examine.ts';
import { readOracleLate } from '../../src/doctor/production.ts';
import type { OracleFacts } from '../../src/doctor/oracle-facts.ts';
import { parseSite } from '../../src/site/parse.ts';
import type { Site } from '../../src/site/site.ts';
import { makeTestFolder } from '../support/machine.ts';
import { simPassword, startOracleSim } from '../oracle-sim/server.ts';
import { addLog, addRow, addSet, asViews, at, openDatabase } from '../support/oracle-rows.ts';

const { signal } = new AbortController();

afterEach(() => {
  vi.unstubAllEnvs();
});

function siteWith(database: string, archive = '', location = 'a'): Site {
  const text = `name: erp\narchive: { location: ${location}, maximumAge: 26h, retention: { redundancy: 1, windowDays: 7 }${archive} }\ndatabase: { engine: oracle, ${database} }`;
  const parsed = parseSite(text, '/site');
  if ('mistakes' in parsed) throw new Error(JSON.stringify(parsed.mistakes));
  return { ...parsed.site, file: '/site/clona.yaml', folder: '/site' };
}

/** A database that has nothing to mend. */
function healthy(): ControlFileRows {
  const rows = openDatabase();
  rows.database[0]!.forceLogging = 'YES';
  addRow(rows, 'instance', {
    name: 'ERP',
    host: 'erpdb',
    version: '19.0.0.0.0',
    status: 'OPEN',
    archiver: 'STARTED',
    parallel: 'NO',
  });
  for (const member of ['/u01/redo1.log', '/u02/redo1.log'])
    addRow(rows, 'logMembers', { group: '1', type: 'ONLINE', member });
  for (const id of ['1', '2'])
    addRow(rows, 'destinations', {
      id,
      status: 'VALID',
      target: 'PRIMARY',
      binding: 'MANDATORY',
      place: `/arch${id}`,
    });
  addRow(rows, 'recoveryArea', {
    name: '/fra',
    limit: '1000000000',
    used: '990000000',
    reclaimable: '980000000',
  });
  addRow(rows, 'parameters', { name: 'control_file_record_keep_time', value: '30' });
  addRow(rows, 'backupMode', { file: '1', status: 'NOT ACTIVE', change: '0' });
  const files = [
    { file: '1', checkpoint: '900' },
    { file: '2', checkpoint: '900' },
  ];
  addSet(rows, { tag: 'TAG20170308T180000', files, started: at('18:00'), finished: at('18:10') });
  return rows;
}

function factsOf(rows: ControlFileRows, more: Partial<OracleFacts> = {}): OracleFacts {
  const { catalog, warnings, clock } = buildCatalog(rows);
  return {
    address: { engine: 'oracle', host: 'erpdb', port: 1521, database: 'ERP', user: 'CLONA' },
    rows,
    catalog,
    warnings,
    nowMs: clock.nowMs,
    clock: clock.toInstant,
    configuration: [
      { name: 'CONTROLFILE AUTOBACKUP', value: 'ON' },
      { name: 'RETENTION POLICY', value: 'TO RECOVERY WINDOW OF 14 DAYS' },
    ],
    corruption: [],
    banner: 'Oracle Database 19c Standard Edition 2 Release 19.0.0.0.0 - Production',
    options: new Set(),
    surplus: [],
    ...more,
  };
}

const ofOracle: Record<string, Check> = Object.fromEntries(
  Object.entries(checks).filter(([name]) => name.startsWith('oracle')),
);

async function look(facts: OracleFacts, archive = 'a'): Promise<Finding[]> {
  const production = async (): Promise<never> => Promise.reject(new Error('not PostgreSQL'));
  const patient: Patient = {
    site: siteWith('host: erpdb', '', archive),
    signal,
    now: new Date(),
    production,
    oracle: async () => facts,
  };
  return examine(patient, ofOracle);
}

const problems = (found: readonly Finding[]): string[] =>
  found
    .filter(({ state }) => state === 'failed' || state === 'warning')
    .map(({ state, what }) => `${state}: ${what}`);

test('a database in order has nothing to mend, however full its recovery area is with what can be reclaimed', async () => {
  const found = await look(factsOf(healthy()));
  expect(problems(found)).toEqual([]);
  expect(found.map(({ what }) => what).join('\n')).toContain('the recovery area is 1 % held');
});

describe('what doctor finds', () => {
  test.each<[string, (rows: ControlFileRows) => Partial<OracleFacts> | void, RegExp]>([
    [
      'NOARCHIVELOG',
      (rows) => void (rows.database[0]!.logMode = 'NOARCHIVELOG'),
      /^failed: the database is in NOARCHIVELOG/,
    ],
    [
      'an archiver that is stuck',
      (rows) => void (rows.instance[0]!.archiver = 'FAILED'),
      /^failed: the archiver is FAILED/,
    ],
    [
      'a destination with an error',
      (rows) => void (rows.destinations[1]!.error = 'ORA-19502'),
      /^failed: archiving to destination 2/,
    ],
    [
      'one destination only',
      (rows) => void rows.destinations.pop(),
      /^warning: archived logs go to one place only/,
    ],
    [
      'one success that is enough',
      (rows) => void (rows.destinations[1]!.binding = 'OPTIONAL'),
      /^warning: archived logs go to 2 places, but one/,
    ],
    [
      'FORCE LOGGING off',
      (rows) => void (rows.database[0]!.forceLogging = 'NO'),
      /^warning: FORCE LOGGING is off/,
    ],
    [
      'one member',
      (rows) => void rows.logMembers.pop(),
      /^failed: groups of the online log with one member: 1/,
    ],
    [
      'members in one folder',
      (rows) => void (rows.logMembers[1]!.member = '/u01/redo1b.log'),
      /^failed: groups of the online log whose members lie in one folder/,
    ],
    [
      'a recovery area that is held',
      (rows) => void (rows.recoveryArea[0]!.reclaimable = '0'),
      /^failed: the recovery area is 99 % held/,
    ],
    ['no recovery area', (rows) => void rows.recoveryArea.pop(), /^warning: there is no recovery area/],
    [
      'a guaranteed restore point that was forgotten',
      (rows) =>
        addRow(rows, 'restorePoints', {
          name: 'CLONA_1',
          scn: '900',
          guaranteed: 'YES',
          storage: '250000000',
        }),
      /^warning: guaranteed restore point CLONA_1 keeps .*, 25 % of the recovery area, and grows/,
    ],
    [
      'backup mode left on',
      (rows) =>
        void Object.assign(rows.backupMode[0]!, { status: 'ACTIVE', change: '950', time: at('19:00') }),
      /^warning: 1 datafiles are in backup mode/,
    ],
    ['no backup', (rows) => void (rows.backupPieces[0]!.status = 'X'), /^failed: there is no whole backup/],
    [
      'an old backup',
      (rows) =>
        void Object.assign(rows.clock[0]!, { local: '2017-03-10T20:00:00', utc: '2017-03-10T20:00:00' }),
      /^warning: the newest whole backup is of .*: older than/,
    ],
    [
      'NOLOGGING changes',
      (rows) => void (rows.datafiles[1]!.unrecoverable = '950'),
      /^warning: changed without redo .*file2\.dbf/,
    ],
    [
      'a datafile that cannot be read',
      (rows) => addRow(rows, 'datafileHeaders', { file: '2', error: 'FILE NOT FOUND' }),
      /^failed: datafile 2: FILE NOT FOUND/,
    ],
    [
      'a control file that forgets',
      (rows) => void (rows.parameters[0]!.value = '3'),
      /^warning: the control file may forget after 3 days/,
    ],
    [
      'archived logs in one place and no backup',
      (rows) => {
        Object.assign(rows.clock[0]!, { local: '2017-03-10T20:00:00', utc: '2017-03-10T20:00:00' });
        addLog(rows, ['1', '1', '100', '300'], { backups: '0' });
        addLog(rows, ['1', '2', '300', '500'], { backups: '1' });
        for (const destination of ['1', '2'])
          addLog(rows, ['1', '3', '500', '900'], { destination, backups: '0' });
      },
      /^warning: 1 archived logs older than .* lie in one place alone/,
    ],
    [
      'a recovery area that one kind of file fills',
      (rows) => {
        rows.recoveryArea[0]!.reclaimable = '0';
        addRow(rows, 'areaUsage', { type: 'ARCHIVED LOG', used: '90.5', reclaimable: '2.5', files: '7' });
        addRow(rows, 'areaUsage', { type: 'BACKUP PIECE', used: '8.5', reclaimable: '0', files: '1' });
      },
      /^failed: the recovery area is 99 % held .*most by archived logs: 88 %/,
    ],
    [
      'a server that is quiesced',
      (rows) => void (rows.instance[0]!.activeState = 'QUIESCED'),
      /^warning: the server is quiesced: nobody but SYS/,
    ],
    ['a cluster', (rows) => void (rows.instance[0]!.parallel = 'YES'), /^warning: the database is a cluster/],
    [
      'a standby',
      (rows) => void (rows.database[0]!.role = 'PHYSICAL STANDBY'),
      /^warning: this server is a PHYSICAL STANDBY/,
    ],
    [
      'corrupt blocks',
      () => ({ corruption: [{ file: '2', blocks: 8, kind: 'NOLOGGING' }] }),
      /^failed: 8 corrupt blocks in datafiles 2 \(NOLOGGING\)/,
    ],
    [
      'no autobackup',
      () => ({
        configuration: [
          { name: 'CONTROLFILE AUTOBACKUP', value: 'OFF' },
          { name: 'RETENTION POLICY', value: 'TO NONE' },
        ],
      }),
      /^failed: CONTROLFILE AUTOBACKUP is off/,
    ],
    [
      'a weaker policy of RMAN',
      () => ({ configuration: [] }),
      /^warning: RMAN keeps redundancy 1, this site redundancy 1, 7 days/,
    ],
    ['rights that nobody needs', () => ({ surplus: ['DROP ANY TABLE'] }), /^warning: CLONA may do more/],
  ])('%s', async (_, change, expected) => {
    const rows = healthy();
    const more = change(rows);
    const found = await look(factsOf(rows, more ?? {}));
    expect(problems(found).filter((said) => expected.test(said))).toHaveLength(1);
    expect(
      found.find(({ what }) => expected.test(`failed: ${what}`) || expected.test(`warning: ${what}`))?.mend,
    ).toBeTruthy();
  });

  test('options that cost are named', async () => {
    const found = await look(
      factsOf(healthy(), { options: new Set(['Parallel backup and recovery', 'Java']) }),
    );
    expect(found.map(({ what }) => what).join('\n')).toContain(
      'never used by clona unless a site says so: Parallel backup and recovery',
    );
  });
});

test('backup mode that a hot backup of clona left behind is told as its own', async () => {
  const folder = await makeTestFolder();
  try {
    const rows = healthy();
    Object.assign(rows.backupMode[0]!, { status: 'ACTIVE', change: '950', time: at('19:00') });
    const files = [{ file: '1', name: '/u01/erp/file1.dbf', identity: '1:1', copied: false }];
    const mark = { dbid: rows.database[0]!.dbid, startedAt: '2017-03-08T19:00:00Z', files };
    await writeFile(markFileOf(folder), JSON.stringify(mark));
    const found = problems(await look(factsOf(rows), folder));
    expect(found).toEqual([
      expect.stringMatching(/^warning: a hot backup of clona's of .* left 1 datafiles in backup mode/),
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a hot backup that the archive remembers is the newest whole one, though RMAN knows none', async () => {
  const folder = await makeTestFolder();
  vi.stubEnv('CLONA_TEST_ORACLE', simPassword);
  try {
    const rows = healthy();
    for (const list of [rows.backupSets, rows.backupPieces, rows.backupDatafiles]) list.length = 0;
    await using sim = await startOracleSim({ views: asViews(rows) });
    const { host, port, user } = sim;
    const site = siteWith(
      `host: ${host}, port: ${port}, name: ERP, user: ${user}, password: env:CLONA_TEST_ORACLE`,
      '',
      folder,
    );
    const newest = async (): Promise<string | undefined> => {
      const oracle = readOracleLate(site, signal);
      const production = async (): Promise<never> => Promise.reject(new Error('not PostgreSQL'));
      const found = await examine({ site, signal, now: new Date(), production, oracle }, ofOracle);
      return found.find(({ what }) => what.includes('whole backup'))?.what;
    };
    expect(await newest()).toContain('there is no whole backup');
    const built = buildCatalog(rows);
    const facts = readRestoreFacts(rows, built);
    const places = { archiveDir: folder };
    await rememberOracle({ catalog: built.catalog, facts, warnings: [] }, places, '2017-03-08T20:00:00Z');
    await rememberBackup(places, bk('HOT', 900, 950, { kind: 'hot' }), [], signal);
    expect(await newest()).toContain('the newest whole backup is of 2024-05-01');
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe('the disks below, as the machine of the database sees them', () => {
  const block = (name: string, below: string[] = []): BlockFacts => ({
    name,
    label: below.length === 0 ? `disk ${name}` : `LVM volume ${name}`,
    below,
    backingFile: undefined,
    isMemory: false,
    isVirtual: false,
    identity: name,
  });
  const blocks: Record<string, BlockFacts> = {
    '8:0': block('sda'),
    '8:16': block('sdb'),
    '253:1': block('u01', ['8:0']),
    '253:2': block('u02', ['8:16']),
    '253:3': block('u03', ['8:0']),
  };
  const mountInfo = ['u01 253:1', 'u02 253:2', 'u03 253:3']
    .map((one, index) => {
      const [name = '', number = ''] = one.split(' ');
      return `${index + 30} 22 ${number} / /${name} rw - xfs /dev/mapper/${name} rw`;
    })
    .join('\n');
  const reader: DeviceReader = {
    mountInfo: async () => mountInfo,
    block: async (number) => blocks[number],
    numberOf: async () => undefined,
    btrfsMembers: async () => [],
    exists: async (path) => /^\/u0[123]/.test(path) || path === '/',
    realPath: async (path) => path,
    fileSystemNumber: async (path) => Number(/^\/u0(\d)/.exec(path)?.[1] ?? 0),
  };

  async function judge(second: string, archive: string, reason?: string): Promise<string[]> {
    const rows = healthy();
    rows.logMembers[1]!.member = second;
    for (const one of rows.datafiles) one.name = one.name!.replace('/u01', '/u01/data');
    const places = { location: archive, acceptSharedDisk: reason };
    const found = await judgeOracleDevices(rows, places, reader);
    return found.map(({ state, what }) => `${state}: ${what}`);
  }

  test.each([
    ['two disks', '/u02/redo1.log', /^ok: the members of each of 1 groups .* on different devices/],
    [
      'two folders of one file system',
      '/u01/other/redo1.log',
      /^failed: the members of group 1 .* on one device/,
    ],
    ['two volumes on one disk', '/u03/redo1.log', /^failed: the members of group 1 .* on one device/],
    ['ASM', '+DATA/erp/redo1.log', /^skipped: group 1 of the online log lies in ASM/],
  ])('members of the online log on %s', async (_, second, expected) => {
    expect((await judge(second, '/elsewhere'))[0]).toMatch(expected);
  });

  test.each([
    ['another disk', '/u02/archive', undefined, /^ok: datafiles and archive are on different devices/],
    ['the same disk', '/u03/archive', undefined, /^failed: datafiles and archive are on one disk/],
    ['the same disk, accepted', '/u03/archive', 'a test', /^warning: .* ONE DISK, accepted: a test/],
  ])('the archive on %s', async (_, archive, reason, expected) => {
    expect((await judge('/u02/redo1.log', archive, reason)).at(-1)).toMatch(expected);
  });
});

describe('through the driver', () => {
  const users = [
    { name: 'CLONA', password: simPassword, grants: ['CREATE SESSION', 'SELECT_CATALOG_ROLE'] },
    { name: 'POOR', password: simPassword, grants: ['CREATE SESSION', 'SELECT ON SYS.V_$LOG'] },
  ];

  async function lookThrough(user: string, rows: ControlFileRows): Promise<Finding[]> {
    await using sim = await startOracleSim({
      users,
      views: {
        ...asViews(rows),
        V$RMAN_CONFIGURATION: [
          { NAME: 'CONTROLFILE AUTOBACKUP', VALUE: 'ON' },
          { NAME: 'RETENTION POLICY', VALUE: 'TO NONE' },
        ],
      },
    });
    vi.stubEnv('CLONA_TEST_ORACLE', simPassword);
    const site = siteWith(
      `host: ${sim.host}, port: ${sim.port}, name: ERP, user: ${user}, password: env:CLONA_TEST_ORACLE`,
    );
    const production = async (): Promise<never> => Promise.reject(new Error('not PostgreSQL'));
    return await examine(
      { site, signal, now: new Date(), production, oracle: readOracleLate(site, signal) },
      ofOracle,
    );
  }

  test('the same checks look at a server', async () => {
    const rows = healthy();
    rows.database[0]!.logMode = 'NOARCHIVELOG';
    const found = await lookThrough('CLONA', rows);
    expect(problems(found).join('\n')).toContain('failed: the database is in NOARCHIVELOG');
    expect(found[0]?.what).toContain('every view that clona needs may be read');
  });

  test('every missing grant is named at once, and nothing else is said', async () => {
    const found = await lookThrough('POOR', healthy());
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      state: 'failed',
      mend: expect.stringMatching(/GRANT SELECT ON SYS\.V_\$DATABASE TO .*; .*SYS\.V_\$RMAN_CONFIGURATION/),
    });
    expect(found[0]?.what).not.toContain('V$LOG,');
    expect(exitCodeOf(found)).toBe(2);
  });

  test('an address inside of a pluggable database is refused', async () => {
    const rows = healthy();
    rows.database[0]!.cdb = 'YES';
    Object.assign(rows.clock[0]!, { container: '3', containerName: 'SALES' });
    expect(() => buildCatalog(rows)).toThrow(/leads into the pluggable database SALES,/);
  });
});
