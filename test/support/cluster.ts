import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { connect, type Connection } from '../../src/databases/postgres/connect.ts';
import { initCluster } from '../../src/databases/postgres/server-cluster.ts';
import {
  resolveBinaries,
  type PostgresBinaries,
  type RunAs,
} from '../../src/databases/postgres/server-binaries.ts';
import { startServer, stopServer } from '../../src/databases/postgres/server.ts';
import type { ServerSettings } from '../../src/databases/postgres/server-settings.ts';
import { copyCluster } from './cluster-template.ts';
import { makeServerFolder, testRunAs } from './server-folder.ts';

export { majorsAvailable } from '../../src/databases/postgres/server-binaries.ts';
export { makeServerFolder, testRunAs } from './server-folder.ts';

export interface TestClusterOptions {
  /** Default: the embedded binaries. */
  major?: number | undefined;
  settings?: ServerSettings;
  /** Superuser's password for network logins. */
  password?: string;
  /** Also listen on a loopback port of its own. Default false: Unix socket only. */
  tcp?: boolean;
  walSegmentSizeMegabytes?: number;
}

export interface TestCluster extends AsyncDisposable {
  address: DatabaseAddress;
  dataDir: string;
  socketDir: string;
  /** The folder of all of it: spool and archive folders of a test may lie here too (owned by runAs). */
  folder: string;
  binaries: PostgresBinaries;
  runAs: RunAs | undefined;
  /** A session; the caller disposes of it. */
  connect: (database?: string, user?: string) => Promise<Connection>;
  stop: (mode?: 'fast' | 'immediate') => Promise<void>;
  start: (settings?: ServerSettings) => Promise<void>;
  logFile: string;
}

/** A real server with its own folder; disposing kills it and removes everything, whatever state it is in. */
export async function createTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const runAs = testRunAs();
  const binaries = await resolveBinaries({ major: options.major, runAs });
  const folder = await makeServerFolder();
  const dataDir = join(folder, 'data');
  const logFile = join(folder, 'server.log');
  // Each cluster has a socket folder of its own, so the port only names the socket.
  const place = { binaries, dataDir, runAs, socketDir: join(folder, 's'), logFile };
  const address: DatabaseAddress = {
    engine: 'postgres',
    host: place.socketDir,
    port: 5432,
    database: 'postgres',
    user: 'postgres',
  };
  const cluster: TestCluster = {
    address,
    dataDir,
    socketDir: place.socketDir,
    folder,
    binaries,
    runAs,
    logFile,
    connect: async (database = address.database, user = address.user) =>
      connect({ ...address, database, user }),
    stop: async (mode = 'fast') => stopServer({ dataDir, mode }),
    start: async (settings = {}) => startTest(place, settings, options.tcp === true, address),
    [Symbol.asyncDispose]: async () => {
      await stopServer({ dataDir, mode: 'immediate' }).catch(() => {});
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  try {
    const { password, walSegmentSizeMegabytes } = options;
    // What a crash of the host would lose does not matter here, what a crash of the server would lose is kept.
    const settings = { fsync: false, shared_buffers: '16MB', max_wal_size: '256MB', ...options.settings };
    const wanted = { binaries, dataDir, runAs, sync: false, walSegmentSizeMegabytes, settings };
    await (password === undefined ? copyCluster(wanted) : initCluster({ ...wanted, password }));
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function startTest(
  place: Omit<Parameters<typeof startServer>[0], 'listenAddresses'>,
  settings: ServerSettings,
  tcp: boolean,
  address: DatabaseAddress,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const port = tcp ? 20_000 + Math.floor(Math.random() * 40_000) : 5432;
    try {
      await startServer({ ...place, settings, port, listenAddresses: tcp ? '127.0.0.1' : '' });
      address.port = port;
      return;
    } catch (error) {
      const taken = String((error as Error).cause).includes('could not bind');
      if (!tcp || !taken || attempt === 5) throw error;
    }
  }
}
