import { createServer, connect as connectTo } from 'node:net';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import oracledb from 'oracledb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTestFolder } from '../support/machine.ts';
import { startOracleSim, type OracleSim } from './server.ts';

/** What a network and a driver's options may do to the bytes. */
describe('the wire of the simulated server', () => {
  let folder: string;
  let sim: OracleSim;
  const many = Array.from({ length: 3000 }, (_, index) => ({
    RECID: index,
    NAME: `/arch/${'x'.repeat(index % 300)}${index}`,
  }));

  beforeAll(async () => {
    folder = await makeTestFolder();
    sim = await startOracleSim({ views: { V$ARCHIVED_LOG: many }, instance: { storage: { folder } } });
  });

  afterAll(async () => {
    await sim[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const descriptor = (port: number, more = '', data = ''): string =>
    `(DESCRIPTION=${more}(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=${port}))(CONNECT_DATA=(SERVICE_NAME=ERP)${data}))`;

  const readMany = async (connection: oracledb.Connection): Promise<unknown[]> => {
    const { rows = [] } = await connection.execute<[number, string]>(
      'SELECT recid, name FROM v$archived_log',
      [],
      { prefetchRows: 1000, fetchArraySize: 1000 },
    );
    return rows.map(([recid, name]) => ({ RECID: recid, NAME: name }));
  };

  test.each([
    ['the smallest packets', '(SDU=512)', ''],
    ['large packets', '(SDU=65535)', ''],
    ['connect data in a packet of its own', '', `(SERVER=dedicated)(CLIENT_NOTE=${'long'.repeat(100)})`],
  ])('%s', async (_, more, data) => {
    await using connection = await oracledb.getConnection({
      ...sim,
      connectString: descriptor(sim.port, more, data),
    });
    expect(await readMany(connection)).toEqual(many);
  });

  test('bytes that come one packet of the network at a time, cut anywhere', async () => {
    const proxy = createServer((client) => {
      const server = connectTo(sim.port, '127.0.0.1');
      const cut = (from: typeof client, to: typeof client): void => {
        from.on('data', (chunk: Buffer) => {
          for (let at = 0; at < chunk.length; at += 7) to.write(chunk.subarray(at, at + 7));
        });
        from.on('close', () => to.destroy());
        from.on('error', () => to.destroy());
      };
      cut(client, server);
      cut(server, client);
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as { port: number };
    try {
      await using connection = await oracledb.getConnection({ ...sim, connectString: descriptor(port) });
      const { rows } = await connection.execute(
        'SELECT recid FROM v$archived_log WHERE recid < 50 ORDER BY recid',
      );
      expect(rows).toEqual(Array.from({ length: 50 }, (_, index) => [index]));
    } finally {
      proxy.close();
    }
  });

  test('many rows of binds in one call, with their count', async () => {
    await using connection = await oracledb.getConnection(sim);
    const table = `many_${process.pid}_${Date.now()}`;
    await connection.execute(`CREATE TABLE ${table} (id NUMBER, note VARCHAR2(400), at DATE)`);
    const binds = Array.from({ length: 120 }, (_, id) => [
      id,
      id % 3 === 0 ? null : 'n'.repeat(id * 3),
      new Date(2026, 0, 1 + (id % 28)),
    ]);
    const { rowsAffected } = await connection.executeMany(`INSERT INTO ${table} VALUES (:1, :2, :3)`, binds, {
      autoCommit: true,
    });
    expect(rowsAffected).toBe(120);
    await using other = await oracledb.getConnection(sim);
    const { rows } = await other.execute(`SELECT id, note, at FROM ${table} ORDER BY id`);
    expect(rows).toEqual(binds);
    expect((await other.execute(`DELETE FROM ${table} WHERE id >= :1`, [100])).rowsAffected).toBe(20);
    await other.rollback();
  });

  test('a result set that is closed half-way, and the next statement on the same session', async () => {
    await using connection = await oracledb.getConnection(sim);
    const { resultSet } = await connection.execute('SELECT recid FROM v$archived_log', [], {
      resultSet: true,
      fetchArraySize: 10,
    });
    await resultSet?.getRows(15);
    await resultSet?.close();
    expect((await connection.execute('SELECT COUNT(*) FROM v$archived_log')).rows).toEqual([[3000]]);
  });

  test('twenty sessions at once', async () => {
    const pool = await oracledb.createPool({ ...sim, poolMin: 0, poolMax: 20 });
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        await using connection = await pool.getConnection();
        return (await connection.execute<number[]>('SELECT TO_NUMBER(:n) FROM dual', [String(index)]))
          .rows?.[0]?.[0];
      }),
    );
    await pool.close(0);
    expect(answers).toEqual(Array.from({ length: 60 }, (_, index) => index));
  });

  test('module and action are taken, and a CLOB can be read as a stream', async () => {
    await using connection = await oracledb.getConnection(sim);
    connection.module = 'clona';
    connection.action = 'test';
    const { rows } = await connection
      .execute<[oracledb.Lob]>("SELECT TO_CLOB(RPAD('x', 3, 'y')) FROM dual")
      .catch(() => ({ rows: undefined }));
    expect(rows).toBeUndefined(); // RPAD is not simulated, and says so instead of guessing
    const found = await connection.execute<[oracledb.Lob]>("SELECT TO_CLOB(LPAD('x', 3000, 'y')) FROM dual");
    expect(await found.rows![0]![0].getData()).toBe('x'.padStart(3000, 'y'));
  });

  test('what speaks no TNS gets no answer and harms nobody', async () => {
    const stranger = connectTo(sim.port, '127.0.0.1');
    stranger.on('error', () => {});
    stranger.write('GET / HTTP/1.1\r\n\r\n');
    await once(stranger, 'close');
    await using connection = await oracledb.getConnection(sim);
    await expect(connection.ping()).resolves.toBeUndefined();
  });
});
