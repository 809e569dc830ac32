import { setTimeout as wait } from 'node:timers/promises';
import { DBOS, DBOSClient } from '@dbos-inc/dbos-sdk';
import { Pool } from 'pg';
import { isSiteLocked } from '../control/lock.ts';
import { workflowSchemaName } from '../control/schema.ts';
import { ClonaError } from '../errors.ts';
import { becomeWorker, orEnded, type Context } from './context.ts';
import { wakeTopic } from './wait-for-words.ts';
import { poolOptions, unusedUrl } from './worker.ts';

/** Sends the waiting release a message: something about it is new in the ledger. */
export async function wakeRelease(context: Context, release: string): Promise<void> {
  if (context.worker !== undefined) {
    await DBOS.send(release, context.now().toISOString(), wakeTopic);
    return;
  }
  const pool = new Pool(poolOptions(context.control));
  pool.on('error', () => {});
  try {
    const client = await DBOSClient.create({
      systemDatabaseUrl: unusedUrl,
      systemDatabasePool: pool,
      systemDatabaseSchemaName: workflowSchemaName(context.site),
      applicationName: 'clona',
    });
    await client.send(release, context.now().toISOString(), wakeTopic);
    await client.destroy();
  } finally {
    await pool.end();
  }
}

/**
 * Lets the release act on what is new: by the process that has the site, else by this one for a moment. When
 * neither can, nothing is lost: the release reads the ledger whenever it runs again. `until`: the kinds of record
 * that show that it acted.
 */
export async function letReleaseAct(
  context: Context,
  release: string,
  after: number,
  who: string,
  until: readonly string[] = ['gate.decided'],
): Promise<void> {
  if (context.worker === undefined && !(await isSiteLocked(context.control))) {
    try {
      await becomeWorker(context, { who, what: 'signoff' });
    } catch (error) {
      if (!(error instanceof ClonaError && error.kind === 'locked')) throw error;
    }
  }
  if (context.worker === undefined) return;
  await orEnded(context.worker.worker, waitForRecord(context, release, after, until));
}

const patienceMs = 15_000;

async function waitForRecord(
  context: Context,
  release: string,
  after: number,
  until: readonly string[],
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    context.signal.throwIfAborted();
    const records = await context.ledger.list({ runs: [release], kinds: [...until, 'release.ended'] });
    if (records.some(({ sequence }) => sequence > after)) return;
    await wait(50);
  }
}
