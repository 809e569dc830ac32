import { stat } from 'node:fs/promises';
import type { DatabaseAddress } from '../databases/database.ts';
import { findLocalDataDir } from '../databases/postgres/cluster-source.ts';
import type { ColdCluster } from '../databases/postgres/cold/cluster.ts';
import { openLocalCluster } from '../databases/postgres/cold/local-cluster.ts';
import { restartStopped } from '../databases/postgres/cold/while-stopped.ts';
import { startGuestServer, stopGuestServer } from '../databases/postgres/guest-server.ts';
import { ClonaError } from '../errors.ts';
import { resolveDatabaseAddress } from '../site/address.ts';
import type { Site } from '../site/site.ts';
import { withMachine, type MachineAccess } from './machine/access.ts';
import { openAccess } from './open-access.ts';
import { postgresDoor, withServer } from './postgres/server.ts';

/** Production as a cluster that can be stopped and copied: by its data directory, else by its machine. */
export async function openProductionCluster(
  site: Site,
  signal: AbortSignal,
  given?: string,
): Promise<{ cluster: ColdCluster; address: DatabaseAddress }> {
  const address = await resolveDatabaseAddress(site.database);
  if (address === undefined) return openMachineCluster(site, signal);
  const dataDir = given ?? site.database.dataDir ?? (await askDataDir(address, signal));
  return { cluster: await openLocalCluster(dataDir, site.database.service), address };
}

/** The files of a local machine lie on this host; its server is stopped and started as the machine itself would. */
async function openMachineCluster(
  site: Site,
  signal: AbortSignal,
): Promise<{ cluster: ColdCluster; address: DatabaseAddress }> {
  if (site.machines.platform !== 'local') {
    throw new ClonaError(
      'usage',
      "a cold backup reads the database's files, and they are on another machine",
      {
        hint: 'run clona there with database.host and database.dataDir; from here take --kind quiesced',
      },
    );
  }
  const access = await openAccess(site);
  const within = async <Result>(
    run: AbortSignal,
    work: (live: MachineAccess) => Promise<Result>,
  ): Promise<Result> => withMachine(access, 'live', run, work);
  return within(signal, async ({ address, door, facts }) => {
    const { binaries, dataDir } = postgresDoor(door).server;
    const { uid, gid } = await stat(facts.dataDisk);
    return {
      address,
      cluster: {
        dataDir,
        owner: process.getuid?.() === 0 ? { uid, gid } : undefined,
        binaries,
        stop: async (stop) =>
          within(stop, async (live) =>
            withServer(live, stop, async (_guest, server) => stopGuestServer(server, 'fast', stop)),
          ),
        start: async (start) =>
          within(start, async (live) =>
            withServer(live, start, async (_guest, server) => startGuestServer(server, { signal: start })),
          ),
      },
    };
  });
}

/** Where the server says its files are, which only a running one does. Throws where they are not on this host. */
export async function askDataDir(address: DatabaseAddress, signal: AbortSignal): Promise<string> {
  const hint =
    'run clona on the host of the database, and say where its files are while it is down: database.dataDir, or --data-dir';
  const found = await findLocalDataDir(address, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new ClonaError(
      'databaseFailed',
      'the database does not answer, and nothing says where its files are',
      {
        cause: error,
        hint,
      },
    );
  });
  if (found !== undefined) return found;
  throw new ClonaError(
    'databaseFailed',
    "a cold backup reads the database's files, and they are not on this host",
    {
      hint: `${hint}; from another host take --kind quiesced`,
    },
  );
}

/** Starts production again where a killed cold backup left it stopped; says so, else null. Throws `locked` while one is at work. */
export async function restartProduction(site: Site, signal: AbortSignal): Promise<string | null> {
  const { location } = site.archive;
  // Before the first backup there is no archive, and no note in it.
  if ((await stat(location).catch(() => undefined)) === undefined) return null;
  const open = async (dataDir: string): Promise<ColdCluster> =>
    (await resolveDatabaseAddress(site.database)) === undefined
      ? (await openMachineCluster(site, signal)).cluster
      : openLocalCluster(dataDir, site.database.service);
  return (await restartStopped(location, open, signal)) ?? null;
}
