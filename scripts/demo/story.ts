import { chmod, copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareOrders, startWriter } from '../../examples/erp/writer.ts';
import { connect } from '../../src/databases/postgres/connect.ts';
import { ClonaError } from '../../src/errors.ts';
import { destroyLocalMachine } from '../../src/machines/local/destroy.ts';
import { findToolchain } from '../../src/machines/pulumi/toolchain.ts';
import type { Context } from '../../src/pipeline/context.ts';
import { createOperations } from '../../src/pipeline/create-operations.ts';
import { openContext } from '../../src/pipeline/open-site.ts';
import { createStep } from '../../src/pipeline/step.ts';
import type { OnProgress } from '../../src/progress.ts';
import { play20, play21, play22, play23, refresh, type Play } from './acts.ts';
import { findEngine } from './engine.ts';
import { endInDisaster } from './disaster.ts';
import { exportAndVerify } from './evidence.ts';
import { createProduction } from './production.ts';
import type { DemoReport } from './report.ts';
import { copyExample } from './try.ts';
import { openStages, type Stages } from './stages.ts';

export interface DemoOptions {
  signal: AbortSignal;
  /** Where `.tools` is. */
  toolsFolder: string;
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
  return { report, folder: options.keep ? folder : null };
}

async function playActs(
  options: DemoOptions,
  stages: Stages,
  folder: string,
  report: DemoReport,
): Promise<void> {
  const { signal } = options;
  report.engine =
    options.engine ??
    (await findEngine(
      async () => findToolchain({ folder: options.toolsFolder, signal, onProgress: options.onProgress }),
      stages,
      options.tell,
    ));
  const siteFolder = join(folder, 'site');
  const site = await copyExample(siteFolder);
  const { root, live } = site.machines;
  const journal = join(folder, 'orders.journal');
  await using cleanup = new AsyncDisposableStack();
  if (!options.keep) cleanup.defer(async () => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const production = await stages.run(
    'production: a machine with the ERP, people at work',
    async () => createProduction(root, live.name, signal),
    ({ rows }) => `${rows} rows`,
  );
  if (!options.keep)
    cleanup.defer(async () =>
      destroyLocalMachine({ root, name: live.name, force: true }, AbortSignal.timeout(60_000)),
    );
  const writer = cleanup.use(await startWriter({ address: production.address, journal, everyMs: 40 }));
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
      production,
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
    async () => endInDisaster({ site, journal: archived, folder, keep: options.keep, signal }),
    ({ ordersArchived, ordersRestored }) => `${ordersRestored} of ${ordersArchived} archived orders`,
  );
}

async function playReleases(play: Play, report: DemoReport): Promise<void> {
  const { production, journal } = play;
  const version = async (): Promise<string> =>
    (await readFile(join(production.facts.systemDisk, 'VERSION'), 'utf8')).trim();
  report.production.versionBefore = await version();
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
  const { ordersCommitted, ordersFound } = await compareOrders(production.address, journal);
  Object.assign(report.production, { versionAfter: await version(), ordersCommitted, ordersFound });
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
  { context, writer, production, journal, signal }: Play,
  folder: string,
): Promise<string> {
  await writer.pause();
  const archived = join(folder, 'archived.journal');
  await copyFile(journal, archived);
  const step = createStep(context, 'demo', 'demo/last log', signal);
  await using session = await connect(production.address, signal);
  const [row] = await session.query<{ position: string }>(
    "select (pg_current_wal_lsn() - '0/0')::text as position",
  );
  await context.operations.archiveLogTo(step, row?.position ?? '0');
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
