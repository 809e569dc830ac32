import type { PlanAnswer } from './answer.ts';
import type { Catalog } from './catalog.ts';
import { readCoverage } from './coverage.ts';
import { readLineage, showPath, tracePath } from './lineage.ts';
import { findEnd } from './loss.ts';

/**
 * A6: only the log is lost and the database had been closed cleanly. The datafiles agree with each other, so
 * nothing is restored and nothing is lost; a database that crashed needs a restore as without its online log.
 */
export function planLogOnly(catalog: Catalog): PlanAnswer {
  const path = tracePath(readLineage(catalog), catalog.currentIncarnation);
  const end = findEnd(readCoverage(catalog, path, 'database'));
  return {
    reachable: true,
    target: { incarnation: catalog.currentIncarnation, until: end?.cutEnd ?? null },
    backup: null,
    logs: [],
    usesOnlineLog: false,
    resetDatabaseToIncarnation: null,
    opensNewIncarnation: true,
    redoFrom: null,
    redoTo: null,
    loss: { positions: 0n, from: null, to: null },
    steps: stepsByEngine[catalog.engine],
    rejected: [],
    nearest: { below: null, above: null },
    chosenBecause: ['the datafiles were closed cleanly: they are complete, no backup is needed'],
    warnings: ['no backup taken before can be rolled forward past this point: the log in between is lost'],
    changesWithoutRedo: [],
    path: showPath(path),
  };
}

const stepsByEngine: Readonly<Record<Catalog['engine'], string[]>> = {
  oracle: [
    'copy the datafiles and the control file as they are to another disk: what follows cannot be undone',
    'prove that the database was closed cleanly: every datafile has the same checkpoint SCN and none is fuzzy (V$DATAFILE_HEADER)',
    'STARTUP MOUNT; RECOVER DATABASE UNTIL CANCEL, answered by CANCEL at once: nothing has to be applied',
    'ALTER DATABASE OPEN RESETLOGS: new, empty online logs; a new incarnation; nothing is lost',
    'take a backup at once: the earlier ones end where the lost log begins',
  ],
  postgres: [
    'copy the data directory as it is to another disk: what follows cannot be undone',
    'prove that the server was shut down cleanly: pg_controldata says "shut down"; anything else is a crash',
    'pg_resetwal without --force (it refuses when the server was not shut down cleanly): a new, empty log; nothing is lost',
    'start the server, check, and let it archive to a new place or timeline',
    'take a backup at once: the earlier ones end where the lost log begins',
  ],
};
