import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { connectOracle } from '../../src/databases/oracle/connect.ts';
import { takeOracleFingerprint } from '../../src/databases/oracle/fingerprint.ts';
import { runRman, type OracleTools } from '../../src/databases/oracle/guest-tools.ts';
import { restoreOracle } from '../../src/databases/oracle/restore.ts';
import { readOracleCatalog } from '../../src/databases/oracle/site-catalog.ts';
import { silent } from '../../src/progress.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { parseUntil } from '../../src/recovery/question.ts';
import { createHostGuest } from '../support/host-guest.ts';
import { makeTestFolder } from '../support/machine.ts';
import { installTools, type Tools } from './machine/tools.ts';
import { startOracleSim, type OracleSim } from './server.ts';

// Driver-verified, not Oracle-verified: a history with three branches, read from V$ views, planned, restored by RMAN, compared.

const { signal } = new AbortController();
const clock = { at: Date.parse('2026-03-01T10:00:00Z') };
const now = (): number => (clock.at += 1000);
let folder: string;
let live: OracleSim;
let tools: Tools;
/** Points of the history: what a restore to there must show. */
const points = new Map<string, { incarnation: number; scn: bigint; sum: string | null }>();

const addressOf = ({ host, port, user, password }: OracleSim): DatabaseAddress => ({
  engine: 'oracle',
  host,
  port,
  database: 'ERP',
  user,
  password,
});

async function query(sql: string): Promise<(string | null)[][]> {
  await using session = await connectOracle(addressOf(live), signal);
  return await session.query(sql);
}

async function insert(id: number): Promise<void> {
  await using session = await connectOracle(addressOf(live), signal);
  await session.driver.execute('INSERT INTO orders VALUES (:1)', [id], { autoCommit: true });
}

async function note(name: string): Promise<void> {
  const [[scn, sum] = []] = await query(
    'SELECT TO_CHAR(d.current_scn + 1), o.s FROM v$database d, (SELECT SUM(id) s FROM orders) o',
  );
  const [[incarnation] = []] = await query(
    "SELECT incarnation# FROM v$database_incarnation WHERE status = 'CURRENT'",
  );
  points.set(name, { incarnation: Number(incarnation), scn: BigInt(scn!), sum: sum ?? null });
}

function toolsIn(home: string, name: string): OracleTools {
  return {
    guest: createHostGuest(join(folder, name)),
    home,
    instanceName: 'ERP',
    workDir: join(folder, name, 'work'),
    signal,
  };
}

async function rman(program: string): Promise<void> {
  const { text, exitCode } = await runRman(toolsIn(tools.home, 'live'), 'program', program);
  expect(exitCode, text).toBe(0);
}

const goBack = (scn: bigint, incarnation?: number): string =>
  `SHUTDOWN ABORT;\nSTARTUP MOUNT;\n${incarnation === undefined ? '' : `RESET DATABASE TO INCARNATION ${incarnation};\n`}RUN { SET UNTIL SCN ${scn}; RESTORE DATABASE; RECOVER DATABASE; }\nALTER DATABASE OPEN RESETLOGS;\n`;

beforeAll(async () => {
  folder = await makeTestFolder();
  await mkdir(join(folder, 'live', 'work'), { recursive: true });
  live = await startOracleSim({
    instance: { now, storage: { folder: join(folder, 'live'), recoveryArea: join(folder, 'archive') } },
  });
  tools = await installTools(live.server, join(folder, 'live'));
  await query('SELECT 1 FROM dual');
  await using session = await connectOracle(addressOf(live), signal);
  await session.execute('CREATE TABLE orders (id NUMBER)');
  await note('before every backup');
  await insert(1);
  await rman('BACKUP DATABASE PLUS ARCHIVELOG;');
  await insert(2);
  await note('on the first branch');
  await insert(4);
  await note('on the branch that was left');
  await insert(8);
  await rman('BACKUP ARCHIVELOG ALL;');
  await rman(goBack(points.get('on the first branch')!.scn));
  await insert(16);
  await note('on the second branch, by the backup of the first');
  await rman('BACKUP DATABASE PLUS ARCHIVELOG;');
  await insert(32);
  await note('on the second branch');
  await insert(64);
  await rman('BACKUP ARCHIVELOG ALL;');
  await rman(goBack(points.get('on the second branch, by the backup of the first')!.scn));
  await insert(128);
  await note('on the third branch');
  await insert(256);
  await rman('BACKUP ARCHIVELOG ALL;\nBACKUP CURRENT CONTROLFILE;');
}, 120_000);

afterAll(async () => {
  await tools[Symbol.asyncDispose]();
  await live[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function planFor(name: string) {
  const { incarnation, scn } = points.get(name)!;
  const { catalog, facts } = await readOracleCatalog(addressOf(live), { archiveDir: folder }, signal);
  const until = parseUntil(`incarnation:${incarnation}@${scn}`);
  return { catalog, facts, plan: planRecovery(catalog, { until, lost: 'online-log' }) };
}

describe('plans from the views of the simulated server, done by its own RMAN', () => {
  test.each([
    'on the first branch',
    'on the branch that was left',
    'on the second branch, by the backup of the first',
    'on the second branch',
    'on the third branch',
  ])('%s: the restored rows are those of the history', async (name) => {
    const { catalog, facts, plan } = await planFor(name);
    expect(plan.reachable).toBe(true);
    const place = `clone-${points.get(name)!.scn}-${points.get(name)!.incarnation}`;
    await using clone = await startOracleSim({
      instance: { now, storage: { folder: join(folder, place), create: false } },
    });
    await using cloneTools = await installTools(clone.server, join(folder, place));
    await restoreOracle({
      plan,
      catalog,
      facts,
      target: {
        platform: 'linux',
        databaseName: 'CLONAERP',
        instanceName: 'CLONAERP',
        dataDir: join(folder, place, 'data'),
        recoveryDir: join(folder, place, 'fra'),
        recoveryBytes: 1_000_000_000,
        archiveDirs: [`${join(folder, 'archive')}/`],
        channels: 1,
      },
      tools: toolsIn(cloneTools.home, place),
      until: { kind: 'scn', scn: plan.redoTo! },
      onProgress: silent,
    });
    await using session = await connectOracle(
      { ...addressOf(clone), user: 'SYS', oracle: { privilege: 'sysdba' } },
      signal,
    );
    expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([[points.get(name)!.sum]]);
  });

  test('what lies before every backup is unreachable, for the plan and for RMAN', async () => {
    const { plan } = await planFor('before every backup');
    expect(plan.reachable).toBe(false);
    const program = `SHUTDOWN ABORT;\nSTARTUP MOUNT;\nRESET DATABASE TO INCARNATION 1;\nRUN { SET UNTIL SCN ${points.get('before every backup')!.scn}; RESTORE DATABASE; }\n`;
    const { text } = await runRman(toolsIn(tools.home, 'live'), 'unreachable', program);
    expect(text).toContain('RMAN-06023');
    await rman('SHUTDOWN ABORT;\nSTARTUP MOUNT;\nRESET DATABASE TO INCARNATION 3;\nALTER DATABASE OPEN;\n');
  });

  test('the fingerprint of a schema is the same twice, and another after a change', async () => {
    await using session = await connectOracle(addressOf(live), signal);
    const before = await takeOracleFingerprint(session, ['CLONA']);
    expect(before.definitions).toBeGreaterThan(0);
    expect(before.invalid).toEqual([]);
    expect(await takeOracleFingerprint(session, ['CLONA'])).toEqual(before);
    await session.execute(`CREATE TABLE more_${before.definitions} (id NUMBER)`);
    const changed = await takeOracleFingerprint(session, ['CLONA']);
    expect(changed.hash).not.toBe(before.hash);
    await session.execute(`CREATE USER reader_${before.definitions} IDENTIFIED BY "x"`);
    await session.execute(`GRANT SELECT ON clona.more_${before.definitions} TO reader_${before.definitions}`);
    expect((await takeOracleFingerprint(session, ['CLONA'])).hash).not.toBe(changed.hash);
  });
});
