import { ClonaError } from '../../errors.ts';
import type { SiteAccess } from '../machine/access.ts';
import type { createSharedOperations } from '../machine/shared-operations.ts';
import type { Operations } from '../operations.ts';

type OracleOperations = Omit<Operations, keyof ReturnType<typeof createSharedOperations>>;

/** What is done to machines whose database is Oracle. */
export function createOracleOperations(_access: SiteAccess): OracleOperations {
  return {
    takeBackup: notYet('takeBackup'),
    markRestorePoint: notYet('markRestorePoint'),
    archiveLogTo: notYet('archiveLogTo'),
    observe: notYet('observe'),
    planRestore: notYet('planRestore'),
    restoreIntoStaging: notYet('restoreIntoStaging'),
    fenceStaging: notYet('fenceStaging'),
    proveStaging: notYet('proveStaging'),
    maskStaging: notYet('maskStaging'),
    applyKit: notYet('applyKit'),
    snapshot: notYet('snapshot'),
    reopen: notYet('reopen'),
    closeForUsers: notYet('closeForUsers'),
    drain: notYet('drain'),
    openForUsers: notYet('openForUsers'),
    countLosses: notYet('countLosses'),
    archivedUntil: notYet('archivedUntil'),
    // What only PostgreSQL has: a spool, streams over slots, a server that clona stopped for a cold backup.
    logSpool: async () => null,
    logStreams: async () => [],
    leftSlots: async () => [],
    stoppedLive: async () => null,
  };
}

function notYet(operation: string): () => Promise<never> {
  return async () => {
    throw new ClonaError('usage', `the pipeline does not do ${operation} with Oracle yet`);
  };
}
