import { resolveDatabaseAddress } from '../../site/address.ts';
import { recallOracle } from '../../databases/oracle/site-catalog.ts';
import { connectOracle } from '../../databases/oracle/connect.ts';
import { withMachine, type MachineAccess, type SiteAccess } from '../machine/access.ts';
import type { createSharedOperations } from '../machine/shared-operations.ts';
import type { Operations } from '../operations.ts';
import { archiveLogTo, readArchivedUntil } from './archive-log.ts';
import { backUpLive, isArchiveWhole } from './back-up.ts';
import { fenceMachine } from './fence.ts';
import { installOracleKit } from './kit.ts';
import { maskMachine } from './mask.ts';
import { observeMachine, takeBearing } from './observe.ts';
import { placesOf } from './places.ts';
import { proveStaging } from './prove-staging.ts';
import { planStagingRestore, restoreStaging } from './restore-staging.ts';
import { addressOf } from './sessions.ts';
import { requireSettings } from './settings.ts';
import { removeSnapshot, reopenMachine, revertMachine, takeSnapshot } from './snapshot.ts';
import { closeForUsers, drainSessions, measureLosses, openForUsers } from './users.ts';

type Own = 'revert' | 'removeSnapshot';
type OracleOperations = Omit<Operations, Exclude<keyof ReturnType<typeof createSharedOperations>, Own>>;

/** What is done to machines whose database is Oracle; what is the same for every engine is in `machine/`. */
export function createOracleOperations(access: SiteAccess): OracleOperations {
  const { site, platform } = access;
  const onLive = async <Result>(
    signal: AbortSignal,
    work: (live: MachineAccess) => Promise<Result>,
  ): Promise<Result> => withMachine(access, 'live', signal, work);
  return {
    takeBackup: async (step, _purpose, ifNeeded) => {
      requireSettings(site);
      return onLive(step.signal, async (live) =>
        ifNeeded && (await isArchiveWhole(site, live, step.signal)) ? null : backUpLive(site, live, step),
      );
    },
    markRestorePoint: async (step, name) =>
      onLive(step.signal, async (live) => takeBearing(site, live, name, step)),
    archiveLogTo: async (step, position) =>
      onLive(step.signal, async (live) => archiveLogTo(site, live, position, step)),
    observe: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => observeMachine(site, machine, step.signal)),
    planRestore: async (step, until, measured) => planStagingRestore(access, until, measured, step),
    restoreIntoStaging: async (step, name, until) => restoreStaging(access, name, until, step),
    fenceStaging: async (step, name) => fenceMachine(access, name, step),
    proveStaging: async (step, name, backup, expected) => proveStaging(access, name, backup, expected, step),
    maskStaging: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => maskMachine(site, machine, step)),
    applyKit: async (step, name, kit, staged) =>
      withMachine(access, name, step.signal, async (machine) =>
        installOracleKit(site, machine, kit, staged, step),
      ),
    snapshot: async (step, name, snapshot) => takeSnapshot(access, name, snapshot, step),
    revert: async (step, name, snapshot) => revertMachine(access, name, snapshot, step),
    removeSnapshot: async (step, name, snapshot) => removeSnapshot(access, name, snapshot, step),
    reopen: async (step, name) => reopenMachine(access, name, step),
    closeForUsers: async (step) => {
      // A snapshot that holds a part only would be no way back: nobody is disturbed for it.
      await platform.requireWholeSnapshot(site.machines.live.name, step.signal);
      await onLive(step.signal, async (live) => closeForUsers(site, live, platform.bootsDatabase, step));
    },
    drain: async (step) =>
      onLive(step.signal, async (live) => drainSessions(site, live, site.promotion.drainTimeout, step)),
    openForUsers: async (step) => onLive(step.signal, async (live) => openForUsers(site, live, step)),
    countLosses: async (signal, bearing) =>
      onLive(signal, async (live) =>
        measureLosses(live, bearing, await observeMachine(site, live, signal), signal),
      ),
    archivedUntil: async (signal) => archivedUntil(access, signal),
    // What only PostgreSQL has: a spool, streams over slots, a server that clona stopped for a cold backup.
    logSpool: async () => null,
    logStreams: async () => [],
    leftSlots: async () => [],
    stoppedLive: async () => null,
  };
}

/** As LIVE says it; with LIVE gone as it was last remembered. */
async function archivedUntil(access: SiteAccess, signal: AbortSignal): Promise<string | null> {
  const { site } = access;
  const ask = async (live: Pick<MachineAccess, 'address'>): Promise<string | null> => {
    await using session = await connectOracle(addressOf(live), signal, { module: 'clona status' });
    return await readArchivedUntil(session, new Date());
  };
  try {
    // By the site's own address, which needs no machine that clona knows.
    const given = await resolveDatabaseAddress(site.database);
    return given === undefined
      ? await withMachine(access, 'live', signal, ask)
      : await ask({ address: given });
  } catch {
    signal.throwIfAborted();
    const remembered = await recallOracle(placesOf(site), signal);
    const newest = new Map<number, string>();
    for (const { thread, nextTime } of remembered?.catalog.logs ?? []) {
      if (nextTime !== null && nextTime > (newest.get(thread) ?? '')) newest.set(thread, nextTime);
    }
    return [...newest.values()].sort()[0] ?? null;
  }
}
