import type { Operations } from '../operations.ts';
import { withMachine, type SiteAccess } from './access.ts';
import { fenceMachine } from './fence.ts';
import { maskMachine } from './mask.ts';
import { proveStaging } from './prove-staging.ts';
import { planStagingRestore, restoreStaging } from './restore-staging.ts';

type StagingOperations = Pick<
  Operations,
  | 'planRestore'
  | 'createStaging'
  | 'destroyStaging'
  | 'restoreIntoStaging'
  | 'fenceStaging'
  | 'proveStaging'
  | 'maskStaging'
>;

/** What a refresh does to LIVE STAGING. */
export function createStagingOperations(access: SiteAccess): StagingOperations {
  const { site, platform } = access;
  return {
    planRestore: async (step, until, measured) => planStagingRestore(access, until, measured, step),
    createStaging: async (step, name) =>
      withMachine(access, 'live', step.signal, async ({ address }) =>
        platform.makeStaging(name, address, step),
      ),
    destroyStaging: async (step, name) => platform.removeStaging(name, step),
    restoreIntoStaging: async (step, name, until) => restoreStaging(access, name, until, step),
    fenceStaging: async (step, name) => fenceMachine(access, name, step),
    proveStaging: async (step, name, backup, expected) => proveStaging(access, name, backup, expected, step),
    maskStaging: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => maskMachine(site, machine, step)),
  };
}
