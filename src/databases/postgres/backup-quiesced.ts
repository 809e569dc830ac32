import { ClonaError } from '../../errors.ts';
import { openFramePool } from '../../archive/frame-pool.ts';
import type { TarFramer } from '../../archive/tar-frames.ts';
import type { CopiedFacts, CopyContext } from './backup-context.ts';
import { copyByProtocol } from './backup-managed.ts';
import { formatLsn } from './lsn.ts';
import { LogTaker } from './log-taker.ts';
import { pauseWriters } from './pause-writers.ts';
import { openReplication, type ReplicationSession } from './replication/session.ts';

/**
 * A backup that needs no archived log (the vocabulary: quiesced): BASE_BACKUP, then a restore point set while no
 * transaction with changes is open, and the log up to it inside. A temporary slot holds the log meanwhile and goes with
 * the session.
 */
export async function copyQuiesced(context: CopyContext): Promise<CopiedFacts> {
  const { address, facts, folder, label, signal, onProgress } = context;
  if (facts.isStandby) {
    throw new ClonaError(
      'databaseFailed',
      'a standby has no writers to pause: take the quiesced backup from its primary',
    );
  }
  await using replication = await openReplication(address, signal);
  await using pool = openFramePool(context.workers, context.level);
  const slot = `clona_${process.pid}_${Date.now()}`;
  await replication.run(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY PHYSICAL RESERVE_WAL`);
  await using backup = await copyByProtocol(replication, folder, pool, { label, withLog: false, onProgress });
  const restorePoint = `clona_${label}`.slice(0, 63);
  const paused = await pauseWriters(context, restorePoint);
  const { base } = backup.taker;
  await addHistory(replication, base, backup.timeline);
  const log = new LogTaker(replication, base, {
    timeline: backup.timeline,
    from: backup.start,
    until: paused.position,
    segmentSizeBytes: facts.segmentSizeBytes,
  });
  await replication.run(
    `START_REPLICATION SLOT ${slot} PHYSICAL ${formatLsn(log.firstPosition)} TIMELINE ${backup.timeline}`,
    log,
  );
  await log.finish();
  const { archives, manifestSha256 } = await backup.taker.finish();
  return {
    timeline: backup.timeline,
    start: String(backup.start),
    consistentFrom: String(paused.position),
    ownLog: true,
    archives,
    manifestSha256,
    pauseMs: paused.pauseMs,
    restorePoint,
  };
}

/** A server finds its way through timelines by these files, so they are carried as BASE_BACKUP carries them. */
async function addHistory(replication: ReplicationSession, base: TarFramer, timeline: number): Promise<void> {
  if (timeline === 1) return;
  const [rows] = await replication.run(`TIMELINE_HISTORY ${timeline}`);
  const [name, content] = rows?.[0] ?? [];
  if (typeof name !== 'string' || typeof content !== 'string') {
    throw new ClonaError('databaseFailed', `the server has no history of its timeline ${timeline}`);
  }
  const bytes = Buffer.from(content);
  const modifiedAt = new Date();
  await base.addMember({ path: `pg_wal/${name}`, sizeBytes: bytes.length, type: 'file', modifiedAt }, bytes);
}
