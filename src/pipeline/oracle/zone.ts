import { connectOracle } from '../../databases/oracle/connect.ts';
import { readServerLogs } from '../../databases/oracle/remove-by-rman.ts';
import { withinReachOfRman, type ServerLog } from '../../databases/oracle/rman-removal.ts';
import type { OracleCatalog } from '../../databases/oracle/site-catalog.ts';
import { ClonaError } from '../../errors.ts';
import { blockingKinds } from '../../retention/zone.ts';
import type { RemovalStep } from '../../retention/removal.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess, SiteAccess } from '../machine/access.ts';
import { decideKeeping, noBackupNow, whatIfBackup } from '../zone-facts.ts';
import { measureOrLess } from '../zone-measure.ts';
import type { ZoneEngine, ZoneView } from '../zone-turn.ts';
import { readAndRemember } from './places.ts';
import { reachLive, type OnLive } from './reach-live.ts';
import { addressOf } from './sessions.ts';
import { findMovable, zoneWork } from './zone-work.ts';

export async function createOracleZone(site: Site, access?: SiteAccess): Promise<ZoneEngine> {
  const onLive = await reachLive(site, access);
  return {
    // RMAN leaves the pieces of a backup that it gave up.
    triedOnce: ['force-backup', ...blockingKinds],
    measure: async (signal) =>
      orWithout(
        signal,
        async () => onLive(signal, async (live) => measureOrLess(site, addressOf(live), signal)),
        async () => measureOrLess(site, undefined, signal),
      ),
    view: async (signal) =>
      orWithout(
        signal,
        async () => onLive(signal, async (live) => viewLive(site, live, onLive, signal)),
        async () => nothingMayGo(site, onLive),
      ),
  };
}

/** A machine or a server that does not answer hinders what it is needed for, no more; one that refuses us is an error. */
async function orWithout<Result>(
  signal: AbortSignal,
  work: () => Promise<Result>,
  otherwise: () => Promise<Result>,
): Promise<Result> {
  return work().catch(async (error: unknown) => {
    signal.throwIfAborted();
    if (!(error instanceof ClonaError) || error.exitCode !== 6) throw error;
    return otherwise();
  });
}

/** By what is remembered alone nothing is removed: what RMAN has deleted meanwhile is not in it. */
function nothingMayGo(site: Site, onLive: OnLive): ZoneView {
  const facts = { obsoleteBytes: 0, movableLogBytes: 0, backupNow: noBackupNow };
  const work = zoneWork(site, onLive, undefined);
  return { removal: [], lowWaterMarks: [], facts, work };
}

/** The control file with what is remembered; sizes as the server has them. */
async function viewLive(
  site: Site,
  live: MachineAccess,
  onLive: OnLive,
  signal: AbortSignal,
): Promise<ZoneView> {
  const found = await readAndRemember(site, live, signal);
  if (found.readAt === undefined) return nothingMayGo(site, onLive);
  await using session = await connectOracle(addressOf(live), signal, { module: 'clona zone' });
  const serverLogs = await readServerLogs(session);
  return await judge(site, found, serverLogs, onLive);
}

async function judge(
  site: Site,
  found: OracleCatalog,
  serverLogs: readonly ServerLog[],
  onLive: OnLive,
): Promise<ZoneView> {
  const { catalog, facts } = found;
  const policy = site.archive.retention;
  const reach = (steps: readonly RemovalStep[]): ReturnType<typeof withinReachOfRman> =>
    withinReachOfRman(steps, catalog, facts, serverLogs);
  const { removal: obsolete, lowWaterMarks } = decideKeeping(catalog, policy);
  const { steps: removal, bytes: obsoleteBytes } = reach(obsolete);
  // The pipeline's backup by RMAN is read again: grade 2.
  const like = { kind: 'managed', grade: 2 } as const;
  const backupNow = await whatIfBackup(catalog, policy, like, obsoleteBytes, (steps) => reach(steps).bytes);
  // PLUS ARCHIVELOG takes them along, compressed to half of it at worst.
  const leftLogBytes =
    serverLogs.reduce((sum, { bytes }) => sum + bytes, 0) - logBytesOf(removal, serverLogs);
  const needsBytes = backupNow.needsBytes + leftLogBytes;
  const raisesMark = backupNow.freesBytes > backupNow.needsBytes + leftLogBytes / 2;
  const movableLogBytes = findMovable(found, serverLogs).reduce((sum, { bytes }) => sum + bytes, 0);
  const datafiles = facts.datafiles.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    removal,
    lowWaterMarks,
    facts: {
      obsoleteBytes,
      movableLogBytes,
      backupNow: { ...backupNow, needsBytes, raisesMark, area: 'log' },
      quiescedNow: { needsBytes: datafiles, area: 'archive' },
    },
    work: zoneWork(site, onLive, found),
  };
}

function logBytesOf(steps: readonly RemovalStep[], serverLogs: readonly ServerLog[]): number {
  const going = new Set(
    steps.flatMap((step) => (step.kind === 'log' ? [`${step.log.thread}/${step.log.sequence}`] : [])),
  );
  return serverLogs
    .filter(({ thread, sequence }) => going.has(`${thread}/${sequence}`))
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
