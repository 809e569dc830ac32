import { describe, expect, test, beforeAll, afterAll } from 'vitest';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { buildCatalog } from '../../src/databases/oracle/catalog.ts';
import { connectOracle, type OracleSession } from '../../src/databases/oracle/connect.ts';
import { controlFileViews, type ViewName } from '../../src/databases/oracle/control-file.ts';
import { readActive } from '../../src/databases/oracle/backup-mode.ts';
import { readControlFile, readView } from '../../src/databases/oracle/read-control-file.ts';
import { readRestoreFacts } from '../../src/databases/oracle/restore-facts.ts';
import { readWayBackFacts } from '../../src/databases/oracle/way-back.ts';
import { readOracleFacts } from '../../src/doctor/oracle-facts.ts';
import { catalogToJson } from '../../src/recovery/catalog-json.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';

export interface OracleUnderTest extends AsyncDisposable {
  address: DatabaseAddress;
}

/**
 * What clona takes for granted of an Oracle server, the simulated one or a real one (CLONA_ORACLE_URL). Nothing is changed on
 * the server: it may be production's. The user needs the grants of docs/how-to/oracle.md.
 */
export function describeOracleContract(name: string, open: () => Promise<OracleUnderTest>): void {
  describe(`the contract of an Oracle server: ${name}`, () => {
    const { signal } = new AbortController();
    let server: OracleUnderTest;
    let session: OracleSession;

    beforeAll(async () => {
      server = await open();
      session = await connectOracle(server.address, signal);
    });
    afterAll(async () => {
      await session[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    test.each(Object.keys(controlFileViews) as ViewName[])(
      'the view of %s has every column that is read',
      async (view) => {
        const rows = await readView(session, view);
        for (const row of rows.slice(0, 3)) {
          expect(Object.keys(row)).toEqual(Object.keys(controlFileViews[view].columns));
        }
      },
    );

    test('the control file becomes a catalog that holds together, and that a catalog file can hold', async () => {
      const { catalog } = buildCatalog((await readControlFile(session)).rows);
      expect(catalog.incarnations.map(({ id }) => id)).toContain(catalog.currentIncarnation);
      expect(parseCatalog(JSON.stringify(catalogToJson(catalog)))).toEqual(catalog);
    });

    test('every target gets an answer with reasons', async () => {
      const { catalog } = buildCatalog((await readControlFile(session)).rows);
      const plan = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' });
      const { backups } = catalog;
      expect(plan.rejected.length + (plan.reachable ? 1 : 0)).toBe(backups.length);
      expect(plan.rejected.every(({ reasons }) => reasons.length > 0)).toBe(true);
    });

    test('what a restore needs beside the catalog is known', async () => {
      const { rows } = await readControlFile(session);
      const facts = readRestoreFacts(rows, buildCatalog(rows));
      expect(facts.dbid).toMatch(/^\d+$/);
      expect(facts.datafiles.length).toBeGreaterThan(0);
      expect(facts.datafiles.every(({ name, bytes }) => name !== '' && bytes >= 0)).toBe(true);
    });

    test('numbers come as they are, beyond 2^53 too, and a fraction keeps its digits', async () => {
      const sql = 'SELECT 18446744073709551615, 9007199254740993, 0.1, -1, NULL FROM DUAL';
      expect(await session.query(sql)).toEqual([
        ['18446744073709551615', '9007199254740993', expect.stringMatching(/^0?\.1$/), '-1', null],
      ]);
    });

    test('values are bound by name, whatever they hold', async () => {
      const text = `o'neil "x" & ; -- é 中`;
      expect(
        await session.query('SELECT :text FROM DUAL WHERE :text = :other', { text, other: text }),
      ).toEqual([[text]]);
    });

    test("the server's clock agrees with itself", async () => {
      const [clock] = await readView(session, 'clock');
      const apart = Math.abs(Date.parse(`${clock!.local}Z`) - Date.parse(`${clock!.utc}Z`));
      expect(apart).toBeLessThanOrEqual(14 * 3_600_000);
    });

    test('a table that is not there is said so, with its code', async () => {
      await expect(session.query('SELECT 1 FROM no_such_table_of_clona')).rejects.toMatchObject({
        kind: 'databasePrivilege',
        details: { code: 'ORA-00942' },
      });
      expect(await session.query('SELECT 1 FROM DUAL')).toEqual([['1']]);
    });

    test('a wrong password is told from everything else', async () => {
      const wrong = connectOracle({ ...server.address, password: 'not_the_password_1' }, signal);
      await expect(wrong).rejects.toMatchObject({ kind: 'databaseLogin', exitCode: 2 });
    });

    test('an unknown service is told from everything else', async () => {
      const { oracle, ...rest } = server.address;
      const nowhere = connectOracle(
        { ...rest, database: 'no_such_service_of_clona', oracle: { ...oracle, connectString: undefined } },
        signal,
      );
      await expect(nowhere).rejects.toMatchObject({ exitCode: 6, details: { code: 'NJS-518' } });
    });

    test('a session that is aborted ends at once', async () => {
      const abort = new AbortController();
      await using other = await connectOracle(server.address, abort.signal);
      abort.abort(new Error('enough'));
      await expect(other.query('SELECT 1 FROM DUAL')).rejects.toThrow('enough');
    });

    test('files in backup mode are listed with their tablespaces', async () => {
      for (const file of await readActive(session))
        expect(file).toMatchObject({ tablespace: expect.stringMatching(/./) });
    });

    test('doctor reads all that it looks at', async () => {
      const facts = await readOracleFacts(server.address, signal);
      expect(facts.banner).toMatch(/Oracle/);
      expect(facts.rows.database).toHaveLength(1);
    });

    test('whether FLASHBACK is a way back can be told', async () => {
      const { logMode } = await readWayBackFacts(session, 1);
      expect(['ARCHIVELOG', 'NOARCHIVELOG', 'MANUAL']).toContain(logMode);
    });
  });
}
