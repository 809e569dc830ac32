import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import { buildCatalog } from '../../../src/databases/oracle/catalog.ts';
import { connectOracle } from '../../../src/databases/oracle/connect.ts';
import { readControlFile } from '../../../src/databases/oracle/read-control-file.ts';
import {
  readOracleCatalog,
  recallOracle,
  rememberOracle,
} from '../../../src/databases/oracle/site-catalog.ts';
import {
  simPassword,
  startOracleSim,
  type OracleSim,
  type OracleSimOptions,
} from '../../oracle-sim/server.ts';
import { addLog, addSet, asViews, openDatabase } from '../../support/oracle-rows.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

const { signal } = new AbortController();
const tag = 'TAG20170308T100000';

function twoFiles() {
  const rows = openDatabase();
  const files = [
    { file: '1', checkpoint: '9007199254740993', fuzzy: '9007199254740999' },
    { file: '2', checkpoint: '9007199254740995' },
  ];
  addSet(rows, { tag, files });
  addLog(rows, ['1', '1', '9007199254740900', '9007199254741999']);
  return rows;
}

const addressOf = (
  { host, port, user, password }: OracleSim,
  more: Partial<DatabaseAddress> = {},
): DatabaseAddress => ({
  engine: 'oracle',
  host,
  port,
  database: 'ERP',
  user,
  password,
  ...more,
});

async function withSim(options: OracleSimOptions, use: (sim: OracleSim) => Promise<void>): Promise<void> {
  await using sim = await startOracleSim(options);
  await use(sim);
}

describe('reading the control file through the driver', () => {
  test('every view and column comes back as it is, positions beyond 2^53 and times included', async () => {
    const rows = twoFiles();
    await withSim({ views: asViews(rows) }, async (sim) => {
      await using session = await connectOracle(addressOf(sim), signal);
      const { rows: read } = await readControlFile(session);
      const { clock, ...rest } = read;
      const { clock: _, ...written } = rows;
      expect(rest).toEqual(written);
      expect(clock[0]?.local).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
    });
  });

  test('100 000 archived logs take few round trips', async () => {
    const rows = twoFiles();
    for (let index = 1; index < 100_000; index += 1) {
      const [first, next] = [9_007_199_254_741_999n + BigInt(index), 9_007_199_254_742_000n + BigInt(index)];
      addLog(rows, ['1', String(index + 1), String(first), String(next)]);
    }
    await withSim({ views: asViews(rows) }, async (sim) => {
      await using session = await connectOracle(addressOf(sim), signal);
      const before = sim.watch.roundTrips;
      const { catalog } = buildCatalog((await readControlFile(session)).rows);
      expect(catalog.logs).toHaveLength(100_000);
      expect(sim.watch.roundTrips - before).toBeLessThan(60);
    });
  });

  test('an aborted reading ends with the reason of the signal', async () => {
    await withSim({ views: asViews(twoFiles()) }, async (sim) => {
      const abort = new AbortController();
      await using session = await connectOracle(addressOf(sim), abort.signal);
      sim.faults.slowMs = 60_000;
      const reading = readControlFile(session);
      abort.abort(new Error('enough'));
      await expect(reading).rejects.toThrow('enough');
    });
  });
});

describe('a server that refuses', () => {
  const some = [
    'DATABASE',
    'DATABASE_INCARNATION',
    'LOG',
    'ARCHIVED_LOG',
    'BACKUP_SET',
    'BACKUP_PIECE',
    'BACKUP_DATAFILE',
    'DATAFILE',
  ];
  const users = [
    { name: 'CLONA', password: simPassword, grants: ['CREATE SESSION', 'SELECT_CATALOG_ROLE'] },
    { name: 'POOR', password: simPassword, grants: ['CREATE SESSION', 'SELECT ON SYS.V_$LOG'] },
    { name: 'OLD', password: simPassword, grants: ['CREATE SESSION'], status: 'EXPIRED' as const },
    { name: 'SHUT', password: simPassword, grants: ['CREATE SESSION'], status: 'LOCKED' as const },
    { name: 'NOBODY', password: simPassword, grants: [] },
    {
      name: 'SOME',
      password: simPassword,
      grants: ['CREATE SESSION', ...some.map((name) => `SELECT ON SYS.V_$${name}`)],
    },
  ];
  let sim: OracleSim;
  let folder: string;
  beforeAll(async () => {
    sim = await startOracleSim({ users, views: asViews(twoFiles()) });
    folder = await mkdtemp(join(tmpdir(), 'clona-oracle-'));
  });
  afterAll(async () => {
    await sim[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  test.each([
    [
      'a wrong password',
      { password: 'wrong' },
      'databaseLogin',
      2,
      /user or password is wrong \(ORA-01017\)/,
    ],
    ['an expired password', { user: 'OLD' }, 'databaseLogin', 2, /expired \(ORA-28001\)/],
    ['a locked account', { user: 'SHUT' }, 'databaseLogin', 2, /locked \(ORA-28000\)/],
    ['no CREATE SESSION', { user: 'NOBODY' }, 'databasePrivilege', 2, /may not open a session \(ORA-01045\)/],
    ['no grant on a view', { user: 'POOR' }, 'databasePrivilege', 2, /V\$DATABASE may not be read/],
    [
      'an unknown service',
      { database: 'NOWHERE' },
      'databaseFailed',
      6,
      /does not know the service \(NJS-518\)/,
    ],
    ['no listener', { port: 1 }, 'databaseFailed', 6, /does not answer \(NJS-503\)/],
  ] as const)('%s is said so', async (_, more, kind, exitCode, message) => {
    const refused = readOracleCatalog(addressOf(sim, more), { archiveDir: folder }, signal);
    await expect(refused).rejects.toMatchObject({ kind, exitCode, message: expect.stringMatching(message) });
  });

  test('a catalog does without what is not essential, and says what it then does not know', async () => {
    const found = await readOracleCatalog(addressOf(sim, { user: 'SOME' }), { archiveDir: folder }, signal);
    expect(found.catalog.backups.map(({ label }) => label)).toEqual([tag]);
    expect(found.warnings.join('\n')).toMatch(
      /V\$RESTORE_POINT may not be read: guaranteed restore points hold no/,
    );
  });

  test('the missing grant is named', async () => {
    const refused = readOracleCatalog(addressOf(sim, { user: 'POOR' }), { archiveDir: folder }, signal);
    await expect(refused).rejects.toMatchObject({
      hint: expect.stringContaining('GRANT SELECT ON SYS.V_$DATABASE TO'),
    });
  });
});

describe('what is remembered', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clona-oracle-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test('a server that does not answer leaves what was remembered, a foreign one is refused', async () => {
    const places = { archiveDir: folder };
    await withSim({ views: asViews(twoFiles()) }, async (sim) => {
      const found = await readOracleCatalog(addressOf(sim), places, signal);
      expect(found.catalog.backups.map(({ label }) => label)).toEqual([tag]);
      await rememberOracle(found, places, found.readAt!);
      await sim.stopListener();
      const again = await readOracleCatalog(addressOf(sim), places, signal);
      expect(again.catalog.backups).toEqual(found.catalog.backups);
      expect(again.warnings.join()).toContain('production does not answer');
    });
    expect((await recallOracle(places, signal))?.facts.dbid).toBe('1234567890');
    const other = twoFiles();
    other.database[0]!.dbid = '99';
    await withSim({ views: asViews(other) }, async (sim) => {
      await expect(readOracleCatalog(addressOf(sim), places, signal)).rejects.toMatchObject({
        kind: 'archiveForeign',
      });
    });
  });
});
