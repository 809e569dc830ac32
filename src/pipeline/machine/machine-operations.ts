import { connect } from '../../databases/postgres/connect.ts';
import { startGuestServer } from '../../databases/postgres/guest-server.ts';
import { silent } from '../../progress.ts';
import { notify } from '../../serve/notify.ts';
import type { Operations, SnapshotTaken } from '../operations.ts';
import { nameOf, requireDatabaseHere, withGuest, withMachine, type SiteAccess } from './access.ts';
import { installKit, keepKit, readHashesNow, smoke } from './kit-and-smoke.ts';
import { observeMachine } from './observe.ts';
import { reopenServer } from './reopen.ts';
import { withStartLock } from './start-lock.ts';

type MachineOperations = Pick<
  Operations,
  | 'observe'
  | 'readKit'
  | 'applyKit'
  | 'runSmoke'
  | 'readHashes'
  | 'snapshot'
  | 'revert'
  | 'removeSnapshot'
  | 'listSnapshots'
  | 'reopen'
  | 'notify'
>;

/** What is done alike to LIVE and to staging: the rollback that is rehearsed is the one that will run. */
export function createMachineOperations(access: SiteAccess, note: (line: string) => void): MachineOperations {
  const { site, machines, platform } = access;
  const { location, mirror } = site.archive;
  const archiveFolders = [location, ...(mirror === undefined ? [] : [mirror])];
  return {
    observe: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => observeMachine(site, machine, step.signal)),
    readKit: async (step, source) => keepKit(site, source, step),
    applyKit: async (step, name, kit, staged) =>
      withMachine(access, name, step.signal, async (machine) => installKit(machine, kit, staged, step)),
    runSmoke: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => smoke(site, machine, step)),
    readHashes: async (signal, kit) => readHashesNow(site, kit, signal),
    snapshot: async (step, name, snapshot) => {
      await platform.requireWholeSnapshot(nameOf(access, name), step.signal);
      return withMachine(access, name, step.signal, async (machine) => {
        requireDatabaseHere(machine);
        // What the snapshot has to recover from is then little.
        await using session = await connect(machine.address, step.signal, {
          applicationName: 'clona snapshot',
        });
        await session.query('checkpoint');
        const take = async (): Promise<SnapshotTaken> =>
          machines.createSnapshot(nameOf(access, name), snapshot, step.signal);
        return platform.bootsDatabase ? await withStartLock(machine, step.signal, take) : await take();
      });
    },
    revert: async (step, name, snapshot) => {
      await machines.revertSnapshot(nameOf(access, name), snapshot, step.signal);
    },
    removeSnapshot: async (step, name, snapshot) =>
      machines.removeSnapshot(nameOf(access, name), snapshot, step.signal),
    listSnapshots: async (signal, name) =>
      (await machines.listSnapshots(nameOf(access, name), signal)).map((facts) => facts.name),
    reopen: async (step, name) => {
      await platform.start(nameOf(access, name), step);
      return withMachine(access, name, step.signal, async (machine) =>
        reopenServer(machine, archiveFolders, step),
      );
    },
    notify: async (step, event, text) => {
      const at = new Date().toISOString();
      await notify(site, { event, site: site.name, at, text, details: { step: step.key } }, note);
    },
  };
}

/** Starts a machine and its database with the database's own configuration; both up already: nothing happens. */
export async function startMachine(access: SiteAccess, name: string, signal: AbortSignal): Promise<void> {
  await access.platform.start(nameOf(access, name), { signal, onProgress: silent });
  await withMachine(access, name, signal, async (machine) =>
    withGuest(machine, signal, async (_guest, server) => startGuestServer(server, { signal })),
  );
}
