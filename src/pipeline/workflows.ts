import { DBOS } from '@dbos-inc/dbos-sdk';
import { promoteWorkflow } from './promote.ts';
import { refreshWorkflow } from './refresh.ts';
import { releaseWorkflow } from './release.ts';
import { rollbackWorkflow } from './rollback.ts';
import { owned } from './worker.ts';

/** The durable workflows by the names under which they wait in the control database: names that never change. */
export const workflows = {
  refresh: DBOS.registerWorkflow(owned(refreshWorkflow), { name: 'refresh' }),
  release: DBOS.registerWorkflow(owned(releaseWorkflow), { name: 'release' }),
  promote: DBOS.registerWorkflow(owned(promoteWorkflow), { name: 'promote' }),
  rollback: DBOS.registerWorkflow(owned(rollbackWorkflow), { name: 'rollback' }),
};
