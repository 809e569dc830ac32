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

async function run(verb: Verb, options: OptionValues = {}, site = 'clona.yaml'): Promise<VerbResult> {
  const context: VerbContext = {
    signal: AbortSignal.timeout(50_000),
    json: true,
    yes: false,
    verbose: false,
    sitePath: join(folder, site),
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
  [{ kind: 'incremental' }, /not offered for Oracle/],
  [{ kind: 'cold' }, /not confirmed/],
  [{ kind: 'managed' }, /guest is missing|home is missing/],
])('backup is refused before anything is done: %j', async (options, message) => {
  await expect(run(backupVerb, options)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(message),
  });
});

describe('an export', () => {
  // An archive of its own: what is remembered there is no business of the other tests.
  const own = 'exports.yaml';
  beforeAll(async () => {
    await mkdir(join(folder, 'exports'));
    const text = await readFile(join(folder, 'clona.yaml'), 'utf8');
    await writeFile(join(folder, own), text.replace('location: archive', 'location: exports'));
  });

  const log = (
    closing: string,
    scn = '',
  ) => `Export: Release 19.0.0.0.0 - Production on Tue Mar 12 10:00:00 2024
Starting "SYSTEM"."SYS_EXPORT_SCHEMA_01":  system/******** schemas=ERP directory=BACKUP dumpfile=erp.dmp ${scn}
. . exported "ERP"."INVOICES"                            17.08 KB     107 rows
Master table "SYSTEM"."SYS_EXPORT_SCHEMA_01" successfully loaded/unloaded
Dump file set for SYSTEM.SYS_EXPORT_SCHEMA_01 is:
  ${join(folder, 'erp.dmp')}
${closing}
`;
  const whole =
    'Job "SYSTEM"."SYS_EXPORT_SCHEMA_01" successfully completed at Tue Mar 12 10:01:00 2024 elapsed 0 00:01:00';

  async function add(text: string, label: string): Promise<VerbResult> {
    await writeFile(join(folder, 'erp.dmp'), 'dump');
    await writeFile(join(folder, `${label}.log`), text);
    return run(catalogVerb, { addExport: join(folder, `${label}.log`), label }, own);
  }

  test('with FLASHBACK_SCN, its dump files and a good log is an archive of grade 2, and can be planned', async () => {
    await add(log(whole, 'flashback_scn=650'), 'exp1');
    const { json } = await run(catalogVerb, {}, own);
    expect(json).toMatchObject({
      backups: expect.arrayContaining([
        expect.objectContaining({ label: 'exp1', kind: 'export', consistentFrom: '650', grade: 2, bytes: 4 }),
      ]),
    });
    const plan = await run(planVerb, { until: 'backup:exp1', lost: 'everything' }, own);
    expect(plan.json).toMatchObject({ reachable: true, backup: 'exp1' });
  });

  test('without it says that its rows may be of different moments', async () => {
    const { json } = await add(log(whole), 'exp2');
    expect(json).toMatchObject({
      backups: expect.arrayContaining([
        expect.objectContaining({ label: 'exp2', consistent: false, grade: 2 }),
      ]),
    });
    expect(notes.join()).toContain('different moments');
  });

  test('that lies in an archive folder is found and judged by its log: a newer file whose log failed is passed over', async () => {
    const dumps = join(folder, 'dumps');
    await mkdir(dumps, { recursive: true });
    const place = async (name: string, closing: string, scn: string): Promise<void> => {
      const text = log(closing, `flashback_scn=${scn}`).replace(
        join(folder, 'erp.dmp'),
        `/server/${name}.dmp`,
      );
      await writeFile(join(dumps, `${name}.log`), text);
      const head = `\x01"SYSTEM"."SYS_EXPORT_SCHEMA_01"\0x86_64/Linux\0ERP\0AL32UTF8\x0019.00.00.00.00`;
      await writeFile(join(dumps, `${name}.dmp`), head);
    };
    const failed = `ORA-31693: Table data object "ERP"."PAY" failed to load/unload and is being skipped due to error:
ORA-01555: snapshot too old
${whole.replace('successfully completed', 'completed with 1 error(s)')}`;
    await place('mon', whole, '640');
    await place('tue', failed, '660');
    await writeFile(join(dumps, 'old.dmp'), '\x03\x03iEXPORT:V11.02.00\nUERP\nRUSERS\n');
    await writeFile(
      join(dumps, 'old.log'),
      'About to export specified users ...\n. . exporting table ORDERS 3 rows exported\nExport terminated successfully without warnings.\n',
    );
    const site = await readFile(join(folder, own), 'utf8');
    await writeFile(
      join(folder, 'found.yaml'),
      site
        .replace('timeZone: UTC', 'timeZone: UTC, archives: [dumps]')
        .replace('location: exports', 'location: seen'),
    );
    await mkdir(join(folder, 'seen'), { recursive: true });
    const { json, human } = await run(catalogVerb, {}, 'found.yaml');
    const { backups, passedOver } = json as {
      backups: Record<string, unknown>[];
      passedOver: { name: string }[];
    };
    expect(backups.filter(({ kind }) => kind === 'export')).toEqual([
      expect.objectContaining({
        label: 'SYS_EXPORT_SCHEMA_01@20240312T100100',
        consistentFrom: '640',
        finishedAt: '2024-03-12T10:01:00.000Z',
        grade: 2,
      }),
      expect.objectContaining({ label: expect.stringMatching(/^exp@/), consistent: false }),
    ]);
    expect(passedOver).toEqual([
      { name: join(dumps, 'tue.log'), reasons: [expect.stringContaining('failed')] },
    ]);
    expect(human).toContain('tue.log is passed over');
    const plan = await run(
      planVerb,
      { until: 'backup:SYS_EXPORT_SCHEMA_01@20240312T100100', lost: 'everything' },
      'found.yaml',
    );
    expect(plan.json).toMatchObject({ reachable: true });
    await rm(join(dumps, 'mon.dmp'));
    expect((await run(catalogVerb, {}, 'found.yaml')).json).toMatchObject({
      backups: expect.arrayContaining([
        expect.objectContaining({ label: 'SYS_EXPORT_SCHEMA_01@20240312T100100', state: 'missing' }),
      ]),
    });
  });

  test('that was cut off is none', async () => {
    await expect(add(log(''), 'exp3')).rejects.toMatchObject({ kind: 'jobLogFailed', exitCode: 4 });
  });

  test('whose log is that of an import is none', async () => {
    const text = log(whole)
      .replaceAll('Export', 'Import')
      .replaceAll('EXPORT', 'IMPORT')
      .replaceAll('exported', 'imported');
    await expect(add(text, 'exp4')).rejects.toMatchObject({ kind: 'jobLogUnknown', exitCode: 2 });
  });
});
