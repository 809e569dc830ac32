import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { verb as catalogVerb } from '../../src/cli/catalog.ts';
import { verb as incarnationsVerb } from '../../src/cli/incarnations.ts';
import { verb as planVerb } from '../../src/cli/plan.ts';
import { verb as backupVerb } from '../../src/cli/backup.ts';
import { verb as restoreVerb } from '../../src/cli/restore.ts';
import { verb as retentionVerb } from '../../src/cli/retention.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from '../../src/cli/verb.ts';
import { startOracleSim, type OracleSim } from '../oracle-sim/server.ts';
import { addLog, addRow, addSet, asViews, at, openDatabase } from '../support/oracle-rows.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

const [old, young] = ['TAG20170308T100000', 'TAG20170308T110000'] as const;
let folder: string;
let sim: OracleSim;
let notes: string[];

beforeAll(async () => {
  const rows = openDatabase();
  for (const [tag, checkpoint, hour] of [
    [old, '100', '10'],
    [young, '500', '11'],
  ] as const) {
    const files = [
      { file: '1', checkpoint, fuzzy: String(Number(checkpoint) + 5) },
      { file: '2', checkpoint },
    ];
    addSet(rows, { tag, files, started: at(`${hour}:00`), finished: at(`${hour}:05`) });
  }
  addLog(rows, ['1', '1', '50', '300']);
  addLog(rows, ['1', '2', '300', '900']);
  addRow(rows, 'recoveryArea', { name: '/fra', limit: '1000', used: '990', reclaimable: '980' });
  sim = await startOracleSim({ views: asViews(rows) });
  folder = await mkdtemp(join(tmpdir(), 'clona-oracle-cli-'));
  await mkdir(join(folder, 'archive'));
  await writeFile(join(folder, 'password'), `${sim.password}\n`);
  await writeFile(
    join(folder, 'clona.yaml'),
    `name: erp
database:
  engine: oracle
  host: ${sim.host}
  port: ${sim.port}
  name: ERP
  user: ${sim.user}
  password: file:password
  oracle: { timeZone: UTC }
archive:
  location: archive
  retention: { redundancy: 1, windowDays: 0 }
`,
  );
});
beforeEach(() => {
  notes = [];
});
afterAll(async () => {
  await sim[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function run(verb: Verb, options: OptionValues = {}): Promise<VerbResult> {
  const context: VerbContext = {
    signal: AbortSignal.timeout(50_000),
    json: true,
    yes: false,
    verbose: false,
    sitePath: join(folder, 'clona.yaml'),
    onProgress: () => {},
    note: (line) => notes.push(line),
  };
  return verb.run(context, options, []);
}

test('catalog reads the control file and remembers it in the archive', async () => {
  const { json, human } = await run(catalogVerb);
  expect(json).toMatchObject({
    engine: 'oracle',
    database: 'ERP',
    backups: [{ label: old }, { label: young }],
  });
  expect(human).toContain('newest position that can be reached without the online log: 900');
  const text = await readFile(join(folder, 'archive/oracle-catalog.json'), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ engine: 'oracle', oracle: { facts: { dbid: '1234567890' } } });
});

test('plan answers for the site, and from the folder of the archive alone', async () => {
  const options = { until: 'position:700', lost: 'online-log' };
  const expected = { reachable: true, backup: young, redoFrom: '500', redoTo: '700' };
  expect((await run(planVerb, options)).json).toMatchObject(expected);
  await run(catalogVerb);
  const alone = await run(planVerb, { ...options, archive: join(folder, 'archive') });
  expect(alone.json).toMatchObject(expected);
  expect(notes.join()).toContain('this is what was remembered');
});

test('incarnations lists the branches of the control file', async () => {
  expect((await run(incarnationsVerb, { lost: 'database' })).json).toMatchObject({
    current: 1,
    incarnations: [{ id: 1, prior: 0, branchPosition: '1', status: 'CURRENT', path: ' -> 1' }],
  });
});

test('retention decides by the policy of the site and writes what RMAN is to delete', async () => {
  const { json } = await run(retentionVerb);
  expect(json).toMatchObject({
    lowWaterMarks: [{ incarnation: 1, position: '500' }],
    deletableLogs: [{ incarnation: 1, thread: 1, sequence: 1 }],
    rman: expect.stringMatching(
      /DELETE NOPROMPT BACKUPPIECE '[^']+';\nDELETE NOPROMPT ARCHIVELOG FROM SEQUENCE 1 UNTIL SEQUENCE 1 THREAD 1;\n$/,
    ),
  });
});

test.each([
  [{ apply: true }, /recovery area/],
  [{ pin: old, why: 'x' }, /its own control file/],
])('retention changes nothing itself: %j', async (options, message) => {
  await expect(run(retentionVerb, options)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(message),
  });
});

test('the recovery area is an area of the zones, without what the server can throw away', async () => {
  const { measureAreas } = await import('../../src/pipeline/zone-measure.ts');
  const { loadSite } = await import('../../src/site/load.ts');
  const { findProduction } = await import('../../src/pipeline/production.ts');
  const signal = AbortSignal.timeout(50_000);
  const site = await loadSite(join(folder, 'clona.yaml'));
  const areas = await measureAreas(site, await findProduction(site, signal), signal);
  expect(areas.find(({ name }) => name === 'log')).toMatchObject({ totalBytes: 1000, usedBytes: 10 });
});

describe('restore', () => {
  const to = { to: '/data/clona', name: 'CLONAERP', until: 'position:700', recoverySize: '1GB' };

  test('a dry run shows the plan and the programs, from the archive alone', async () => {
    await run(catalogVerb);
    const { json } = await run(restoreVerb, { ...to, archive: join(folder, 'archive'), dryRun: true });
    expect(json).toMatchObject({
      dryRun: true,
      plan: { backup: young },
      programs: {
        parameterFile: expect.stringContaining("*.db_unique_name='CLONAERP'"),
        mount: expect.stringContaining('SET DBID 1234567890;'),
      },
    });
  });

  test('a target that cannot be reached ends with 5 before anything is done', async () => {
    const { json, exitCode } = await run(restoreVerb, { ...to, until: 'position:50' });
    expect(exitCode).toBe(5);
    expect(json).toMatchObject({ reachable: false });
  });

  test.each([
    [{}, /guest/],
    [{ guest: '127.0.0.1' }, /production's own machine/],
    [{ guest: 'staging.example' }, /guest is missing|home is missing/],
    [{ guest: 'staging.example', name: 'ERP' }, /as production is/],
  ])('is refused before anything is done: %j', async (options, message) => {
    await expect(run(restoreVerb, { ...to, ...options })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });
});

test.each([
  [{ kind: 'quiesced' }, /not offered for Oracle/],
  [{ kind: 'cold' }, /not confirmed/],
  [{ kind: 'managed' }, /guest is missing|home is missing/],
])('backup is refused before anything is done: %j', async (options, message) => {
  await expect(run(backupVerb, options)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(message),
  });
});
