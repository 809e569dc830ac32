import { once } from 'node:events';
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placeControl } from '../../src/control/place.ts';
import { stopServer } from '../../src/databases/postgres/server.ts';
import { ClonaError } from '../../src/errors.ts';
import { findToolchain, type Toolchain } from '../../src/machines/pulumi/toolchain.ts';
import type { Context } from '../../src/pipeline/context.ts';
import { createOperations } from '../../src/pipeline/create-operations.ts';
import { openContext } from '../../src/pipeline/open-site.ts';
import { createStep } from '../../src/pipeline/step.ts';
import type { OnProgress } from '../../src/progress.ts';
import type { Site } from '../../src/site/site.ts';
import { play20, play21, play22, play23, refresh, type Play } from './acts.ts';
import { findEngine } from './engine.ts';
import { exportAndVerify } from './evidence.ts';
import { openLocalWorld } from './local-world.ts';
import type { DemoReport } from './report.ts';
import { findTools } from './vsphere/tools.ts';
import { oracleWorldFile, type DemoWorld, type OracleWorlds } from './world.ts';
import { openStages, type Stages } from './stages.ts';

export interface DemoOptions {
  signal: AbortSignal;
  /** Where `.tools` is. */
  toolsFolder: string;
  platform: 'local' | 'vsphere';
  /** Default postgres; oracle on vsphere only. */
  database?: 'postgres' | 'oracle';
  keep: boolean;
  /** Default: Pulumi's where it can be had. */
  engine?: 'pulumi' | 'direct' | undefined;
  tell: (line: string) => void;
  /** What the steps inside an act tell. */
  onProgress: OnProgress;
}

/** Plays the whole story (docs/demo.md) in a folder of its own and tells what came of it; leaves nothing behind. */
export async function playStory(
  options: DemoOptions,
): Promise<{ report: DemoReport; folder: string | null }> {
  const startedAt = performance.now();
  const stages = openStages(options.tell);
  const folder = await mkdtemp(join(tmpdir(), 'clona-demo-'));
  // The machines' own users must be able to pass.
  await chmod(folder, 0o711);
  const report: DemoReport = {
    ok: false,
    seconds: 0,
    platform: options.platform,
    database: options.database ?? 'postgres',
    ...(options.database === 'oracle' ? { verified: 'driver-verified, not Oracle-verified' } : {}),
    engine: 'pulumi',
    stages: stages.list,
    backup: null,
    production: { versionBefore: '', versionAfter: '', ordersCommitted: 0, ordersFound: 0 },
    releases: [],
    evidence: null,
    disaster: null,
    problems: [],
  };
  try {
    await playActs(options, stages, folder, report);
  } catch (error) {
    report.problems.push(error instanceof Error ? error.message : String(error));
    if (!(error instanceof ClonaError)) options.tell(error instanceof Error ? (error.stack ?? '') : '');
  }
  report.problems.push(...findProblems(report));
  report.ok = report.problems.length === 0;
  report.seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  return { report, folder: leavesAll(options) ? folder : null };
}

/** Machines of a simulated vCenter end with it: kept is what outlives this process. */
function leavesAll({ keep, platform }: DemoOptions): boolean {
  return keep && platform === 'local';
}

async function playActs(
  options: DemoOptions,
  stages: Stages,
  folder: string,
  report: DemoReport,
): Promise<void> {
  const { signal } = options;
  report.engine = await chooseEngine(options, stages);
  const journal = join(folder, 'orders.journal');
  await using cleanup = new AsyncDisposableStack();
  if (!leavesAll(options))
    cleanup.defer(async () => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const world = cleanup.use(
    await stages.run(
      'production: a machine with the ERP, people at work',
      async () => openWorld(options, folder),
      ({ rows }) => `${rows} rows`,
    ),
  );
  const { site } = world;
  if (options.keep && options.platform === 'vsphere') cleanup.defer(async () => stopControl(site));
  const writer = cleanup.use(await world.people.startWriter(journal));
  let archived = '';
  {
    await using context = await openContext({
      sitePath: site.file,
      signal,
      onProgress: options.onProgress,
      createOperations: async (opened) =>
        createOperations(opened, { engine: report.engine, note: options.tell }),
    });
    const play: Play = {
      signal,
      stages,
      site,
      context,
      world,
      writer,
      journal,
      releases: report.releases,
    };
    try {
      await playReleases(play, report);
      archived = await archiveLastOrders(play, folder);
      report.evidence = await stages.run(
        'evidence: exported and verified',
        async () => exportAndVerify(context, site, join(folder, 'evidence.jsonl'), signal),
        ({ records }) => `${records} records`,
      );
    } finally {
      if (!options.keep) await destroyStaging(context, site.staging.name, options.tell);
    }
  }
  report.disaster = await stages.run(
    'disaster: production and control state are gone; the archive alone brings the database back',
    async () => world.bringBack({ journal: archived, folder, signal }),
    ({ ordersArchived, ordersRestored }) => `${ordersRestored} of ${ordersArchived} archived orders`,
  );
  if (options.keep && options.platform === 'vsphere') await lookAround(options, site);
}

/** The vCenter lives in this process: it stays until somebody ends it. */
async function lookAround({ signal, tell }: DemoOptions, site: Site): Promise<void> {
  tell(`everything is there, the simulated vCenter, too, until you end this (Ctrl-C). In another terminal:`);
  tell(`    npx clona status --site ${site.file}`);
  if (!signal.aborted) await once(signal, 'abort');
}

/** What the verbs tried meanwhile have left running. */
async function stopControl(site: Site): Promise<void> {
  const { folder } = placeControl(join(site.folder, '.clona'));
  await stopServer({ dataDir: join(folder, 'data'), mode: 'immediate' });
  await rm(folder, { recursive: true, force: true });
}

/** Whatever the engine needs is found by the pipeline, too: its folder is the first of PATH from now on. */
async function chooseEngine(options: DemoOptions, stages: Stages): Promise<DemoReport['engine']> {
  const { engine, platform, toolsFolder: folder, signal, onProgress } = options;
  if (engine === 'direct') return engine;
  const find = async (): Promise<Toolchain> => {
    const toolchain = await findToolchain({ folder, signal, onProgress });
    process.env['PATH'] = toolchain.path;
    return toolchain;
  };
  if (platform === 'local') return findEngine(find, stages, options.tell);
  await stages.run('tools: the Pulumi engine, the vSphere provider and a simulated vCenter', async () =>
    findTools(folder, signal, onProgress),
  );
  return 'pulumi';
}

async function openWorld(
  { platform, database, keep, signal }: DemoOptions,
  folder: string,
): Promise<DemoWorld> {
  const siteFolder = join(folder, 'site');
  if (platform === 'local') return openLocalWorld(siteFolder, keep, signal);
  if (database === 'oracle') {
    // Loaded by its address: it stands on the simulator of the tests, which is in no package.
    const { openOracleWorld } = (await import(oracleWorldFile().href)) as OracleWorlds; // the file exports it
    return openOracleWorld(siteFolder, join(folder, 'host'), signal);
  }
  const { openVsphereWorld } = await import('./vsphere/world.ts');
  return openVsphereWorld(siteFolder, join(folder, 'host'), keep, signal);
}

async function playReleases(play: Play, report: DemoReport): Promise<void> {
  const { world, journal } = play;
  report.production.versionBefore = await world.readVersion();
  await refresh(play, report);
  await play20(play);
  await refresh(play, report);
  await play21(play);
  await refresh(play, report);
  await play22(play);
  await refresh(play, report);
  await play23(play);
  await play.writer.confirmed(20, play.signal);
  await play.writer.pause();
  const { ordersCommitted, ordersFound } = await world.people.compareOrders(journal);
  Object.assign(report.production, { versionAfter: await world.readVersion(), ordersCommitted, ordersFound });
  play.writer.resume();
  if (play.writer.lastError !== undefined)
    report.problems.push(`the writer met an error: ${play.writer.lastError}`);
}

async function destroyStaging(context: Context, name: string, tell: (line: string) => void): Promise<void> {
  const step = createStep(context, 'demo', 'destroy staging', AbortSignal.timeout(60_000));
  try {
    await context.operations.destroyStaging(step, name);
  } catch (error) {
    tell(`    staging was not destroyed: ${String(error)}`);
  }
}

/** The log archiver's last work before the disaster; a copy of the journal says which orders it has. */
async function archiveLastOrders(
  { context, writer, world, journal, signal }: Play,
  folder: string,
): Promise<string> {
  await writer.pause();
  const archived = join(folder, 'archived.journal');
  await copyFile(journal, archived);
  const step = createStep(context, 'demo', 'demo/last log', signal);
  await context.operations.archiveLogTo(step, await world.people.readLogEnd(signal));
  writer.resume();
  return archived;
}

/** What the story promises, checked against what happened. */
function findProblems({ releases, production, evidence, disaster, problems }: DemoReport): string[] {
  if (problems.length > 0) return [];
  const expected = [
    ['2.0', 'closed', false, false],
    ['2.1', 'open', true, false],
    ['2.2', 'open', false, true],
    ['2.3', 'closed', false, false],
  ] as const;
  const found: string[] = [];
  for (const [index, [kit, gate, promoted, rolledBack]] of expected.entries()) {
    const told = releases[index];
    if (
      told?.kit === kit &&
      told.gate === gate &&
      told.promoted === promoted &&
      told.rolledBack === rolledBack
    )
      continue;
    found.push(`kit ${kit} should have ended with gate ${gate}: ${JSON.stringify(told)}`);
  }
  if (production.versionAfter !== '2.1')
    found.push(`LIVE should have version 2.1, it has ${production.versionAfter}`);
  if (production.ordersFound !== production.ordersCommitted)
    found.push('a confirmed order is missing in production');
  if (evidence?.verified !== true) found.push('the evidence was not verified');
  if (disaster === null || disaster.ordersRestored !== disaster.ordersArchived)
    found.push('the archive did not bring back every archived order');
  return found;
}
