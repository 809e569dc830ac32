import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  applyKit,
  requireSuccess,
  type ApplyKitOptions,
  type KitReport,
} from '../../../src/kit/apply/apply.ts';
import type { KitStepRecord } from '../../../src/kit/apply/record.ts';
import { fetchKit, type FetchedKit } from '../../../src/kit/fetch.ts';
import { createTestCluster, type TestCluster } from '../../support/cluster.ts';
import { createHostGuest } from '../../support/host-guest.ts';
import { writeFolder, type TestFile } from '../helpers/archives.ts';

const never = new AbortController().signal;
let cluster: TestCluster;
let work: string;
let disk: string;
let database: string;
let count = 0;

beforeAll(async () => {
  cluster = await createTestCluster();
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'clona-apply-'));
  disk = join(work, 'system');
  count += 1;
  database = `erp${count}`;
  await using connection = await cluster.connect();
  await connection.query(`CREATE DATABASE ${database}`);
  await writeFolder(disk, [
    { path: 'VERSION', content: '2.0\n' },
    { path: 'program/erp', content: 'old' },
    { path: 'program/kept', content: 'kept' },
    { path: 'app/erp', content: 'old' },
    { path: 'app/gone', content: 'old' },
    { path: 'etc/init.d/erp', content: '#!/bin/sh\necho "$1" >> "$(dirname "$0")/calls"\n', mode: 0o755 },
  ]);
});
afterEach(async () => {
  await rm(work, { recursive: true, force: true });
});

async function makeKit(steps: string, files: readonly TestFile[] = [], from = '["2.0"]') {
  const folder = join(work, `vendor${Math.random()}`);
  const manifest = `name: erp\nversion: "2.1"\nfromVersions: ${from}\nsteps:\n${steps}`;
  await writeFolder(folder, [{ path: 'kit.yaml', content: manifest }, ...files]);
  return fetchKit({ source: folder, into: join(work, `kit${Math.random()}`), signal: never });
}

interface Applied {
  report: KitReport;
  records: KitStepRecord[];
}

async function apply(
  kit: ApplyKitOptions['kit'],
  more: Partial<ApplyKitOptions> = {},
  records: KitStepRecord[] = [],
): Promise<Applied> {
  const report = await applyKit({
    kit,
    guest: createHostGuest(join(work, 'home')),
    place: { systemDisk: disk, dataDisk: join(work, 'data') },
    database: { ...cluster.address, database },
    onRecord: async (record) => void records.push(record),
    signal: never,
    ...more,
  });
  return { report, records };
}

async function query<Row extends Record<string, unknown>>(text: string): Promise<Row[]> {
  await using connection = await cluster.connect(database);
  return await connection.query<Row>(text);
}

const sql = (content: string, path = 'a.sql'): TestFile => ({ path, content });

describe('a kit', () => {
  test('runs its steps in their order, puts its files, writes the version, and tells every step', async () => {
    const kit = await makeKit(
      `  - service: stop erp
  - sql: a.sql
  - files: program
  - files: { from: program, to: app, replace: true }
  - run: [bin/post.sh, "it's; here"]
  - run: echo "$CLONA_KIT_VERSION on $CLONA_SYSTEM_DISK"
  - service: start erp
`,
      [
        sql(
          'CREATE TABLE item (id int, vat numeric);\nINSERT INTO item SELECT g, 17 FROM generate_series(1, 10) g;\n',
        ),
        { path: 'program/erp', content: 'new', mode: 0o755 },
        { path: 'program/sub/more', content: 'more' },
        { path: 'bin/post.sh', content: '#!/bin/sh\necho "post $1"\npwd\n', mode: 0o755 },
      ],
    );
    const { report, records } = await apply(kit);
    expect(report).toMatchObject({
      outcome: 'succeeded',
      failedStep: null,
      versionBefore: '2.0',
      versionAfter: '2.1',
    });
    expect(report.steps.map(({ name, state, exitCode }) => [name, state, exitCode])).toEqual([
      ['stop erp (1)', 'done', 0],
      ['sql a.sql', 'done', 0],
      ['files program', 'done', 0],
      ['files app', 'done', 0],
      ['run 5', 'done', 0],
      ['run 6', 'done', 0],
      ['start erp (7)', 'done', 0],
      ['version file', 'done', 0],
    ]);
    expect(records.filter(({ index }) => index === 1).map(({ state }) => state)).toEqual([
      'started',
      'committing',
      'done',
    ]);
    expect(report.steps[1]?.output).toMatch(/^a\.sql:1: CREATE.*\na\.sql:2: INSERT 10 \(/);
    expect(report.steps[4]?.output).toContain("post it's; here");
    expect(report.steps[5]?.output).toBe(`2.1 on ${disk}\n`);
    expect(await readFile(join(disk, 'program/erp'), 'utf8')).toBe('new');
    expect(await readFile(join(disk, 'program/kept'), 'utf8')).toBe('kept');
    expect((await readdir(join(disk, 'app'))).sort()).toEqual(['erp', 'sub']);
    expect(await readFile(join(disk, 'etc/init.d/calls'), 'utf8')).toBe('stop\nstart\n');
    expect(await readFile(join(disk, 'VERSION'), 'utf8')).toBe('2.1\n');
    expect((await readdir(disk)).sort()).toEqual(['VERSION', 'app', 'etc', 'program']);
    expect(await query('SELECT count(*)::int AS n FROM item')).toEqual([{ n: 10 }]);
  });

  test('that does not fit the version of the machine is not begun', async () => {
    const kit = await makeKit('  - sql: a.sql\n', [sql('CREATE TABLE t ()')], '["1.*", "2.5"]');
    const records: KitStepRecord[] = [];
    await expect(apply(kit, {}, records)).rejects.toMatchObject({
      kind: 'kitUnfit',
      details: { current: '2.0' },
    });
    await rm(join(disk, 'VERSION'));
    await expect(apply(kit, {}, records)).rejects.toThrow('has no version file VERSION');
    expect(records).toEqual([]);
  });

  test('stops at the step that fails: its transaction is undone, the rest does not run, the version stays', async () => {
    const kit = await makeKit('  - sql: a.sql\n  - run: touch "$CLONA_SYSTEM_DISK/never"\n', [
      sql('CREATE TABLE t (a int UNIQUE);\nINSERT INTO t VALUES (1);\n\nINSERT INTO t\n VALUES (1);\n'),
    ]);
    const { report } = await apply(kit);
    expect(report).toMatchObject({ outcome: 'failed', failedStep: 'sql a.sql', versionAfter: '2.0' });
    expect(report.failure).toContain(
      'a.sql:4: the database says: duplicate key value violates unique constraint',
    );
    expect(report.steps).toHaveLength(1);
    expect(report.steps[0]?.output).toContain('detail: Key (a)=(1) already exists.');
    expect(await query("SELECT to_regclass('t') AS t")).toEqual([{ t: null }]);
    expect(await readdir(disk)).not.toContain('never');
    expect(() => requireSuccess(report, 'staging')).toThrow('failed on staging in step "sql a.sql"');
  });

  test.each([
    ['a command with an exit code', '  - run: [sh, -c, "echo bad >&2; exit 3"]\n', 3, 'exit code 3'],
    ['a command that is not there', '  - run: [no-such-command-here]\n', 127, 'exit code 127'],
    ['a script that ends late', '  - run: sleep 60\n    timeout: 100ms\n', null, 'did not end within 0.1 s'],
    ['a service that does not start', '  - service: start none\n', 127, 'exit code 127'],
  ])('fails by %s', async (_name, steps, exitCode, failure) => {
    const { report } = await apply(await makeKit(steps));
    expect(report).toMatchObject({ outcome: 'failed', steps: [{ exitCode, state: 'failed' }] });
    expect(report.failure).toContain(failure);
    // Kept for inspection.
    expect((await readdir(disk)).some((name) => name.startsWith('.clona-kit-'))).toBe(true);
  });

  test('fails by SQL that waits too long for a lock or for its end', async () => {
    await query('CREATE TABLE item (id int)');
    await using holder = await cluster.connect(database);
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE item');
    const file = [sql('ALTER TABLE item ADD COLUMN note text')];
    const locked = await apply(await makeKit('  - sql: a.sql\n    lockTimeout: 50ms\n', file));
    expect(locked.report.failure).toContain(
      'a.sql:1: the database says: canceling statement due to lock timeout',
    );
    const late = await apply(await makeKit('  - sql: a.sql\n    timeout: 200ms\n', file));
    expect(late.report.failure).toBe('a.sql did not end within 0.2 s');
    await holder.query('ROLLBACK');
    expect(
      await query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'clona kit'"),
    ).toEqual([{ n: 0 }]);
  });

  test('runs SQL without a transaction where the step says so', async () => {
    await query('CREATE TABLE item (id int)');
    const files = [sql('CREATE INDEX CONCURRENTLY item_id ON item (id);\nVACUUM item;\n')];
    const { report } = await apply(await makeKit('  - sql: a.sql\n    transaction: false\n', files));
    expect(report.outcome).toBe('succeeded');
  });

  test('with a deferred constraint that speaks at COMMIT fails', async () => {
    const text =
      'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (1);';
    const { report } = await apply(await makeKit('  - sql: a.sql\n', [sql(text)]));
    expect(report.failure).toContain('violates foreign key constraint');
  });

  test('keeps the end of a long output, and no secret', async () => {
    const script =
      'yes "a line of the log" | head -n 200000; echo "token: abc123def"; echo "key hunter2hunter2"; echo at ftp://u:pw99@host/';
    const kit = await makeKit(`  - run: ${JSON.stringify(script)}\n`);
    const { report, records } = await apply(kit, { secrets: ['hunter2hunter2'] });
    const [step] = report.steps;
    expect(step?.outputBytes).toBeGreaterThan(3_000_000);
    expect(step?.output.length).toBeLessThan(17_000);
    expect(step?.output).toMatch(/^…\n/);
    expect(step?.output).toContain('key •••\nat ftp://u:•••@host/');
    expect(JSON.stringify(records)).not.toMatch(/hunter2|abc123def|pw99/);
  });
});

describe('R17: on LIVE', () => {
  test('the steps that staging recorded run, and the two procedures have one hash', async () => {
    const kit = await makeKit('  - sql: a.sql\n', [sql('CREATE TABLE IF NOT EXISTS t ()')]);
    const staging = await apply(kit);
    await writeFile(join(disk, 'VERSION'), '2.0');
    const live = await apply(kit, { recordedSteps: staging.records });
    expect(live.report.procedureHash).toBe(staging.report.procedureHash);
  });

  test('another procedure is refused before anything runs', async () => {
    const kit = await makeKit('  - sql: a.sql\n  - run: "true"\n', [sql('CREATE TABLE t ()')]);
    const { records } = await apply(kit);
    await writeFile(join(disk, 'VERSION'), '2.0');
    const changed = await makeKit('  - sql: a.sql\n  - run: "true"\n', [sql('CREATE TABLE other ()')]);
    const fewer = await makeKit('  - sql: a.sql\n', [sql('CREATE TABLE t ()')]);
    const failed = records.map((record) => ({ ...record, state: 'failed' as const }));
    const none: KitStepRecord[] = [];
    for (const [other, recordedSteps] of [
      [changed, records],
      [fewer, records],
      [kit, failed],
      [kit, none],
    ] as const) {
      await expect(apply(other, { recordedSteps }, none)).rejects.toMatchObject({ kind: 'gateClosed' });
    }
    expect(none).toEqual([]);
  });
});

describe('a run that goes on', () => {
  /** Throws while a step of that name runs, as a killed process would end. */
  function killAt(state: KitStepRecord['state'], name: string, records: KitStepRecord[]) {
    return async (record: KitStepRecord) => {
      records.push(record);
      if (record.state === state && record.name === name) throw new Error('killed');
    };
  }

  test('does not repeat what is done, and repeats what may be repeated', async () => {
    const kit = await makeKit(
      '  - name: once\n    run: echo once >> "$CLONA_SYSTEM_DISK/log"\n  - name: again\n    run: echo again >> "$CLONA_SYSTEM_DISK/log"\n    repeatable: true\n',
    );
    const records: KitStepRecord[] = [];
    await expect(apply(kit, { onRecord: killAt('done', 'again', records) })).rejects.toThrow('killed');
    const earlier = records.filter(({ name, state }) => !(name === 'again' && state === 'done'));
    const { report } = await apply(kit, { previousSteps: earlier });
    expect(report.outcome).toBe('succeeded');
    expect(await readFile(join(disk, 'log'), 'utf8')).toBe('once\nagain\nagain\n');
    const again = await apply(kit, { previousSteps: report.steps });
    expect(again.records).toEqual([]);
    expect(again.report).toMatchObject({ outcome: 'succeeded', procedureHash: report.procedureHash });
  });

  test('reports a step that may have run and may not be repeated, and begins nothing', async () => {
    const kit = await makeKit(
      '  - name: first\n    run: "true"\n    repeatable: true\n  - name: pay\n    run: "true"\n',
    );
    const records: KitStepRecord[] = [];
    await expect(apply(kit, { onRecord: killAt('started', 'pay', records) })).rejects.toThrow('killed');
    const more: KitStepRecord[] = [];
    const refused = apply(kit, { previousSteps: records }, more);
    await expect(refused).rejects.toMatchObject({
      kind: 'kitStepUncertain',
      details: { step: 'pay', index: 1 },
    });
    expect(more).toEqual([]);
  });

  test('repeats a transaction that was not committed', async () => {
    const kit = await makeKit('  - sql: a.sql\n', [sql('CREATE TABLE t (); ')]);
    const records: KitStepRecord[] = [];
    await expect(apply(kit, { onRecord: killAt('committing', 'sql a.sql', records) })).rejects.toThrow(
      'killed',
    );
    expect(records.at(-1)).toMatchObject({
      state: 'committing',
      transactionId: expect.stringMatching(/^\d+$/) as string,
    });
    expect((await apply(kit, { previousSteps: records })).report.outcome).toBe('succeeded');
  });

  test('does not repeat a transaction whose COMMIT went through before the process died', async () => {
    const kit = await makeKit('  - sql: a.sql\n', [sql('CREATE TABLE t (); INSERT INTO t DEFAULT VALUES;')]);
    const records: KitStepRecord[] = [];
    await expect(apply(kit, { onRecord: killAt('done', 'sql a.sql', records) })).rejects.toThrow('killed');
    const earlier = records.filter(({ state }) => state !== 'done');
    const { report, records: added } = await apply(kit, { previousSteps: earlier });
    expect(report.outcome).toBe('succeeded');
    expect(added[0]).toMatchObject({ name: 'sql a.sql', state: 'done' });
    expect(await query('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 1 }]);
  });

  test('refuses a step that was changed in between, and one that failed for good', async () => {
    const kit = await makeKit('  - run: exit 1\n');
    const { records } = await apply(kit);
    await expect(apply(kit, { previousSteps: records })).rejects.toThrow('failed in the earlier run');
    const other = await makeKit('  - run: "true"\n');
    await expect(apply(other, { previousSteps: records })).rejects.toThrow(
      'is not the step that the earlier run began',
    );
  });

  /** Installs in another process and kills that as soon as `ready` says so; gives what it had put on record. */
  async function killWhen(kit: FetchedKit, ready: () => Promise<boolean>): Promise<KitStepRecord[]> {
    const journal = join(work, 'journal');
    const address = { ...cluster.address, database };
    const order = { directory: kit.directory, hash: kit.hash, systemDisk: disk, database: address, journal };
    const script = fileURLToPath(new URL('./apply-child.ts', import.meta.url));
    const child = spawn(process.execPath, [script, JSON.stringify(order)], { stdio: 'inherit' });
    const ended = once(child, 'exit');
    await expect.poll(ready, { timeout: 30_000 }).toBe(true);
    child.kill('SIGKILL');
    await ended;
    const lines = (await readFile(journal, 'utf8')).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as KitStepRecord); // we wrote them
  }

  test('killed by -9 in a transaction repeats it, and does not repeat what came before', async () => {
    const kit = await makeKit(
      '  - name: once\n    run: echo once >> "$CLONA_SYSTEM_DISK/log"\n  - sql: a.sql\n  - name: after\n    run: echo after >> "$CLONA_SYSTEM_DISK/log"\n',
      [sql('CREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\nSELECT pg_sleep(0.5) /* at work */;\n')],
    );
    const earlier = await killWhen(kit, async () => {
      const found = await query(
        "SELECT FROM pg_stat_activity WHERE query LIKE '%at work%' AND state = 'active' AND pid <> pg_backend_pid()",
      );
      return found.length > 0;
    });
    expect(earlier.at(-1)).toMatchObject({ name: 'sql a.sql', state: 'started' });
    const { report } = await apply(kit, { previousSteps: earlier });
    expect(report.outcome).toBe('succeeded');
    expect(await query('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 1 }]);
    expect(await readFile(join(disk, 'log'), 'utf8')).toBe('once\nafter\n');
  });

  test('killed by -9 in a command that may not be repeated stops and names it', async () => {
    const kit = await makeKit('  - name: pay\n    run: touch "$CLONA_SYSTEM_DISK/began"; sleep 1\n');
    const earlier = await killWhen(kit, async () => (await readdir(disk)).includes('began'));
    const refused = apply(kit, { previousSteps: earlier });
    await expect(refused).rejects.toMatchObject({ kind: 'kitStepUncertain', details: { step: 'pay' } });
  });

  test('stopped in a step leaves it open and tells who stopped it', async () => {
    const stop = new AbortController();
    const kit = await makeKit('  - run: sleep 60\n');
    const records: KitStepRecord[] = [];
    const running = apply(kit, {
      signal: stop.signal,
      onRecord: async (record) => {
        records.push(record);
        setImmediate(() => stop.abort(new Error('stopped by the test')));
      },
    });
    await expect(running).rejects.toThrow('stopped by the test');
    expect(records.map(({ state }) => state)).toEqual(['started']);
  });

  test('finds a session that was ended by the server before COMMIT failed, not open', async () => {
    const text = 'CREATE TABLE t ();\nSELECT pg_terminate_backend(pg_backend_pid());\n';
    const { report } = await apply(await makeKit('  - sql: a.sql\n', [sql(text)]));
    expect(report.outcome).toBe('failed');
  });
});
