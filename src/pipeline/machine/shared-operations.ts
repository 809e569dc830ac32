import { notify } from '../../serve/notify.ts';
import type { Operations } from '../operations.ts';
import { nameOf, withMachine, type SiteAccess } from './access.ts';
import { keepKit, readHashesNow, smoke } from './kit-and-smoke.ts';

type SharedOperations = Pick<
  Operations,
  | 'createStaging'
  | 'destroyStaging'
  | 'readKit'
  | 'runSmoke'
  | 'readHashes'
  | 'revert'
  | 'removeSnapshot'
  | 'listSnapshots'
  | 'notify'
>;

/** What is done to machines whatever their database is. */
export function createSharedOperations(access: SiteAccess, note: (line: string) => void): SharedOperations {
  const { site, machines, platform } = access;
  return {
    createStaging: async (step, name) =>
      withMachine(access, 'live', step.signal, async ({ address }) =>
        platform.makeStaging(name, address, step),
      ),
    destroyStaging: async (step, name) => platform.removeStaging(name, step),
    readKit: async (step, source) => keepKit(site, source, step),
    runSmoke: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => smoke(site, machine, step)),
    readHashes: async (signal, kit) => readHashesNow(site, kit, signal),
    revert: async (step, name, snapshot) => {
      await machines.revertSnapshot(nameOf(access, name), snapshot, step.signal);
    },
    removeSnapshot: async (step, name, snapshot) =>
      machines.removeSnapshot(nameOf(access, name), snapshot, step.signal),
    listSnapshots: async (signal, name) =>
      (await machines.listSnapshots(nameOf(access, name), signal)).map((facts) => facts.name),
    notify: async (step, event, text) => {
      const at = new Date().toISOString();
      await notify(site, { event, site: site.name, at, text, details: { step: step.key } }, note);
    },
  };
}
