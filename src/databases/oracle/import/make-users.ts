import { ClonaError } from '../../../errors.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import type { OracleSession } from '../connect.ts';
import { createCloneUser, decideCloneUser, dropCloneUser, type SchemaPair } from './clone-schema.ts';
import { findUser } from './read-schema.ts';
import { endLeftJob } from './run-job.ts';
import type { ImportJob } from './job-text.ts';

interface MakeUsers {
  session: OracleSession;
  pairs: readonly SchemaPair[];
  job: ImportJob;
  defaultTablespace: string;
  randomPassword: string;
  majorVersion: number;
  onProgress: OnProgress;
}

/** Decides for every schema before the first one is dropped; only what clona made for this LIVE schema goes. */
export async function makeCloneUsers(options: MakeUsers): Promise<void> {
  const { session, pairs, job, defaultTablespace, randomPassword, majorVersion, onProgress } = options;
  const drops: SchemaPair[] = [];
  const leftJobs = new Set<string>();
  for (const pair of pairs) {
    const found = await findUser(session, pair.clone);
    const decision = decideCloneUser(pair, found);
    if (decision.do === 'refuse') {
      throw new ClonaError('targetOccupied', decision.why, {
        hint: 'drop it yourself when nobody needs it, or choose another prefix',
        details: { schema: pair.clone },
      });
    }
    if (decision.do !== 'replace') continue;
    drops.push(pair);
    if (found.job !== null) leftJobs.add(found.job);
  }
  for (const left of leftJobs) {
    await withProgress(onProgress, `end the job ${left} of a run that was killed`, async () =>
      endLeftJob(session, left),
    );
  }
  for (const pair of pairs) {
    await withProgress(onProgress, `create ${pair.clone}`, async () => {
      if (drops.includes(pair)) await session.execute(dropCloneUser(pair));
      const tablespaces = Object.values(job.tablespaces);
      const statements = createCloneUser(
        { pair, tablespaces, defaultTablespace },
        majorVersion,
        randomPassword,
        job.name,
      );
      const [create, ...rest] = statements;
      if (create !== undefined) await session.execute(create);
      try {
        for (const statement of rest) await session.execute(statement);
        await session.driver.commit();
      } catch (error) {
        // Without its mark the next run would take it for somebody else's.
        await session.execute(dropCloneUser(pair)).catch(() => {});
        throw error;
      }
    });
  }
}
