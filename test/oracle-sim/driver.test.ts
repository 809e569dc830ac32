import oracledb from 'oracledb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simPassword, startOracleSim, type OracleSim } from './server.ts';
import type { Given } from './sql/fixtures.ts';

const ask = {
  outFormat: oracledb.OUT_FORMAT_OBJECT,
  // As the adapter must: positions beyond 2^53 come as text.
  fetchTypeHandler: ({ dbType }: oracledb.Metadata<unknown>) =>
    dbType === oracledb.DB_TYPE_NUMBER || dbType === oracledb.DB_TYPE_CLOB ? { type: oracledb.STRING } : {},
} as oracledb.ExecuteOptions;

const users = [
  { name: 'CLONA', password: simPassword, grants: ['DBA', 'CREATE SESSION'] },
  { name: 'POOR', password: simPassword, grants: ['CREATE SESSION', 'SELECT ON SYS.V_$INSTANCE'] },
  { name: 'OLD', password: simPassword, grants: ['CREATE SESSION'], status: 'EXPIRED' as const },
  { name: 'SHUT', password: simPassword, grants: ['CREATE SESSION'], status: 'LOCKED' as const },
  { name: 'NOBODY', password: simPassword, grants: [] },
  { name: 'SYS', password: simPassword, grants: ['SYSDBA'] },
];

const logs = Array.from({ length: 100_000 }, (_, index): Given => ({
  RECID: index + 1,
  STAMP: 1_100_000_000 + index,
  NAME: `/arch/1_${index + 1}_900.arc`,
  'THREAD#': 1,
  'SEQUENCE#': index + 1,
  'FIRST_CHANGE#': 9_007_199_254_740_993n + BigInt(index),
  'NEXT_CHANGE#': 9_007_199_254_740_994n + BigInt(index),
  FIRST_TIME: '2026-03-01 10:00:00',
  STATUS: 'A',
  DELETED: 'NO',
}));

describe('the unmodified driver against the simulated server', () => {
  let sim: OracleSim;
  let connection: oracledb.Connection;

  beforeAll(async () => {
    const views = {
      V$ARCHIVED_LOG: logs,
      V$LOG: [{ 'GROUP#': 1, 'THREAD#': 1, 'FIRST_CHANGE#': '18446744073709551615', STATUS: 'CURRENT' }],
    };
    sim = await startOracleSim({ users, views });
    connection = await oracledb.getConnection(sim);
  });

  afterAll(async () => {
    await connection.close();
    await sim[Symbol.asyncDispose]();
  });

  const one = async (sql: string, binds: oracledb.BindParameters = []): Promise<unknown> => {
    const { rows } = await connection.execute(sql, binds, { ...ask, outFormat: oracledb.OUT_FORMAT_ARRAY });
    return (rows as unknown[][])[0]?.[0];
  };

  test('connects and reads a view', async () => {
    const { rows } = await connection.execute('SELECT instance_name, status FROM v$instance', [], ask);
    expect(rows).toEqual([{ INSTANCE_NAME: 'ERP', STATUS: 'OPEN' }]);
    expect(connection.oracleServerVersionString).toBe('19.21.0.0.0');
  });

  test('sends 100,000 archived logs in few round trips, exact beyond 2^53', async () => {
    const before = sim.watch.roundTrips;
    const sql =
      'SELECT recid, name, thread#, sequence#, first_change#, next_change#, first_time FROM v$archived_log';
    const { rows } = await connection.execute<string[]>(sql, [], {
      ...ask,
      outFormat: oracledb.OUT_FORMAT_ARRAY,
      prefetchRows: 20_000,
      fetchArraySize: 20_000,
    });
    expect(rows).toHaveLength(100_000);
    expect(rows?.at(-1)?.slice(0, 6)).toEqual([
      '100000',
      '/arch/1_100000_900.arc',
      '1',
      '100000',
      '9007199254840992',
      '9007199254840993',
    ]);
    expect(sim.watch.roundTrips - before).toBeLessThanOrEqual(7);
  });

  test.each([
    ['SELECT first_change# FROM v$log', '18446744073709551615'],
    ['SELECT -12345678901234567890 FROM dual', '-12345678901234567890'],
    ['SELECT 0.05 FROM dual', '.05'],
    ['SELECT 100 FROM dual', '100'],
    ['SELECT 1 / 8 + 100 FROM dual', '100.125'],
    ['SELECT NULL FROM dual', null],
    [
      'SELECT TO_CHAR(first_time, \'YYYY-MM-DD"T"HH24:MI:SS\') FROM v$archived_log WHERE recid = 5',
      '2026-03-01T10:00:00',
    ],
    ['SELECT first_time FROM v$archived_log WHERE recid = 5', new Date(2026, 2, 1, 10)],
    ["SELECT TIMESTAMP '2026-01-02 03:04:05.25 +02:00' FROM dual", new Date('2026-01-02T01:04:05.250Z')],
    [
      "SELECT TO_CHAR(SYS_EXTRACT_UTC(TIMESTAMP '2026-01-02 03:04:05.25 +02:00'), 'HH24:MI:SS.FF3') FROM dual",
      '01:04:05.250',
    ],
    ["SELECT TO_CLOB('a long text') FROM dual", 'a long text'],
    ['SELECT COUNT(*) FROM v$archived_log WHERE sequence# BETWEEN 11 AND 20', '10'],
    ['SELECT MAX(next_change#) FROM v$archived_log', '9007199254840993'],
    [
      "SELECT DECODE(status, 'A', 'available', 'gone') FROM v$archived_log FETCH FIRST 1 ROWS ONLY",
      'available',
    ],
    ["SELECT NVL(applied, 'no') FROM v$archived_log WHERE ROWNUM = 1", 'no'],
    ["SELECT SYS_CONTEXT('USERENV', 'DB_NAME') FROM dual", 'ERP'],
    ['SELECT DBTIMEZONE FROM dual', '+00:00'],
    ['SELECT l.status FROM v$log l JOIN v$instance i ON i.thread# = l.thread# ORDER BY l.group#', 'CURRENT'],
    ['SELECT MAX(s) FROM (SELECT status s, COUNT(*) n FROM v$archived_log GROUP BY status) WHERE n > 5', 'A'],
    ['SELECT status FROM gv$log WHERE inst_id = 1', 'CURRENT'],
    [
      'WITH l AS (SELECT sequence# s FROM v$archived_log WHERE recid < 4) SELECT COUNT(DISTINCT s) FROM l',
      '3',
    ],
  ])('%s', async (sql, expected) => {
    expect(await one(sql)).toEqual(expected);
  });

  test.each([
    ['text', 'SELECT :1 FROM dual', ['Grüße'], 'Grüße'],
    ['a number', 'SELECT TO_CHAR(:n + 1) FROM dual', { n: 41 }, '42'],
    ['NULL', "SELECT NVL(:x, 'none') FROM dual", { x: null }, 'none'],
    ['text of 40,000 characters', 'SELECT LENGTH(:1) FROM dual', ['x'.repeat(32_000)], '32000'],
    [
      'a position beyond 2^53 as text',
      'SELECT COUNT(*) FROM v$archived_log WHERE first_change# >= TO_NUMBER(:p)',
      { p: '9007199254840990' },
      '3',
    ],
    [
      'a date',
      "SELECT TO_CHAR(:d, 'YYYY-MM-DD HH24') FROM dual",
      { d: { val: new Date(2026, 1, 3, 4), type: oracledb.DATE } },
      '2026-02-03 04',
    ],
  ] as [string, string, oracledb.BindParameters, unknown][])('binds %s', async (_, sql, binds, expected) => {
    expect(await one(sql, binds)).toEqual(expected);
  });

  test('executes a statement again with other binds', async () => {
    const sql = 'SELECT name FROM v$archived_log WHERE sequence# = :s';
    expect([await one(sql, [7]), await one(sql, [8]), await one(sql, [0])]).toEqual([
      '/arch/1_7_900.arc',
      '/arch/1_8_900.arc',
      undefined,
    ]);
  });

  test.each([
    ['SELECT * FROM v$nothing', 'ORA-00942: table or view does not exist', 14],
    ['SELECT nothing FROM v$log', 'ORA-00904: "NOTHING": invalid identifier', 7],
    ['SELECT nothing(1) FROM dual', 'ORA-00904: "NOTHING": invalid identifier', 7],
    ['SELECT status FROM v$log l, v$instance i', 'ORA-00918: column ambiguously defined', 7],
    ['SELECT status FROM v$log WHERE', 'ORA-00936: missing expression', 30],
    ['SELECT status v$log', 'ORA-00923: FROM keyword not found where expected', 19],
    ['SELECT status FROM v$log LIMIT 1', 'ORA-00933: SQL command not properly ended', 31],
    ['SELECT 1 FROM dual;', 'ORA-00911: invalid character', 18],
    ['SELECT status, COUNT(*) FROM v$log', 'ORA-00937: not a single-group group function', 7],
    ["SELECT TO_NUMBER('abc') FROM dual", 'ORA-01722: invalid number', undefined],
    ["SELECT TO_DATE('2026', 'QQQQ') FROM dual", 'ORA-01821: date format not recognized', undefined],
    [
      "SELECT * FROM v$archived_log WHERE first_time > '2026-03-01'",
      'ORA-01861: literal does not match format string',
      undefined,
    ],
    ["SELECT 'open FROM dual", 'ORA-01756: quoted string not properly terminated', 7],
    ['FROBNICATE', 'ORA-00900: invalid SQL statement', 0],
  ])('refuses %s', async (sql, message, offset) => {
    const error = await connection.execute(sql).catch((thrown: unknown) => thrown as oracledb.DBError);
    expect(error).toMatchObject({ message: expect.stringContaining(message) as string });
    if (offset !== undefined) expect(error).toMatchObject({ offset });
  });

  test.each([
    ['a wrong password', { user: 'CLONA', password: 'wrong' }, 'ORA-01017'],
    ['an unknown user', { user: 'GHOST', password: simPassword }, 'ORA-01017'],
    ['an expired account', { user: 'OLD', password: simPassword }, 'ORA-28001'],
    ['a locked account', { user: 'SHUT', password: simPassword }, 'ORA-28000'],
    ['a user without CREATE SESSION', { user: 'NOBODY', password: simPassword }, 'ORA-01045'],
    ['SYS without SYSDBA', { user: 'SYS', password: simPassword }, 'ORA-28009'],
    [
      'SYSDBA for one who is not',
      { user: 'CLONA', password: simPassword, privilege: oracledb.SYSDBA },
      'ORA-01017',
    ],
  ])('lets %s not in', async (_, credentials, code) => {
    await expect(oracledb.getConnection({ ...sim, ...credentials })).rejects.toThrow(code);
  });

  test('shows a user only the views that are granted', async () => {
    await using poor = await oracledb.getConnection({ ...sim, user: 'poor' });
    await expect(poor.execute('SELECT status FROM v$instance')).resolves.toBeDefined();
    await expect(poor.execute('SELECT status FROM v$log')).rejects.toThrow('ORA-00942');
  });

  test('knows no other service, and no other SID', async () => {
    const { host, port } = sim;
    await expect(oracledb.getConnection({ ...sim, connectString: `${host}:${port}/OTHER` })).rejects.toThrow(
      'NJS-518',
    );
    const sid = `(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=${host})(PORT=${port}))(CONNECT_DATA=(SID=OTHER)))`;
    await expect(oracledb.getConnection({ ...sim, connectString: sid })).rejects.toThrow('NJS-519');
  });

  test('pings, commits, rolls back, and serves a pool', async () => {
    await connection.ping();
    await connection.commit();
    await connection.rollback();
    const pool = await oracledb.createPool({ ...sim, poolMax: 4 });
    const counts = await Promise.all(
      Array.from({ length: 12 }, async () => {
        await using pooled = await pool.getConnection();
        return (await pooled.execute('SELECT COUNT(*) FROM v$log')).rows;
      }),
    );
    await pool.close();
    expect(counts.flat(2)).toEqual(Array.from({ length: 12 }, () => 1));
  });
});

describe('the simulated server when things go wrong', () => {
  test.each([
    ['MOUNTED', 'ORA-01033'],
    ['DOWN', 'NJS-518'],
  ] as const)('an instance that is %s', async (status, code) => {
    await using sim = await startOracleSim({ instance: { status } });
    await expect(oracledb.getConnection(sim)).rejects.toThrow(code);
  });

  test('SYSDBA sees fixed views of a mounted database, and nothing else', async () => {
    await using sim = await startOracleSim({ instance: { status: 'MOUNTED' } });
    await using connection = await oracledb.getConnection({
      ...sim,
      user: 'sys',
      privilege: oracledb.SYSDBA,
    });
    await expect(connection.execute('SELECT status FROM v$instance')).resolves.toMatchObject({
      rows: [['MOUNTED']],
    });
    await expect(connection.execute('SELECT username FROM dba_users')).rejects.toThrow('ORA-01219');
  });

  test('a connection breaks at the call it was told', async () => {
    await using sim = await startOracleSim();
    sim.faults.dropAtCall = 2;
    await using connection = await oracledb.getConnection(sim);
    await connection.ping();
    await expect(connection.execute('SELECT 1 FROM dual')).rejects.toThrow(/NJS-500/);
  });

  test('a slow answer is ended by the timeout of the call, and the session lives on', async () => {
    await using sim = await startOracleSim();
    await using connection = await oracledb.getConnection(sim);
    sim.faults.slowMs = 3_600_000;
    connection.callTimeout = 50;
    await expect(connection.execute('SELECT 1 FROM dual')).rejects.toThrow('NJS-123');
    sim.faults.slowMs = 0;
    connection.callTimeout = 0;
    await expect(connection.execute('SELECT 1 FROM dual')).resolves.toMatchObject({ rows: [[1]] });
  });

  test('a statement fails as often as it was told', async () => {
    await using sim = await startOracleSim();
    await using connection = await oracledb.getConnection(sim);
    sim.faults.failing.push({ statement: /v\$log\b/i, code: 1555, text: 'snapshot too old', times: 1 });
    await expect(connection.execute('SELECT 1 FROM v$log')).rejects.toThrow('ORA-01555');
    await expect(connection.execute('SELECT 1 FROM v$log')).resolves.toBeDefined();
  });

  test('a listener that is down refuses, and its sessions live on', async () => {
    await using sim = await startOracleSim();
    await using connection = await oracledb.getConnection(sim);
    await sim.stopListener();
    await expect(oracledb.getConnection(sim)).rejects.toThrow('NJS-503');
    await connection.ping();
    await sim.startListener();
    await using again = await oracledb.getConnection(sim);
    await again.ping();
  });
});
