import { join } from 'node:path';
import type { Writer } from '../../examples/erp/order-loop.ts';
import type { Context } from '../../src/pipeline/context.ts';
import { promoteRelease, runRefresh, startRelease, throwIfFailed } from '../../src/pipeline/runs.ts';
import { sign, tickChecklist } from '../../src/pipeline/signing.ts';
import type { Site } from '../../src/site/site.ts';
import { tellRelease, type DemoReport, type ReleaseTold } from './report.ts';
import type { Stages } from './stages.ts';
import type { DemoWorld } from './world.ts';

/** What every act of the story plays with. */
export interface Play {
  signal: AbortSignal;
  stages: Stages;
  site: Site;
  context: Context;
  world: DemoWorld;
  writer: Writer;
  journal: string;
  releases: ReleaseTold[];
}

const initiator = 'vendor desk';

export async function refresh({ context, site, stages }: Play, report: DemoReport): Promise<void> {
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
export async function play20({ context, stages, releases, site }: Play): Promise<void> {
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

export async function play21(play: Play): Promise<void> {
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
export async function play22(play: Play): Promise<void> {
  const { context, stages, releases, world, journal } = play;
  const { release, kit } = await stageAndConfirm(play, '2.2');
  const result = await stages.run(
    'kit 2.2: breaks on LIVE, which is rolled back and proven to be where it was',
    async () => {
      await world.people.sendReferenceTwice();
      const done = await promoteRelease(context, { release, by: initiator });
      await play.writer.confirmed(10, play.signal);
      await play.writer.pause();
      const orders = await world.people.compareOrders(journal);
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
export async function play23(play: Play): Promise<void> {
  const { context, stages, releases, world, signal } = play;
  const { release, kit } = await stageAndConfirm(play, '2.3');
  const result = await stages.run(
    'kit 2.3: LIVE has drifted since, the gate stays closed',
    async () => {
      await world.people.changeSchema(signal);
      return promoteRelease(context, { release, by: initiator });
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
