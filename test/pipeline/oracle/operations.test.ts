import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OracleSession } from '../../../src/databases/oracle/connect.ts';
import { recallOracle } from '../../../src/databases/oracle/site-catalog.ts';
import {
  compareObservations,
  type Bearing,
  type Operations,
  type Step,
} from '../../../src/pipeline/operations.ts';
import { openSite, type OpenedSite } from '../../../src/pipeline/open-site.ts';
import { endLeftPrograms } from '../../../src/pipeline/oracle/left-programs.ts';
import { startsAtBoot } from '../../../src/pipeline/oracle/start-at-boot.ts';
import { toolsOn } from '../../../src/pipeline/oracle/settings.ts';
import { guardZone, type GuardReport } from '../../../src/pipeline/zone-guard.ts';
import { runSmoke } from '../../../src/smoke/run.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { cutAllOracleMachines, oracleDisks, oracleHome } from '../../support/oracle-platform.ts';
import { makeOracleSite, openOracleSite, type OracleSite } from './oracle-site.ts';

let root: string;
let site: OracleSite;
let live: Operations;

beforeAll(async () => {
  root = await makeTestFolder();
  await makeOracleSite(root);
  site = await openOracleSite(root);
  live = site.operations;
});
afterAll(async () => {
  await cutAllOracleMachines(join(root, 'machines'));
  await rm(root, { recursive: true, force: true });
});

/** What a failed try of a test has left is put right: the next one is of the same kind. */
beforeEach(async () => {
  await writeFile(join(site.systemDisk, 'VERSION'), '2.0\n');
  if ((await one('SELECT LOGINS FROM V$INSTANCE')) === 'RESTRICTED') await live.openForUsers(step('open'));
  await using session = await site.session('live');
  await session.execute('DELETE FROM erp.orders WHERE id > 3');
  await session.driver.commit();
});

let count = 0;
/** A step of its own for each try of a test; kept, it is the same step again. */
function step(name: string): Step {
  count += 1;
  const notes: Awaited<ReturnType<Step['notes']['read']>> = [];
  return {
    key: `run-${count}/${name}`,
    signal: new AbortController().signal,
    onProgress: () => {},
    notes: { read: async () => notes, write: async (note) => void notes.push(note) },
  };
}

async function one(sql: string): Promise<string | null | undefined> {
  await using session = await site.session('live');
  return (await session.query(sql))[0]?.[0];
}

async function mark(): Promise<Bearing> {
  const marking = step('bearing');
  return live.markRestorePoint(marking, marking.key);
}

/** A session of somebody who works with the ERP. */
async function asAnna(): Promise<OracleSession> {
  return site.session('live', 'ANNA');
}

describe('LIVE with Oracle', () => {
  test('is counted exactly at a named point, as of its SCN, while people may work', async () => {
    const bearing = await mark();
    expect(bearing).toMatchObject({
      counts: { 'orders.n': '3', 'orders.total': '6' },
      countsExact: true,
      programVersion: '2.0',
      taken: { mode: 'exact', reason: null },
    });
    const scn = await one(
      `SELECT TO_CHAR(SCN + 1) FROM V$RESTORE_POINT WHERE NAME = '${bearing.taken!.restorePoint}'`,
    );
    expect(bearing.position).toBe(scn);
  });

  test('a step that marked its point and was killed marks one anew', async () => {
    const marking = step('bearing');
    const first = await live.markRestorePoint(marking, marking.key);
    const again = await live.markRestorePoint(marking, marking.key);
    expect(again.taken!.restorePoint).toBe(first.taken!.restorePoint);
    expect(BigInt(again.position)).toBeGreaterThan(BigInt(first.position));
    const name = again.taken!.restorePoint;
    expect(await one(`SELECT COUNT(*) FROM V$RESTORE_POINT WHERE NAME = '${name}'`)).toBe('1');
  });

  test('is backed up once however often the step is repeated, read again, and archived up to a point', async () => {
    const backing = step('backup');
    const taken = await live.takeBackup(backing, 'guard', false);
    expect(taken).toMatchObject({ grade: 2 });
    expect(await live.takeBackup(backing, 'guard', false)).toEqual(taken);
    expect(await live.takeBackup(step('backup'), 'refresh', true)).toBeNull();
    const { position } = await mark();
    const archiving = step('log');
    const { archivedTo } = await live.archiveLogTo(archiving, position);
    expect(BigInt(archivedTo)).toBeGreaterThanOrEqual(BigInt(position));
    const switches = await one('SELECT TO_CHAR(MAX(SEQUENCE#)) FROM V$ARCHIVED_LOG');
    await live.archiveLogTo(archiving, position);
    expect(await one('SELECT TO_CHAR(MAX(SEQUENCE#)) FROM V$ARCHIVED_LOG')).toBe(switches);
    expect(await live.archivedUntil(archiving.signal)).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  test('a backup whose log nobody could judge any more is taken again, under another tag', async () => {
    const backing = step('backup');
    await backing.notes.write({ attempt: 1, judged: false, seconds: 0 });
    const taken = await live.takeBackup(backing, 'guard', false);
    expect(taken!.label).toMatch(/^CLONA_[0-9A-F]{16}_2@/);
  });

  test('closed, nobody gets in but administrators; who writes is waited for, who rests is shown out', async () => {
    await using writer = await asAnna();
    await using resting = await asAnna();
    expect((await resting.query('SELECT 1 FROM DUAL')).length).toBe(1);
    await writer.driver.execute('INSERT INTO erp.lines (id, order_id) VALUES (2, 2)');
    const closing = step('close');
    await live.closeForUsers(closing);
    await live.closeForUsers(closing);
    await expect(asAnna()).rejects.toThrow(/restricted|RESTRICTED|ORA-01035/);
    const drained = live.drain(step('drain'));
    await expect.poll(async () => one("SELECT COUNT(*) FROM V$SESSION WHERE USERNAME = 'ANNA'")).toBe('1');
    await writer.driver.rollback();
    await drained;
    expect(await one("SELECT COUNT(*) FROM V$SESSION WHERE USERNAME = 'ANNA'")).toBe('0');
    await live.openForUsers(step('open'));
    await using again = await asAnna();
    expect((await again.query('SELECT 1 FROM DUAL')).length).toBe(1);
  });

  test('a user of clona without RESTRICTED SESSION is told before anybody is disturbed', async () => {
    const { database } = site.access.site;
    const { user } = database;
    database.user = 'ANNA';
    try {
      await expect(live.closeForUsers(step('close'))).rejects.toMatchObject({
        kind: 'databasePrivilege',
        hint: 'GRANT RESTRICTED SESSION TO ANNA',
      });
    } finally {
      database.user = user;
    }
    expect(await one('SELECT LOGINS FROM V$INSTANCE')).toBe('ALLOWED');
  });

  test('a LIVE that would start by itself after a revert is not closed at all', async () => {
    const oratab = join(oracleHome(join(root, 'machines'), 'live'), 'oratab');
    const before = await readFile(oratab, 'utf8');
    await writeFile(oratab, before.replace(/:N$/m, ':Y'));
    try {
      await expect(live.closeForUsers(step('close'))).rejects.toThrow('ERP starts with the machine');
    } finally {
      await writeFile(oratab, before);
    }
    expect(await one('SELECT LOGINS FROM V$INSTANCE')).toBe('ALLOWED');
  });

  test.each([
    ['ERP:/u01/home:Y', true],
    ['ERP:/u01/home:N', false],
    ['# ERP:/u01/home:Y', false],
    ['ERP2:/u01/home:Y\n*:/u01/home:Y', false],
    ['ERP:/u01/old:Y\nERP:/u01/home:N # by hand', false],
    ['', false],
  ])('oratab %j starts ERP with the machine: %s', (text, expected) => {
    expect(startsAtBoot(text, 'ERP')).toBe(expected);
  });

  test('a revert is proven by the same counts, schemas and version, and a repeated step of it changes nothing more', async () => {
    const before = await mark();
    const taking = step('snapshot');
    const name = taking.key.replaceAll('/', '-');
    await live.snapshot(taking, 'live', name);
    await live.snapshot(taking, 'live', name);
    expect(await live.listSnapshots(taking.signal, 'live')).toContain(name);
    {
      await using session = await site.session('live');
      await session.execute("INSERT INTO erp.orders (id, customer) VALUES (99, 'gone')");
      await session.execute(`ALTER TABLE erp.orders ADD (gone_${count} NUMBER)`);
      await session.driver.commit();
    }
    await writeFile(join(site.systemDisk, 'VERSION'), '3.0\n');
    const changed = await live.observe(step('observe'), 'live');
    expect(compareObservations(before, changed)).toEqual({
      counts: false,
      version: false,
      fingerprint: false,
    });
    expect(await live.countLosses(taking.signal, before)).toMatchObject({
      counts: { 'orders.n': '3 → 4', 'orders.total': '6 → 105' },
    });
    const reverting = step('revert');
    await live.revert(reverting, 'live', name);
    const reopening = step('reopen');
    const opened = await live.reopen(reopening, 'live');
    expect(await live.reopen(reopening, 'live')).toEqual(opened);
    const back = await live.observe(step('observe'), 'live');
    expect(compareObservations(before, back)).toEqual({ counts: true, version: true, fingerprint: true });
    expect(await one('SELECT LOGINS FROM V$INSTANCE')).toBe('RESTRICTED');
    await live.removeSnapshot(step('forget'), 'live', name);
    await live.openForUsers(step('open'));
    expect(await live.listSnapshots(taking.signal, 'live')).not.toContain(name);
  });

  test('with its snapshot lost LIVE goes back by its restore point, and what that leaves is seen', async () => {
    const before = await mark();
    const taking = step('snapshot');
    const name = taking.key.replaceAll('/', '-');
    await live.snapshot(taking, 'live', name);
    await site.access.machines.removeSnapshot('live', name, taking.signal);
    {
      await using session = await site.session('live');
      await session.execute("INSERT INTO erp.orders (id, customer) VALUES (98, 'gone')");
      await session.driver.commit();
    }
    const version = join(site.systemDisk, 'VERSION');
    await writeFile(version, '3.0\n');
    try {
      const reverting = step('revert');
      await live.revert(reverting, 'live', name);
      await live.revert(reverting, 'live', name);
      const reopening = step('reopen');
      const opened = await live.reopen(reopening, 'live');
      expect(await live.reopen(reopening, 'live')).toEqual(opened);
      const back = await live.observe(step('observe'), 'live');
      expect(compareObservations(before, back)).toEqual({ counts: true, version: false, fingerprint: true });
    } finally {
      await writeFile(version, '2.0\n');
      await live.openForUsers(step('open'));
    }
    await expect(live.revert(step('revert'), 'live', 'another')).rejects.toMatchObject({
      kind: 'machineFailed',
    });
  });

  test('smoke tests in TypeScript ask it with bound values, and change nothing', async () => {
    const directory = join(root, 'smoke-ts');
    await mkdir(directory, { recursive: true });
    await writeFile(
      join(directory, 'sales.smoke.ts'),
      `import { expect, test } from 'clona/smoke';
test('orders are there', async ({ sql }) => {
  const [row] = await sql\`select count(*) as n, min(customer) as first from erp.orders where id <= \${2}\`;
  expect(row).toEqual({ n: 2, first: 'customer 1' });
});
test('nothing is written on LIVE', async ({ sql }) => {
  await expect(sql\`insert into erp.lines (id, order_id) values (7, \${1})\`).rejects.toThrow('ORA-01456');
});
test('nothing commits by itself', async ({ sql }) => {
  await expect(sql\`truncate table erp.lines\`).rejects.toThrow('changes no schema');
});
`,
    );
    const { platform } = site.access;
    const { signal } = step('smoke');
    const facts = await platform.machines.describe('live', signal);
    await using door = await platform.openDoor(facts, signal);
    const { name, role, systemDisk, dataDisk } = facts;
    const machine = { name, role, systemDisk, dataDisk, database: door.address, guest: null, httpBase: null };
    const report = await runSmoke({ directory, machine, signal });
    expect(report.tests.map((one) => [one.name, one.state, one.detail])).toEqual([
      ['orders are there', 'passed', null],
      ['nothing is written on LIVE', 'passed', null],
      ['nothing commits by itself', 'passed', null],
    ]);
  });

  test('what a killed clona left at work in the folder of a step is ended, and nothing else', async () => {
    const { access } = site;
    const { signal } = step('left');
    const facts = await access.platform.machines.describe('live', signal);
    await using door = await access.platform.openDoor(facts, signal);
    const [own, other] = ['own', 'other'].map((name) =>
      toolsOn(access.site, facts, door.guest!, name, signal),
    );
    const run = (workDir: string): ReturnType<typeof spawn> =>
      spawn('sh', ['-c', 'read -r _', `cmdfile=${workDir}/backup.rman`], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
    const [left, kept] = [run(own!.workDir), run(other!.workDir)];
    const ended = once(left, 'exit');
    await endLeftPrograms(own!);
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(kept.exitCode ?? kept.signalCode).toBeNull();
    kept.kill('SIGKILL');
  });

  test('the programs of a month ago go with the next backup, younger ones stay', async () => {
    const work = join(oracleDisks(join(root, 'machines'), 'live').data, 'clona-work');
    const [old, young] = ['old', 'young'].map((name) => join(work, name));
    await mkdir(old!, { recursive: true });
    await mkdir(young!, { recursive: true });
    const then = new Date(Date.now() - 40 * 86_400_000);
    await utimes(old!, then, then);
    await live.takeBackup(step('backup'), 'guard', false);
    const left = await readdir(work);
    expect(left).toContain('young');
    expect(left).not.toContain('old');
  });
});

describe('the zones of LIVE with Oracle (R12)', () => {
  const never = new AbortController().signal;
  const pages: string[] = [];

  const limitArea = async (bytes: number): Promise<void> => {
    await using session = await site.session('live');
    await session.execute(`ALTER SYSTEM SET db_recovery_file_dest_size = ${Math.ceil(bytes)} SCOPE = BOTH`);
  };
  /** The recovery area is so full, without what the server would throw away by itself. */
  const fillTo = async (share: number): Promise<void> => {
    const held = await one('SELECT TO_CHAR(SPACE_USED - SPACE_RECLAIMABLE) FROM V$RECOVERY_FILE_DEST');
    await limitArea(Number(held) / share);
  };
  const writeLogs = async (): Promise<void> => {
    await using session = await site.session('live');
    for (const customer of ['anna', 'berta', 'carla']) {
      await session.execute(`UPDATE erp.orders SET customer = '${customer}'`);
      await session.driver.commit();
      await session.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    }
  };
  const guard = async (opened: OpenedSite): Promise<GuardReport> => {
    const { retention, zone } = opened.site.archive;
    Object.assign(retention, { redundancy: 1, windowDays: 0 });
    // The disk of the test is of no interest: only the recovery area is to be full.
    Object.assign(zone, { archiveQuota: 1e12 });
    return guardZone(opened, {
      by: 'test',
      signal: never,
      onProgress: () => {},
      now: () => new Date(),
      page: async (_zone, text) => void pages.push(text),
      access: site.access,
    });
  };
  /** What an earlier try has left is over. */
  const calm = async (opened: OpenedSite): Promise<void> => {
    await limitArea(1e10);
    expect((await guard(opened)).zone).toBe('green');
    pages.length = 0;
  };
  /** Every log from the start of the oldest kept backup is where the server says. */
  const expectLogs = async (): Promise<void> => {
    const found = await recallOracle({ archiveDir: join(root, 'archive') }, never);
    const kept = found!.catalog.backups.filter(({ state }) => state === 'available');
    expect(kept.length).toBeGreaterThan(0);
    const lowest = kept.map(({ start }) => start!).reduce((a, b) => (a < b ? a : b));
    await using session = await site.session('live');
    const rows = await session.query(
      `SELECT DELETED, NAME FROM V$ARCHIVED_LOG WHERE NEXT_CHANGE# > TO_NUMBER(:low)
        AND RESETLOGS_CHANGE# = (SELECT RESETLOGS_CHANGE# FROM V$DATABASE)`,
      { low: String(lowest) },
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const [deleted, name] of rows) expect([deleted, existsSync(name ?? '')]).toEqual(['NO', true]);
  };

  test('from yellow the guard comes back to green: RMAN removes what is obsolete, and waiting refreshes go on', async () => {
    await using opened = await openSite(join(root, 'clona.yaml'), never);
    await calm(opened);
    await live.takeBackup(step('backup'), 'guard', false);
    await writeLogs();
    await live.takeBackup(step('backup'), 'guard', false);
    await writeLogs();
    await fillTo(0.801);
    const { zone, events } = await guard(opened);
    await limitArea(1e10);
    expect(events.map(({ zone: seen, action }) => `${seen} ${action ?? 'change'}`)).toEqual([
      'yellow change',
      'yellow hold-refreshes',
      'yellow remove-obsolete',
      'green change',
      'green release-refreshes',
    ]);
    expect(zone).toBe('green');
    const records = await opened.ledger.list({});
    const from = records.findLastIndex(({ kind }) => kind === 'zone.hold-refreshes');
    const kinds = records.slice(from).map(({ kind }) => kind);
    const removed = kinds.filter((kind) => kind === 'removed');
    // The backup, and its logs one by one.
    expect(removed.length).toBeGreaterThanOrEqual(4);
    expect(kinds).toEqual([
      'zone.hold-refreshes',
      ...removed,
      'zone.remove-obsolete',
      'zone.changed',
      'zone.release-refreshes',
    ]);
    await expectLogs();
  });

  test('in red writers pause for a quiesced backup, and the log goes on behind it', async () => {
    await using opened = await openSite(join(root, 'clona.yaml'), never);
    await calm(opened);
    await live.takeBackup(step('backup'), 'guard', false);
    await writeLogs();
    await fillTo(0.97);
    const { events } = await guard(opened);
    await limitArea(1e10);
    const actions = events.map(({ action }) => action);
    const from = actions.indexOf('block-transactions');
    expect(actions.slice(from, from + 4)).toEqual([
      'block-transactions',
      'quiesced-backup',
      'restart-log',
      'unblock-transactions',
    ]);
    expect(pages[0]).toContain('the red zone is reached');
    expect(await one('SELECT ACTIVE_STATE FROM V$INSTANCE')).toBe('NORMAL');
    await expectLogs();
  });

  test('what RMAN cannot do is recorded and paged, and nothing else is held up by it', async () => {
    await using opened = await openSite(join(root, 'clona.yaml'), never);
    await calm(opened);
    await live.takeBackup(step('backup'), 'guard', false);
    await live.takeBackup(step('backup'), 'guard', false);
    await fillTo(0.801);
    const rman = join(oracleHome(join(root, 'machines'), 'live'), 'bin', 'rman');
    await rename(rman, `${rman}.away`);
    let report: GuardReport;
    try {
      report = await guard(opened);
    } finally {
      await rename(`${rman}.away`, rman);
      await limitArea(1e10);
    }
    expect(report.zone).toBe('yellow');
    expect(report.events.find(({ action }) => action === 'remove-obsolete')?.detail).toContain('failed: ');
    expect(pages.some((text) => text.startsWith('remove-obsolete failed'))).toBe(true);
    await calm(opened);
  });
});
