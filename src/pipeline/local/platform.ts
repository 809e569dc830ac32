import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { resolveBinaries } from '../../databases/postgres/server-binaries.ts';
import { openLocalPlace } from '../../databases/postgres/restore/place/local-place.ts';
import { openLocalMachines } from '../../machines/local/local-machines.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import type { Site } from '../../site/site.ts';
import type { MachineDoor, Platform } from '../machine/platform.ts';
import type { StagingEngine } from './staging-machine.ts';

/** Machines that are folders and processes of this host. */
export function openLocalPlatform(site: Site, engine: StagingEngine): Platform {
  const machines = openLocalMachines({ root: site.machines.root });
  return {
    machines,
    bootsDatabase: false,
    start: async (name, { signal }) => machines.powerOn(name, signal),
    openDoor: async (facts) => openLocalDoor(site, facts),
    // Beside the machine's own database there is no way to tell.
    holdsDatabase: async () => false,
    requireWholeSnapshot: async () => {},
    findRoutes: async () => [],
    makeStaging: async (name, database, work) => {
      const { makeStaging } = await import('./staging-machine.ts');
      return makeStaging(site, engine, name, database, work);
    },
    removeStaging: async (name, work) => {
      const { removeStaging } = await import('./staging-machine.ts');
      await removeStaging({ site, machines }, engine, name, work);
    },
    // A clone's data disk is empty from the beginning.
    clearForRestore: async () => {},
  };
}

/** The guest sees the host's paths, and the host reaches its sockets. */
async function openLocalDoor({ database }: Site, facts: MachineFacts): Promise<MachineDoor> {
  const { uid, gid } = await stat(facts.dataDisk);
  const runAs = process.getuid?.() === 0 ? { uid, gid } : undefined;
  const binaries = await resolveBinaries({
    ...(database.binDir === undefined ? {} : { binDir: database.binDir }),
    ...(database.embedded === undefined ? {} : { major: database.embedded }),
    runAs,
  });
  const { host: socketDir, port } = facts.database;
  return {
    address: facts.database,
    verify: async () => {},
    postgres: {
      server: { binaries, dataDir: join(facts.dataDisk, 'pg'), socketDir, port },
      openPlanned: async (workers, signal) => {
        const place = openLocalPlace({ binaries, runAs, workers, signal });
        return {
          place,
          // A folder that is never made, beside the machine's: the same file system, reachable for the same kind of user.
          target: join(dirname(dirname(facts.dataDisk)), '.planned', 'pg'),
          replace: false,
          [Symbol.asyncDispose]: async () => place[Symbol.asyncDispose](),
        };
      },
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
