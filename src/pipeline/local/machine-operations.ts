import { connect } from '../../databases/postgres/connect.ts';
import { startGuestServer } from '../../databases/postgres/guest-server.ts';
import { notify } from '../../serve/notify.ts';
import type { Operations } from '../operations.ts';
import { accessMachine, nameOf, requireDatabaseHere, withGuest, type SiteAccess } from './access.ts';
import { installKit, keepKit, readHashesNow, smoke } from './kit-and-smoke.ts';
import { observeMachine } from './observe.ts';
import { reopenServer } from './reopen.ts';

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
  const { site, machines } = access;
  const { location, mirror } = site.archive;
  const archiveFolders = [location, ...(mirror === undefined ? [] : [mirror])];
  return {
    observe: async (step, name) =>
      observeMachine(site, await accessMachine(access, name, step.signal), step.signal),
    readKit: async (step, source) => keepKit(site, source, step),
    applyKit: async (step, name, kit, staged) =>
      installKit(await accessMachine(access, name, step.signal), kit, staged, step),
    runSmoke: async (step, name) => smoke(site, await accessMachine(access, name, step.signal), step),
    readHashes: async (signal, kit) => readHashesNow(site, kit, signal),
    snapshot: async (step, name, snapshot) => {
      const machine = await accessMachine(access, name, step.signal);
      requireDatabaseHere(machine);
      // What the snapshot has to recover from is then little.
      await using session = await connect(machine.address, step.signal, {
        applicationName: 'clona snapshot',
      });
      await session.query('checkpoint');
      return await machines.createSnapshot(nameOf(access, name), snapshot, step.signal);
    },
    revert: async (step, name, snapshot) => {
      await machines.revertSnapshot(nameOf(access, name), snapshot, step.signal);
    },
    removeSnapshot: async (step, name, snapshot) =>
      machines.removeSnapshot(nameOf(access, name), snapshot, step.signal),
    listSnapshots: async (signal, name) =>
      (await machines.listSnapshots(nameOf(access, name), signal)).map((facts) => facts.name),
    reopen: async (step, name) => {
      await machines.powerOn(nameOf(access, name), step.signal);
      return reopenServer(await accessMachine(access, name, step.signal), archiveFolders, step);
    },
    notify: async (step, event, text) => {
      const at = new Date().toISOString();
      await notify(site, { event, site: site.name, at, text, details: { step: step.key } }, note);
    },
  };
}

/** Starts a machine and its database with the database's own configuration; both up already: nothing happens. */
export async function startMachine(access: SiteAccess, name: string, signal: AbortSignal): Promise<void> {
  await access.machines.powerOn(nameOf(access, name), signal);
  const machine = await accessMachine(access, name, signal);
  await withGuest(machine, signal, async (_guest, server) => startGuestServer(server, { signal }));
}
