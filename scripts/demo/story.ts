import { chmod, copyFile, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareOrders, sendReferenceTwice, startWriter, type Writer } from '../../examples/erp/writer.ts';
import { connect } from '../../src/databases/postgres/connect.ts';
import { ClonaError } from '../../src/errors.ts';
import { destroyLocalMachine } from '../../src/machines/local/destroy.ts';
import { findToolchain } from '../../src/machines/pulumi/toolchain.ts';
import type { Context } from '../../src/pipeline/context.ts';
import { createOperations } from '../../src/pipeline/create-operations.ts';
import { openContext } from '../../src/pipeline/open-site.ts';
import { promoteRelease, runRefresh, startRelease, throwIfFailed } from '../../src/pipeline/runs.ts';
import { sign, tickChecklist } from '../../src/pipeline/signing.ts';
import { createStep } from '../../src/pipeline/step.ts';
import type { OnProgress } from '../../src/progress.ts';
import { loadSite } from '../../src/site/load.ts';
import type { Site } from '../../src/site/site.ts';
import { findEngine } from './engine.ts';
import { endInDisaster } from './disaster.ts';
import { exportAndVerify } from './evidence.ts';
import { createProduction, type Production } from './production.ts';
import { tellRelease, type DemoReport, type ReleaseTold } from './report.ts';
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

interface Play {
  options: DemoOptions;
  stages: Stages;
  site: Site;
  context: Context;
  production: Production;
  writer: Writer;
  journal: string;
  releases: ReleaseTold[];
}

const initiator = 'vendor desk';

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
  await cp(fileURLToPath(new URL('../../examples/erp/', import.meta.url)), siteFolder, { recursive: true });
  const site = await loadSite(join(siteFolder, 'clona.yaml'));
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
      options,
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
      await context.operations
        .destroyStaging(
          createStep(context, 'demo', 'destroy staging', AbortSignal.timeout(60_000)),
          site.staging.name,
        )
        .catch((error: unknown) => options.tell(`    staging was not destroyed: ${String(error)}`));
    }
  }
  report.disaster = await stages.run(
    'disaster: production and control state are gone; the archive alone brings the database back',
    async () => endInDisaster({ site, journal: archived, folder, signal }),
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
  await play.writer.confirmed(20, play.options.signal);
  await play.writer.pause();
  const { ordersCommitted, ordersFound } = await compareOrders(production.address, journal);
  Object.assign(report.production, { versionAfter: await version(), ordersCommitted, ordersFound });
  play.writer.resume();
  if (play.writer.lastError !== undefined)
    report.problems.push(`the writer met an error: ${play.writer.lastError}`);
}

/** The log archiver's last work before the disaster; a copy of the journal says which orders it has. */
async function archiveLastOrders(
  { context, writer, production, journal, options }: Play,
  folder: string,
): Promise<string> {
  await writer.pause();
  const archived = join(folder, 'archived.journal');
  await copyFile(journal, archived);
  const step = createStep(context, 'demo', 'demo/last log', options.signal);
  await using session = await connect(production.address, options.signal);
  const [row] = await session.query<{ position: string }>(
    "select (pg_current_wal_lsn() - '0/0')::text as position",
  );
  await context.operations.archiveLogTo(step, row?.position ?? '0');
  writer.resume();
  return archived;
}

async function refresh({ context, site, stages }: Play, report: DemoReport): Promise<void> {
  const result = await stages.run(
    'refresh: clone, restore the latest archive, prove it row by row, fence, mask',
    async () => {
      const done = await runRefresh(context, { by: initiator, machine: site.staging.name });
      throwIfFailed(done);
      return done;
    },
    ({ proof, restored }) =>
      `grade ${proof?.grade ?? 0}, restored in ${restored?.seconds.toFixed(1) ?? '?'} s`,
  );
  const taken = (await context.ledger.list({ runs: [result.refresh], kinds: ['backup.taken'] }))[0]?.payload;
  if (typeof taken === 'object' && taken !== null && 'label' in taken) {
    const { label, bytes, seconds } = taken as { label: string; bytes: number; seconds: number };
    report.backup = { label, bytes, seconds, grade: result.proof?.grade ?? 0 };
  }
}

/** Kit 2.0 installs without an error and breaks the books: the smoke tests see it, and nobody is asked at all. */
async function play20({ context, stages, releases, site }: Play): Promise<void> {
  const { ended } = await stages.run(
    'kit 2.0: installs without an error and breaks the books; smoke tests close the gate',
    async () => startRelease(context, { kit: join(site.folder, 'kits/2.0'), by: initiator }),
    (started) => `${started.ended?.smoke?.failed.length ?? 0} smoke tests failed`,
  );
  if (ended === null) throw new Error('kit 2.0 was not stopped by its smoke tests');
  releases.push(
    tellRelease(ended.kit, ended.gate, {
      promoted: false,
      rolledBack: false,
      reasons: ended.smoke?.failed ?? [],
    }),
  );
}

async function play21(play: Play): Promise<void> {
  const { context, stages, releases } = play;
  const { release, kit } = await stageAndConfirm(play, '2.1');
  const promoted = await stages.run(
    'kit 2.1: promoted to LIVE',
    async () => promoteRelease(context, { release, by: initiator }),
    ({ outcome }) => outcome,
  );
  releases.push(
    tellRelease(kit, promoted.gate, {
      promoted: promoted.outcome === 'promoted',
      rolledBack: promoted.outcome === 'rolledBack',
      reasons: promoted.error === null ? [] : [promoted.error.message],
    }),
  );
}

/** Kit 2.2 passes on staging. Then a customer sends the same reference twice to LIVE, and its third step breaks there. */
async function play22(play: Play): Promise<void> {
  const { context, stages, releases, production, journal } = play;
  const { release, kit } = await stageAndConfirm(play, '2.2');
  const result = await stages.run(
    'kit 2.2: breaks on LIVE, which is rolled back and proven to be where it was',
    async () => {
      await sendReferenceTwice(production.address);
      const done = await promoteRelease(context, { release, by: initiator });
      await play.writer.confirmed(10, play.options.signal);
      await play.writer.pause();
      const orders = await compareOrders(production.address, journal);
      play.writer.resume();
      if (orders.lost.length > 0)
        throw new Error(`${orders.lost.length} confirmed orders were lost by the rollback`);
      return done;
    },
    ({ outcome, takenBack }) => `${outcome}, LIVE goes on in incarnation ${takenBack?.incarnation ?? '?'}`,
  );
  releases.push(
    tellRelease(kit, result.gate, {
      promoted: result.outcome === 'promoted',
      rolledBack: result.outcome === 'rolledBack',
      reasons: result.error === null ? [] : [result.error.message],
    }),
  );
}

/** Kit 2.3 is good, but somebody changed LIVE's schema after staging was made from it. */
async function play23(play: Play): Promise<void> {
  const { context, stages, releases, production, options } = play;
  const { release, kit } = await stageAndConfirm(play, '2.3');
  const result = await stages.run(
    'kit 2.3: LIVE has drifted since, the gate stays closed',
    async () => {
      await using session = await connect(production.address, options.signal);
      await session.query('ALTER TABLE erp.customer ADD COLUMN quick_fix text');
      return await promoteRelease(context, { release, by: initiator });
    },
    ({ outcome }) => outcome,
  );
  releases.push(
    tellRelease(kit, result.gate, { promoted: result.outcome === 'promoted', rolledBack: false }),
  );
}

/** Kit on staging, smoke tests, rehearsed rollback, the DBA's checklist, the word of every department. */
async function stageAndConfirm(
  play: Play,
  version: string,
): Promise<{ release: string; kit: { version: string; hash: string } | null }> {
  const { context, stages, site } = play;
  return stages.run(
    `kit ${version}: on staging, smoke tests, rollback rehearsed, every department confirms`,
    async () => {
      const { release, ended } = await startRelease(context, {
        kit: join(site.folder, 'kits', version),
        by: initiator,
      });
      if (ended !== null) {
        throwIfFailed(ended);
        throw new Error(
          `kit ${version} did not come through staging: ${ended.smoke?.failed.join(', ') ?? ended.upgrade?.failedStep ?? ''}`,
        );
      }
      await tickChecklist(context, { release, by: site.dba.name ?? 'dba' });
      for (const { name, keyUsers } of site.departments) {
        await sign(context, {
          release,
          department: name,
          by: keyUsers[0] ?? '',
          word: 'confirm',
          comment: 'tried it',
        });
      }
      const [record] = await context.ledger.list({ runs: [release], kinds: ['release.kit'] });
      const kit = record?.payload as { version: string; hash: string } | undefined;
      return { release, kit: kit ?? null };
    },
  );
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
