import { connect } from '../../databases/postgres/connect.ts';
import { readStoppedNote } from '../../databases/postgres/cold/stopped-note.ts';
import { readNewestArchivedAt } from '../../archive/log-file.ts';
import { readMirrorStatus } from '../../archive/log-mirror.ts';
import { openArchive } from '../../archive/repository.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { resolveDatabaseAddress } from '../../site/address.ts';
import { findLeftSlots } from '../left-slots.ts';
import { readLogStreams, streamsLog } from '../log-streams.ts';
import type { Operations } from '../operations.ts';
import { withMachine, type MachineAccess, type SiteAccess } from '../machine/access.ts';
import { runUserSteps } from '../machine/user-steps.ts';
import { archiveLog, backUpLive, measureLiveSpool } from './live-archive.ts';
import { archiveLogWithoutMirror, requireMirror } from './mirror-away.ts';
import { observeMachine, takeBearing } from './observe.ts';
import { isArchiveWhole } from './restore-staging.ts';
import { drainSessions, measureLosses, userSqlOn } from './users.ts';

type LiveOperations = Pick<
  Operations,
  | 'takeBackup'
  | 'markRestorePoint'
  | 'archiveLogTo'
  | 'closeForUsers'
  | 'drain'
  | 'openForUsers'
  | 'countLosses'
  | 'archivedUntil'
  | 'logSpool'
  | 'logStreams'
  | 'leftSlots'
  | 'stoppedLive'
>;

/** What is done to LIVE and its archive. */
export function createLiveOperations(access: SiteAccess): LiveOperations {
  const { site, platform } = access;
  const onLive = async <Result>(
    signal: AbortSignal,
    work: (machine: MachineAccess) => Promise<Result>,
  ): Promise<Result> => withMachine(access, 'live', signal, work);
  return {
    takeBackup: async (step, _purpose, ifNeeded) =>
      onLive(step.signal, async ({ address }) =>
        ifNeeded && (await isArchiveWhole(access, step.signal)) ? null : backUpLive(site, address, step),
      ),
    markRestorePoint: async (step, name) =>
      onLive(step.signal, async (live) => takeBearing(site, live, name, step.signal)),
    archiveLogTo: async (step, _position, purpose = 'promotion') =>
      onLive(step.signal, async ({ address }) => {
        if (purpose === 'promotion') await requireMirror(site, address, step.signal);
        return purpose === 'refresh' || site.archive.acceptMirrorAway !== undefined
          ? archiveLogWithoutMirror(site, address, step)
          : { archivedTo: await archiveLog(site, address, step) };
      }),
    closeForUsers: async (step) => {
      // A snapshot that holds a part only would be no way back: nobody is disturbed for it.
      await platform.requireWholeSnapshot(site.machines.live.name, step.signal);
      await onLive(step.signal, async (live) => {
        await requireMirror(site, live.address, step.signal);
        return runUserSteps(live, site.promotion.closeForUsers, userSqlOn(live), step);
      });
    },
    drain: async (step) =>
      onLive(step.signal, async (live) => drainSessions(live, site.promotion.drainTimeout, step)),
    openForUsers: async (step) =>
      onLive(step.signal, async (live) =>
        runUserSteps(live, site.promotion.openForUsers, userSqlOn(live), step),
      ),
    countLosses: async (signal, bearing) =>
      onLive(signal, async (live) =>
        measureLosses(live, bearing, await observeMachine(site, live, signal), signal),
      ),
    archivedUntil: async (signal) => readArchivedUntil(access, signal),
    logStreams: async (signal) => readLogStreams(site, signal, new Date()),
    leftSlots: async (signal) => findLeftSlots(site, signal),
    stoppedLive: async () => {
      const found = await readStoppedNote(site.archive.location);
      if (found === undefined) return null;
      const { label, dataDir, at } = found.note;
      return { label, dataDir, at, isWorking: found.isWorking };
    },
    logSpool: async (signal) =>
      withLive(access, signal, async (address) => measureLiveSpool(address, signal)),
  };
}

/** Changes nothing, so a folder without an archive gets none. With LIVE gone the archive itself says what it has. */
async function readArchivedUntil(access: SiteAccess, signal: AbortSignal): Promise<string | null> {
  const archive = await openArchive(access.site.archive.location);
  const mirrored = (await readMirrorStatus(archive))?.caughtUpAt ?? null;
  // What such a LIVE archives by itself goes to no archive of ours.
  if (streamsLog(access.site)) return mirrored ?? (await readNewestArchivedAt(archive.folder));
  const live = await withLive(access, signal, async (address) => readHandedOver(address, signal)).catch(
    () => {
      signal.throwIfAborted();
      return null;
    },
  );
  // The server forgets it with a crash or a reverted snapshot.
  const archived = live?.archivedAt ?? (await readNewestArchivedAt(archive.folder));
  const handedOver = [archived, live?.waitingSince ?? null].filter((time) => time !== null);
  const times = [mirrored, handedOver.sort().at(0) ?? null].filter((time) => time !== null);
  return times.sort().at(-1) ?? null;
}

/** What the server calls archived lies in the spool first: what waits there would be lost with LIVE. */
async function readHandedOver(
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<{ archivedAt: string | null; waitingSince: string | null }> {
  await using session = await connect(address, signal, { applicationName: 'clona status' });
  const [row] = await session.query<{ at: Date | null }>(
    'select last_archived_time as at from pg_stat_archiver',
  );
  const waiting = (await measureLiveSpool(address, signal).catch(() => null))?.oldestAt ?? null;
  return { archivedAt: row?.at?.toISOString() ?? null, waitingSince: waiting };
}

/** By the site's own address, which needs no machine that clona knows, else by the machine. */
async function withLive<Result>(
  access: SiteAccess,
  signal: AbortSignal,
  work: (address: DatabaseAddress) => Promise<Result>,
): Promise<Result> {
  const given = await resolveDatabaseAddress(access.site.database);
  if (given !== undefined) return work(given);
  return withMachine(access, 'live', signal, async ({ address }) => work(address));
}
