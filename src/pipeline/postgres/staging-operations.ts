import type { Operations } from '../operations.ts';
import { withMachine, type SiteAccess } from '../machine/access.ts';
import { fenceMachine } from './fence.ts';
import { maskMachine } from './mask.ts';
import { proveStaging } from './prove-staging.ts';
import { planStagingRestore, restoreStaging } from './restore-staging.ts';

type StagingOperations = Pick<
  Operations,
  'planRestore' | 'restoreIntoStaging' | 'fenceStaging' | 'proveStaging' | 'maskStaging'
>;

/** What a refresh does to LIVE STAGING. */
export function createStagingOperations(access: SiteAccess): StagingOperations {
  const { site } = access;
  return {
    planRestore: async (step, until, measured) => planStagingRestore(access, until, measured, step),
    restoreIntoStaging: async (step, name, until) => restoreStaging(access, name, until, step),
    fenceStaging: async (step, name) => fenceMachine(access, name, step),
    proveStaging: async (step, name, backup, expected) => proveStaging(access, name, backup, expected, step),
    maskStaging: async (step, name) =>
      withMachine(access, name, step.signal, async (machine) => maskMachine(site, machine, step)),
  };
}
