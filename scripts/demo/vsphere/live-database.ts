import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import { resolveBinaries, type PostgresBinaries } from '../../../src/databases/postgres/server-binaries.ts';
import { initCluster } from '../../../src/databases/postgres/server-cluster.ts';
import type { ServerSettings } from '../../../src/databases/postgres/server-settings.ts';
import { openGuest } from '../../../src/guest/open.ts';
import type { GuestAddress } from '../../../src/guest/guest.ts';
import { guestAddress } from './guests.ts';
import type { SimulatedVsphere } from './simulated-vsphere.ts';

export interface LiveDatabase {
  /** For the site file: as the guests see them. */
  binDir: string;
  socketDir: string;
  guest: GuestAddress;
  /** As people at work reach it, from this host. */
  address: DatabaseAddress;
  binaries: PostgresBinaries;
}

/**
 * PostgreSQL on the data disk of a simulated VM that is on: started by its boot script, as a service is, so that every
 * clone and every reverted machine would start it by itself, too.
 */
export async function installDatabase(
  world: SimulatedVsphere,
  vm: string,
  settings: ServerSettings,
  signal: AbortSignal,
): Promise<LiveDatabase> {
  const { guests } = world;
  const id = await world.guestOf(vm);
  const owner = { uid: guests.uid, gid: guests.uid };
  const binaries = await resolveBinaries({ runAs: owner });
  const data = guests.disk(id, 'data');
  await initCluster({
    binaries,
    dataDir: join(data, 'pg'),
    runAs: owner,
    sync: false,
    signal,
    // A small firm's log: a segment is archived whole, however little is in it.
    walSegmentSizeMegabytes: 1,
    settings: {
      // Guests have no network of their own, not even loopback.
      listen_addresses: '',
      shared_buffers: '16MB',
      max_slot_wal_keep_size: '1GB',
      ...settings,
    },
  });
  await mkdir(join(data, 'run'), { mode: 0o700 });
  await chown(join(data, 'run'), owner.uid, owner.gid);
  const boot = join(guests.disk(id, 'system'), 'boot');
  await writeFile(boot, bootScript(binaries, guests.dataDisk), { mode: 0o755 });
  await chown(boot, owner.uid, owner.gid);
  const guest = await guestAddress(guests, id);
  await using opened = await openGuest(guest, signal);
  const { exitCode, stderr } = await opened.runShell(`sh ${guests.systemDisk}/boot`, { signal });
  if (exitCode !== 0) throw new Error(`the database of ${vm} does not start: ${stderr}`);
  return {
    binDir: binaries.binDir,
    socketDir: join(guests.dataDisk, 'run'),
    guest,
    address: {
      engine: 'postgres',
      host: join(data, 'run'),
      port: 5432,
      database: 'postgres',
      user: 'postgres',
    },
    binaries,
  };
}

/** As Debian's pg_ctlcluster does it, which takes away what a power cut left. */
function bootScript({ binDir, libDir }: PostgresBinaries, dataDisk: string): string {
  return `export LD_LIBRARY_PATH=${libDir} LC_ALL=C TZ=UTC
d=${dataDisk}
rm -f $d/pg/postmaster.pid $d/run/.s.PGSQL.*
exec ${binDir}/pg_ctl -D $d/pg -w -t 60 -l $d/server.log -o "-k $d/run -p 5432" start
`;
}
