import { DBOSClient } from '@dbos-inc/dbos-sdk';
import { Pool } from 'pg';
import type { LeftSlot } from '../databases/postgres/left-slots.ts';
import { judgeSpool, type SpoolFacts, type SpoolVerdict } from '../databases/postgres/log-spool.ts';
import { isSiteLocked, readLockHolder, type LockHolder } from '../control/lock.ts';
import { workflowSchemaName } from '../control/schema.ts';
import type { Word } from '../gate/facts.ts';
import type { GateDecision } from '../gate/gate.ts';
import { judgeWords, type Standing } from '../gate/words.ts';
import type { Context } from './context.ts';
import { readPayload } from './evidence-kinds.ts';
import { decide, viewRelease } from './facts-now.ts';
import type { Proof, StoppedLive } from './operations.ts';
import type { LogStreamFacts } from './log-streams.ts';
import { readSiteState, type RefreshState, type ReleaseState } from './site-state.ts';
import { poolOptions, unusedUrl } from './worker.ts';

export interface ReleaseStatus extends ReleaseState {
  gate: GateDecision;
  words: (Pick<Word, 'department' | 'word' | 'at' | 'comment'> & { standing: Standing })[];
}

export interface SiteStatus {
  site: string;
  at: string;
  /** The run that has the site; null: nothing runs. */
  running: LockHolder | null;
  /** Runs that a process left in the middle: the next verb that changes something carries them on. */
  interrupted: { id: string; name: string }[];
  /** A cold backup has stopped LIVE, or was killed and left it so (`isWorking` false); null: neither. */
  stopped: StoppedLive | null;
  staging: (RefreshState & { heldBy: string | null })[];
  releases: ReleaseStatus[];
  /** Releases that have ended, newest last, at most ten. */
  ended: ReleaseState[];
  archive: {
    newestProven: Pick<Proof, 'backup' | 'grade' | 'provenAt'> | null;
    archivedUntil: string | null;
    /** What waits for archive and mirror, and whether that is as it should be; null: it cannot be seen. */
    spool: (SpoolFacts & { verdict: SpoolVerdict }) | null;
    /** How far each destination has the log by its stream (archive.receiver). */
    streams: LogStreamFacts[];
    /** Slots on LIVE of receivers that were switched off: each keeps log there, and nobody reads it. */
    leftSlots: LeftSlot[];
    /** By the best of the streams: what would be lost with LIVE and its log; null: nothing streams. */
    loseAtMostSeconds: number | null;
    /** What would be lost if LIVE and its disks were gone now, in seconds. */
    rpoSeconds: number | null;
    /** What the newest restore took, in seconds. */
    rtoSeconds: number | null;
  };
  evidence: { records: number; lateCopies: Record<string, string> };
}

/** What runs, what waits and why, and how well LIVE could be brought back. Changes nothing. */
export async function readStatus(context: Context): Promise<SiteStatus> {
  const { ledger, control, signal } = context;
  const now = context.now();
  const site = await readSiteState(ledger);
  const isLocked = await isSiteLocked(control);
  const open = site.releases.filter(({ state }) => state === 'open' || state === 'promoting');
  // At once: each waits for a LIVE that hangs.
  const [archivedUntil, spool, streams] = await Promise.all([
    context.operations.archivedUntil(signal).catch(() => null),
    context.operations.logSpool(signal).catch(() => null),
    context.operations.logStreams(signal).catch(() => []),
  ]);
  const bounds = streams.map(({ loseAtMostSeconds }) => loseAtMostSeconds);
  const proofs = await ledger.list({ kinds: ['archive.proven'] });
  const newest = proofs.map((record) => readPayload(record, 'archive.proven')).at(-1);
  const newestOnMachine = new Map(site.refreshes.map((refresh) => [refresh.machine, refresh]));
  return {
    site: context.site,
    at: now.toISOString(),
    running: isLocked ? await readLockHolder(control) : null,
    interrupted: isLocked ? [] : await readInterrupted(context),
    stopped: await context.operations.stoppedLive().catch(() => null),
    staging: [...newestOnMachine.values()].map((refresh) => ({
      ...refresh,
      heldBy: site.held.get(refresh.machine ?? '') ?? null,
    })),
    releases: await Promise.all(open.map(async (release) => readRelease(context, release))),
    ended: site.releases.filter((release) => !open.includes(release)).slice(-10),
    archive: {
      newestProven:
        newest === undefined
          ? null
          : { backup: newest.backup, grade: newest.grade, provenAt: newest.provenAt },
      archivedUntil,
      spool: spool === null ? null : { ...spool, verdict: judgeSpool(spool, now) },
      streams,
      leftSlots: await context.operations.leftSlots(signal).catch(() => []),
      loseAtMostSeconds: bounds.length === 0 ? null : Math.min(...bounds),
      rpoSeconds:
        archivedUntil === null ? null : Math.max(0, (now.getTime() - Date.parse(archivedUntil)) / 1000),
      rtoSeconds:
        site.refreshes.findLast(({ restoreSeconds }) => restoreSeconds !== null)?.restoreSeconds ?? null,
    },
    evidence: {
      records: (await ledger.head()).head.sequence,
      lateCopies: Object.fromEntries(ledger.lateCopies),
    },
  };
}

async function readRelease(context: Context, release: ReleaseState): Promise<ReleaseStatus> {
  const view = await viewRelease(context, release.id, null, context.signal);
  const words = judgeWords(view.facts, context.policy, context.now());
  return {
    ...release,
    gate: decide(context, view, 'promotion'),
    words: words.map(({ department, word, at, comment, standing }) => ({
      department,
      word,
      at,
      comment,
      standing,
    })),
  };
}

/** Workflows that were begun and not ended; a release that waits for people is none of them. */
async function readInterrupted(context: Context): Promise<{ id: string; name: string }[]> {
  const schema = workflowSchemaName(context.site);
  const [found] = await context.control.session.query<{ there: boolean }>(
    'select exists (select from pg_namespace where nspname = $1) as there',
    [schema],
  );
  if (found?.there !== true) return [];
  const pool = new Pool(poolOptions(context.control));
  pool.on('error', () => {});
  try {
    const client = await DBOSClient.create({
      systemDatabaseUrl: unusedUrl,
      systemDatabasePool: pool,
      systemDatabaseSchemaName: schema,
      applicationName: 'clona',
    });
    const left = await client.listWorkflows({ status: ['PENDING', 'ENQUEUED'] });
    await client.destroy();
    return left
      .filter(({ workflowName }) => workflowName !== 'release')
      .map(({ workflowID, workflowName }) => ({ id: workflowID, name: workflowName }));
  } finally {
    await pool.end();
  }
}
