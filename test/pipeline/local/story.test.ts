import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { printProgress } from '../../../src/cli/progress.ts';
import { readLines, writeExport } from '../../../src/control/ledger-export.ts';
import { parseHead } from '../../../src/control/ledger-head.ts';
import { verifyExport } from '../../../src/control/ledger-verify.ts';
import { placeControl } from '../../../src/control/place.ts';
import { stopServer } from '../../../src/databases/postgres/server.ts';
import { closedConditions } from '../../../src/gate/gate.ts';
import type { Context } from '../../../src/pipeline/context.ts';
import { createOperations } from '../../../src/pipeline/create-operations.ts';
import { openContext } from '../../../src/pipeline/open-site.ts';
import type { RefreshResult } from '../../../src/pipeline/refresh.ts';
import {
  promoteRelease,
  rollBackRelease,
  runRefresh,
  startRelease,
  throwIfFailed,
} from '../../../src/pipeline/runs.ts';
import { sign } from '../../../src/pipeline/signing.ts';
import { readStatus } from '../../../src/pipeline/status.ts';
import { createLiveSite, type LiveSite } from './live-machine.ts';

let live: LiveSite;
let context: Context;
const dora = { by: 'dora' };

beforeAll(async () => {
  live = await createLiveSite();
  context = await openContext({
    sitePath: join(live.folder, 'clona.yaml'),
    signal: new AbortController().signal,
    onProgress: process.env['CLONA_TEST_PROGRESS'] === undefined ? () => {} : printProgress(process.stderr),
    createOperations: async (opened) => createOperations(opened, { engine: 'direct', note: () => {} }),
  });
}, 240_000);
afterAll(async () => {
  await context[Symbol.asyncDispose]();
  const { folder } = placeControl(join(live.folder, '.clona'));
  await stopServer({ dataDir: join(folder, 'data'), mode: 'immediate' });
  await live[Symbol.asyncDispose]();
});

async function kit(version: string, from: string, sql: string): Promise<string> {
  const folder = join(live.folder, 'kits', version);
  await mkdir(folder, { recursive: true });
  const steps = '  - name: migrate\n    sql: migrate.sql\n';
  await writeFile(
    join(folder, 'kit.yaml'),
    `name: erp\nversion: '${version}'\nfromVersions: ['${from}']\nsteps:\n${steps}`,
  );
  await writeFile(join(folder, 'migrate.sql'), sql);
  return folder;
}

async function refresh(): Promise<RefreshResult> {
  const result = await runRefresh(context, { ...dora, machine: 'staging' });
  throwIfFailed(result);
  return result;
}

async function orders(): Promise<number> {
  await using session = await live.session();
  const [row] = await session.query<{ n: number }>('select count(*)::int as n from orders');
  return row!.n;
}

async function order(count: number): Promise<void> {
  await using session = await live.session();
  await session.query('insert into orders (total) select 1 from generate_series(1, $1::int)', [count]);
}

async function releaseAndConfirm(source: string): Promise<void> {
  const { ended } = await startRelease(context, { ...dora, kit: source });
  expect(ended).toBeNull();
  const signed = await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  expect(closedConditions(signed.gate)).toEqual([]);
}

test('the archive is proven on a clone to grade 5, and what it shows is kept with the backup', async () => {
  const result = await refresh();
  expect(result).toMatchObject({ outcome: 'succeeded', proof: { grade: 5 } });
  const label = result.proof!.backup;
  const grades = await readFile(join(live.folder, 'archive', 'backups', label, 'grades.json'), 'utf8');
  // Read back when it was taken; then by the refresh, grade after grade.
  expect(JSON.parse(grades)).toMatchObject({ grades: [1, 1, 2, 3, 4, 5].map((grade) => ({ grade })) });
}, 240_000);

test('a kit that breaks an invariant stays on staging', async () => {
  const { ended } = await startRelease(context, {
    ...dora,
    kit: await kit('1.1', '1.0', 'update orders set total = -1 where id = 7;'),
  });
  expect(ended).toMatchObject({
    state: 'failed',
    smoke: { failed: [expect.stringContaining('orders are whole')] },
  });
  await expect(promoteRelease(context, dora)).rejects.toMatchObject({ kind: 'usage' });
}, 240_000);

test('a good kit goes to LIVE, and a rollback after the opening counts what it would lose', async () => {
  await refresh();
  await releaseAndConfirm(await kit('1.2', '1.0', 'alter table orders add column note text;'));
  await order(3);
  const result = await promoteRelease(context, dora);
  expect(result).toMatchObject({ outcome: 'promoted', error: null });
  await order(2);
  await expect(rollBackRelease(context, dora)).rejects.toMatchObject({
    kind: 'gateClosed',
    details: { losses: { counts: { 'orders.n': '1003 → 1005' } } },
  });
  expect(await orders()).toBe(1005);
}, 240_000);

test('a kit that breaks on LIVE is taken back: no order from before the closing is lost, and archiving goes on', async () => {
  await runRefresh(context, { ...dora, machine: 'staging' });
  // Staging has no order with this total: only on LIVE does the migration meet one.
  await releaseAndConfirm(
    await kit(
      '1.3',
      '1.2',
      'alter table orders add column extra int; alter table orders add constraint small check (total < 5000);',
    ),
  );
  await using session = await live.session();
  await session.query('insert into orders (total) values (9999)');
  const result = await promoteRelease(context, dora);
  expect(result).toMatchObject({
    outcome: 'rolledBack',
    takenBack: { incarnation: 2, back: { counts: true, version: true, fingerprint: true } },
  });
  expect(await orders()).toBe(1006);
  await order(1);
  const again = await refresh();
  expect(again).toMatchObject({
    outcome: 'succeeded',
    proof: { grade: 5 },
    bearing: { incarnation: 2, counts: { 'orders.n': '1007' } },
  });
  expect(await readdir(join(live.folder, 'archive', 'log'))).toContain('00000002');
}, 240_000);

test('LIVE that has drifted closes the gate, and the status names it', async () => {
  await releaseAndConfirm(await kit('1.4', '1.2', 'alter table orders add column more int;'));
  await using session = await live.session();
  await session.query('create index by_hand on orders (total)');
  const result = await promoteRelease(context, dora);
  expect(result.outcome).toBe('refused');
  expect(closedConditions(result.gate!).map(({ name }) => name)).toEqual(['liveUnchanged']);
  const status = await readStatus(context);
  expect(status).toMatchObject({
    archive: { newestProven: { grade: 5 } },
    releases: [{ gate: { open: false } }],
  });
  expect(status.archive.rtoSeconds).toBeGreaterThan(0);
}, 240_000);

test('all of it is evidence that verifies against the head on the archive', async () => {
  const path = join(live.folder, 'evidence.jsonl');
  await writeExport(path, context.ledger.read(), await context.ledger.head(), context.signal);
  const head = parseHead(
    (await readFile(join(live.folder, 'archive', 'evidence', 'head.json'), 'utf8')).trimEnd(),
  );
  expect(head).toBeTypeOf('object');
  const knownHead = typeof head === 'string' ? undefined : head;
  expect(await verifyExport(readLines(path, context.signal), { knownHead })).toMatchObject({ ok: true });
});
