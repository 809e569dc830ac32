import type { Operations } from '../operations.ts';
import { accessMachine, type SiteAccess } from './access.ts';
import { fenceMachine } from './fence.ts';
import { maskMachine } from './mask.ts';
import { proveStaging } from './prove-staging.ts';
import { planStagingRestore, restoreStaging } from './restore-staging.ts';
import { makeStaging, removeStaging, type StagingEngine } from './staging-machine.ts';

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
export function createStagingOperations(access: SiteAccess, engine: StagingEngine): StagingOperations {
  const { site } = access;
  return {
    planRestore: async (step, until, measured) => planStagingRestore(access, until, measured, step),
    createStaging: async (step, name) => makeStaging(access, engine, name, step),
    destroyStaging: async (step, name) => removeStaging(access, engine, name, step),
    restoreIntoStaging: async (step, name, until) => restoreStaging(access, name, until, step),
    fenceStaging: async (step, name) => fenceMachine(access, name, step),
    proveStaging: async (step, name, backup, expected) => proveStaging(access, name, backup, expected, step),
    maskStaging: async (step, name) =>
      maskMachine(site, await accessMachine(access, name, step.signal), step),
  };
}
