import { connect } from '../../databases/postgres/connect.ts';
import { readMirrorStatus } from '../../archive/log-mirror.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { resolveDatabaseAddress } from '../../site/address.ts';
import { readLogStreams } from '../log-streams.ts';
import type { Operations } from '../operations.ts';
import { accessMachine, type SiteAccess } from './access.ts';
import { archiveLog, backUpLive, measureLiveSpool, openSiteArchive } from './live-archive.ts';
import { observeMachine, takeBearing } from './observe.ts';
import { isArchiveWhole } from './restore-staging.ts';
import { drainSessions, measureLosses, runUserSteps } from './users.ts';

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
>;

/** What is done to LIVE and its archive. */
export function createLiveOperations(access: SiteAccess): LiveOperations {
  const { site } = access;
  return {
    takeBackup: async (step, _purpose, ifNeeded) => {
      const { address } = await accessMachine(access, 'live', step.signal);
      if (ifNeeded && (await isArchiveWhole(access, step.signal))) return null;
      return backUpLive(site, address, step);
    },
    markRestorePoint: async (step, name) =>
      takeBearing(site, await accessMachine(access, 'live', step.signal), name, step.signal),
    archiveLogTo: async (step) => {
      const { address } = await accessMachine(access, 'live', step.signal);
      return { archivedTo: await archiveLog(site, address, step) };
    },
    closeForUsers: async (step) =>
      runUserSteps(await accessMachine(access, 'live', step.signal), site.promotion.closeForUsers, step),
    drain: async (step) =>
      drainSessions(await accessMachine(access, 'live', step.signal), site.promotion.drainTimeout, step),
    openForUsers: async (step) =>
      runUserSteps(await accessMachine(access, 'live', step.signal), site.promotion.openForUsers, step),
    countLosses: async (signal, bearing) => {
      const machine = await accessMachine(access, 'live', signal);
      return measureLosses(machine, bearing, await observeMachine(site, machine, signal), signal);
    },
    archivedUntil: async (signal) => {
      const address = await findLive(access, signal);
      const { archive } = await openSiteArchive(site, address, signal);
      const mirrored = (await readMirrorStatus(archive))?.caughtUpAt ?? null;
      await using session = await connect(address, signal, { applicationName: 'clona status' });
      const [row] = await session.query<{ at: Date | null }>(
        'select last_archived_time as at from pg_stat_archiver',
      );
      // What the server calls archived lies in the spool first: what waits there would be lost with LIVE.
      const waiting = (await measureLiveSpool(address, signal).catch(() => null))?.oldestAt ?? null;
      const handedOver = [row?.at?.toISOString() ?? null, waiting].filter((time) => time !== null);
      const times = [mirrored, handedOver.sort().at(0) ?? null].filter((time) => time !== null);
      return times.sort().at(-1) ?? null;
    },
    logStreams: async (signal) => readLogStreams(site, signal, new Date()),
    logSpool: async (signal) => measureLiveSpool(await findLive(access, signal), signal),
  };
}

/** By the site's own address, which needs no machine that clona knows, else by the machine. */
async function findLive(access: SiteAccess, signal: AbortSignal): Promise<DatabaseAddress> {
  const given = await resolveDatabaseAddress(access.site.database);
  return given ?? (await accessMachine(access, 'live', signal)).address;
}
