import { connect } from '../../databases/postgres/connect.ts';
import { startGuestServer } from '../../databases/postgres/guest-server.ts';
import { silent } from '../../progress.ts';
import type { Operations, SnapshotTaken } from '../operations.ts';
import { nameOf, requireDatabaseHere, withMachine, type SiteAccess } from '../machine/access.ts';
import { installKit } from '../machine/kit-and-smoke.ts';
import { observeMachine } from './observe.ts';
import { reopenServer } from './reopen.ts';
import { withServer } from './server.ts';
import { withStartLock } from './start-lock.ts';

type MachineOperations = Pick<Operations, 'observe' | 'applyKit' | 'snapshot' | 'reopen'>;

/** What is done alike to LIVE and to staging: the rollback that is rehearsed is the one that will run. */
export function createMachineOperations(access: SiteAccess): MachineOperations {
  const { site, machines, platform } = access;
  const { location, mirror } = site.archive;
  const archiveFolders = [location, ...(mirror === undefined ? [] : [mirror])];
  return {
    observe: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => observeMachine(site, machine, step.signal)),
    applyKit: async (step, name, kit, staged) =>
      withMachine(access, name, step.signal, async (machine) =>
        installKit(machine, { database: machine.address }, kit, staged, step),
      ),
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
    reopen: async (step, name) => {
      await platform.start(nameOf(access, name), step);
      return withMachine(access, name, step.signal, async (machine) =>
        reopenServer(machine, archiveFolders, step),
      );
    },
  };
}

/** Starts a machine and its database with the database's own configuration; both up already: nothing happens. */
export async function startMachine(access: SiteAccess, name: string, signal: AbortSignal): Promise<void> {
  await access.platform.start(nameOf(access, name), { signal, onProgress: silent });
  await withMachine(access, name, signal, async (machine) =>
    withServer(machine, signal, async (_guest, server) => startGuestServer(server, { signal })),
  );
}
