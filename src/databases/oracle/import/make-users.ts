import { ClonaError } from '../../../errors.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import type { OracleSession } from '../connect.ts';
import { createCloneUser, decideCloneUser, dropCloneUser, type SchemaPair } from './clone-schema.ts';
import { findUser } from './read-schema.ts';
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
  for (const pair of pairs) {
    const decision = decideCloneUser(pair, await findUser(session, pair.clone));
    if (decision.do === 'refuse') {
      throw new ClonaError('targetOccupied', decision.why, {
        hint: 'drop it yourself when nobody needs it, or choose another prefix',
        details: { schema: pair.clone },
      });
    }
    if (decision.do === 'replace') drops.push(pair);
  }
  for (const pair of pairs) {
    await withProgress(onProgress, `create ${pair.clone}`, async () => {
      if (drops.includes(pair)) await session.execute(dropCloneUser(pair));
      const tablespaces = Object.values(job.tablespaces);
      const statements = createCloneUser(
        { pair, tablespaces, defaultTablespace },
        majorVersion,
        randomPassword,
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
