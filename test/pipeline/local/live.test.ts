import { once } from 'node:events';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../../src/databases/postgres/connect.ts';
import { withMachine } from '../../../src/pipeline/machine/access.ts';
import { operationsOn } from '../../../src/pipeline/create-operations.ts';
import { compareObservations, type Bearing, type Operations } from '../../../src/pipeline/operations.ts';
import { drainSessions } from '../../../src/pipeline/postgres/users.ts';
import { createLiveSite, type LiveSite } from './live-machine.ts';

let live: LiveSite;
let operations: Operations;
const same = { counts: true, version: true, fingerprint: true };

/** A part of the application that the smoke tests ask by HTTP. */
const application = createServer((request, response) => response.end(request.url));

beforeAll(async () => {
  application.listen(0, '127.0.0.1');
  await once(application, 'listening');
  const { port } = application.address() as AddressInfo; // it listens on TCP
  live = await createLiveSite(`smoke: { directory: smoke, httpBase: 'http://127.0.0.1:${port}/app/' }\n`);
  operations = await operationsOn(live.access, () => {});
});
afterAll(async () => {
  application.closeAllConnections();
  application.close();
  await live[Symbol.asyncDispose]();
});

async function sql(text: string): Promise<Record<string, unknown>[]> {
  await using session = await live.session();
  return await session.query(text);
}

const timeline = async (): Promise<string> =>
  String((await sql('select pg_walfile_name(pg_current_wal_lsn()) as name'))[0]!['name']).slice(0, 8);

async function kit(name: string, files: Record<string, string>): Promise<string> {
  const folder = join(live.folder, 'kits', name);
  await mkdir(folder, { recursive: true });
  for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
  return folder;
}

describe('LIVE on a local machine', () => {
  test('is backed up once however often the step is repeated, and its log gets to the archive', async () => {
    const step = live.step('refresh-1/backup');
    const taken = await operations.takeBackup(step, 'refresh', true);
    expect(taken).toMatchObject({ label: 'refresh-1.backup', grade: 1 });
    expect(await operations.takeBackup(step, 'refresh', false)).toEqual(taken);
    expect(await operations.takeBackup(live.step('refresh-2/backup'), 'refresh', true)).toBeNull();
    const bearing = await operations.markRestorePoint(live.step('refresh-1/bearing'), 'refresh-1');
    expect(bearing).toMatchObject({
      counts: { 'orders.n': '1000', 'orders.total': '500500' },
      countsExact: true,
      incarnation: 1,
      programVersion: '1.0',
    });
    await operations.archiveLogTo(live.step('refresh-1/log'), bearing.position);
    expect((await readdir(join(live.folder, 'archive', 'log', '00000001'))).length).toBeGreaterThan(0);
    const { signal } = live.step('x');
    expect(await operations.archivedUntil(signal)).not.toBeNull();
    // As after a crash: the server has forgotten what it archived, the archive has not.
    await sql("select pg_stat_reset_shared('archiver')");
    expect(await operations.archivedUntil(signal)).toMatch(/^\d{4}-/);
  });

  test('is closed and changed only while the mirror has its log, a refresh goes on without', async () => {
    const mirror = join(live.folder, 'mirror');
    const { site } = live.access;
    const withMirror = async (accepted?: string): Promise<Operations> => {
      const archive = { ...site.archive, mirror, acceptMirrorAway: accepted };
      return operationsOn({ ...live.access, site: { ...site, archive } }, () => {});
    };
    const careful = await withMirror();
    await careful.archiveLogTo(live.step('m/log'), '0');
    await rename(mirror, `${mirror}.away`);
    try {
      await expect(careful.closeForUsers(live.step('m/close'))).rejects.toMatchObject({
        kind: 'archiveMissing',
        hint: expect.stringContaining('archive.acceptMirrorAway'),
      });
      expect(await sql('select value from setting')).toEqual([{ value: 'open' }]);
      for (const [one, purpose] of [
        [careful, 'refresh'],
        [await withMirror('its disk is being mended'), 'promotion'],
      ] as const) {
        const { archivedTo, missingInMirror } = await one.archiveLogTo(live.step('m/log'), '0', purpose);
        expect(missingInMirror).toContain(mirror);
        expect(await readdir(join(live.folder, 'archive', 'log', '00000001'))).toContain(`${archivedTo}.zst`);
      }
    } finally {
      await rename(`${mirror}.away`, mirror);
    }
    const { archivedTo, missingInMirror } = await careful.archiveLogTo(live.step('m/after'), '0');
    expect(missingInMirror).toBeUndefined();
    const caughtUp = (await readdir(join(mirror, 'log', '00000001'))).sort();
    expect(caughtUp).toContain(`${archivedTo}.zst`);
    expect(caughtUp.length).toBeGreaterThan(3);
    await rm(mirror, { recursive: true });
    await rm(join(live.folder, '.clona', 'archives.json'), { force: true });
  });

  test('is asked how far its archive goes without making an archive where none is', async () => {
    const folder = join(live.folder, 'archive');
    await rename(folder, `${folder}.away`);
    try {
      await mkdir(folder);
      await expect(operations.archivedUntil(live.step('x').signal)).rejects.toMatchObject({
        kind: 'archiveMissing',
      });
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
      await rename(`${folder}.away`, folder);
    }
  });

  test("is asked by the site's smoke tests, whose paths count from smoke.httpBase", async () => {
    await writeFile(
      join(live.folder, 'smoke', 'health.smoke.ts'),
      `import { expect, test } from 'clona/smoke';
       test('the application answers', async ({ http }) => expect((await http('health')).body).toBe('/app/health'));`,
    );
    const { passed, failed } = await operations.runSmoke(live.step('p/smoke'), 'live');
    expect({ passed, failed }).toEqual({ passed: 2, failed: [] });
  });

  test('closes, drains running work, and opens', async () => {
    const worker = await live.session();
    await worker.query('begin; insert into orders (total) values (1)');
    await operations.closeForUsers(live.step('p/close'));
    const drained = operations.drain(live.step('p/drain'));
    await expect(
      Promise.race([drained.then(() => 'drained'), new Promise((resolve) => setImmediate(resolve, 'waits'))]),
    ).resolves.toBe('waits');
    await worker.query('rollback');
    await worker[Symbol.asyncDispose]();
    await drained;
    await operations.openForUsers(live.step('p/open'));
    expect(await sql('select value from setting')).toEqual([{ value: 'open' }]);
  });
});

describe('LIVE does not come to rest', () => {
  const drain = async (): Promise<unknown> =>
    withMachine(live.access, 'live', live.step('d').signal, async (machine) =>
      drainSessions(machine, 0, live.step('p/drain')),
    ).catch((error: unknown) => error);

  test('while a transaction is prepared: it holds its locks, and no session', async () => {
    await sql("begin; insert into orders (total) values (1); prepare transaction 'left''over'");
    try {
      expect(await drain()).toMatchObject({
        kind: 'databaseFailed',
        hint: expect.stringContaining("in erp, prepared transaction 'left''over'"),
      });
    } finally {
      await sql("rollback prepared 'left''over'");
    }
    expect(await drain()).toBeUndefined();
  });

  test('while another database of the server is written to: a rollback would take that back', async () => {
    await using address = await live.session();
    await address.query('drop database if exists crm');
    await address.query('create database crm');
    const { host, port } = address.client;
    await using other = await connect({ engine: 'postgres', host, port, database: 'crm', user: 'postgres' });
    await other.query('begin; create table call (id int)');
    expect(await drain()).toMatchObject({ hint: expect.stringContaining('in crm, process') });
    await other.query('rollback');
    expect(await drain()).toBeUndefined();
  });
});

describe('LIVE taken back', () => {
  let bearing: Bearing;

  test('after a kit that changed it is as at P, on a new incarnation, and archiving goes on', async () => {
    await operations.closeForUsers(live.step('p1/close'));
    bearing = await operations.markRestorePoint(live.step('p1/bearing'), 'p1');
    await operations.archiveLogTo(live.step('p1/log'), bearing.position);
    await operations.snapshot(live.step('p1/snapshot'), 'live', 'p1');
    const source = await kit('1.1', {
      'kit.yaml':
        "name: erp\nversion: '1.1'\nfromVersions: ['1.0']\nsteps:\n  - name: migrate\n    sql: migrate.sql\n",
      'migrate.sql': 'alter table orders add column note text; delete from orders where id % 2 = 0;',
    });
    const found = await operations.readKit(live.step('p1/kit'), { source, hash: null });
    expect(await operations.readHashes(live.step('x').signal, found)).toMatchObject({
      kit: found.hash,
      procedure: found.procedureHash,
    });
    const applied = await operations.applyKit(live.step('p1/upgrade'), 'live', found, null);
    expect(applied).toMatchObject({
      outcome: 'succeeded',
      versionAfter: '1.1',
      procedureHash: found.procedureHash,
    });
    const changed = await operations.observe(live.step('x'), 'live');
    expect(compareObservations(bearing, changed)).toEqual({
      counts: false,
      version: false,
      fingerprint: false,
    });
    // The abandoned future gets into the archive, under names that must not come again.
    await operations.archiveLogTo(live.step('p1/log-after'), bearing.position);

    await operations.revert(live.step('p1/revert'), 'live', 'p1');
    const reopened = await operations.reopen(live.step('p1/reopen'), 'live');
    expect(reopened.incarnation).toBe(2);
    expect(await operations.reopen(live.step('p1/reopen'), 'live')).toEqual(reopened);
    expect(compareObservations(bearing, await operations.observe(live.step('x'), 'live'))).toEqual(same);
    await operations.openForUsers(live.step('p1/open'));
    await sql('insert into orders (total) values (7)');
    await operations.archiveLogTo(live.step('p1/log-again'), bearing.position);
    expect(await readdir(join(live.folder, 'archive', 'log'))).toEqual(
      expect.arrayContaining(['00000001', '00000002']),
    );
    expect(await sql('select failed_count::int as n from pg_stat_archiver')).toEqual([{ n: 0 }]);
  }, 240_000);

  test('a second time gets a number that the archive does not know', async () => {
    const again = await operations.markRestorePoint(live.step('p2/bearing'), 'p2');
    await operations.snapshot(live.step('p2/snapshot'), 'live', 'p2');
    await operations.revert(live.step('p2/revert'), 'live', 'p2');
    expect((await operations.reopen(live.step('p2/reopen'), 'live')).incarnation).toBe(3);
    // To before the first one: timeline 1 goes on as 4, since 2 and 3 are in the archive.
    await operations.archiveLogTo(live.step('p2/log'), again.position);
    await operations.revert(live.step('p3/revert'), 'live', 'p1');
    expect((await operations.reopen(live.step('p3/reopen'), 'live')).incarnation).toBe(4);
    expect(await timeline()).toBe('00000004');
    expect(compareObservations(bearing, await operations.observe(live.step('x'), 'live'))).toEqual(same);
  }, 240_000);

  test('says how much was done since P', async () => {
    await sql('insert into orders (total) select 1 from generate_series(1, 5)');
    const losses = await operations.countLosses(live.step('x').signal, bearing);
    expect(losses.counts).toEqual({ 'orders.n': '1000 → 1005', 'orders.total': '500500 → 500505' });
    expect(Number(losses.transactions)).toBeGreaterThan(0);
  });
});
