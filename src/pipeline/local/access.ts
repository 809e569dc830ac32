import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../databases/database.ts';
import { resolveBinaries, type PostgresBinaries } from '../../databases/postgres/server-binaries.ts';
import type { RunAs } from '../../databases/postgres/server-binaries.ts';
import type { GuestServer } from '../../databases/postgres/guest-server.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { openGuest } from '../../guest/open.ts';
import { openLocalMachines } from '../../machines/local/local-machines.ts';
import type { MachineFacts, Machines } from '../../machines/machines.ts';
import { resolveDatabaseAddress } from '../../site/address.ts';
import type { Site } from '../../site/site.ts';
import type { MachineName } from '../operations.ts';

/** A site's machines on this host, and what is needed to work on one. */
export interface SiteAccess {
  site: Site;
  machines: Machines;
}

export interface MachineAccess {
  facts: MachineFacts;
  /** PostgreSQL's data directory, as guest and host see it. */
  dataDir: string;
  /** Who owns the machine's disks, where clona is root. */
  runAs: RunAs | undefined;
  binaries: PostgresBinaries;
  address: DatabaseAddress;
  /** False: LIVE's database is somewhere else than on its machine. */
  isDatabaseHere: boolean;
}

export function openAccess(site: Site): SiteAccess {
  if (site.machines.platform !== 'local') {
    throw new ClonaError('usage', `the pipeline does not know the platform ${site.machines.platform} yet`);
  }
  if (site.database.engine !== 'postgres') {
    throw new ClonaError('usage', `the pipeline does not know the engine ${site.database.engine} yet`);
  }
  return { site, machines: openLocalMachines({ root: site.machines.root }) };
}

export function nameOf({ site }: SiteAccess, machine: MachineName): string {
  return machine === 'live' ? site.machines.live.name : machine;
}

export async function accessMachine(
  access: SiteAccess,
  machine: MachineName,
  signal: AbortSignal,
): Promise<MachineAccess> {
  const { site, machines } = access;
  const facts = await machines.describe(nameOf(access, machine), signal);
  const { uid, gid } = await stat(facts.dataDisk);
  const runAs = process.getuid?.() === 0 ? { uid, gid } : undefined;
  const binaries = await resolveBinaries({
    ...(site.database.binDir === undefined ? {} : { binDir: site.database.binDir }),
    ...(site.database.embedded === undefined ? {} : { major: site.database.embedded }),
    runAs,
  });
  // Only production may be elsewhere than on its machine.
  const elsewhere = machine === 'live' ? await resolveDatabaseAddress(site.database) : undefined;
  return {
    facts,
    dataDir: join(facts.dataDisk, 'pg'),
    runAs,
    binaries,
    address:
      elsewhere ?? (machine === 'live' ? { ...facts.database, ...databaseName(site) } : facts.database),
    isDatabaseHere: elsewhere === undefined,
  };
}

function databaseName({ database }: Site): { database?: string; user?: string } {
  return {
    ...(database.name === undefined ? {} : { database: database.name }),
    ...(database.user === undefined ? {} : { user: database.user }),
  };
}

/** LIVE's database as the one on its machine: what snapshots and reverts reach. */
export function requireDatabaseHere(machine: MachineAccess): void {
  if (machine.isDatabaseHere) return;
  throw new ClonaError(
    'usage',
    "LIVE's database is not on its machine: a snapshot of the machine does not hold it",
    {
      hint: 'leave the address out of the site file where the database runs on the machine',
    },
  );
}

/** Runs `work` with the guest and its server, and closes the connection. */
export async function withGuest<Result>(
  machine: MachineAccess,
  signal: AbortSignal,
  work: (guest: Guest, server: GuestServer) => Promise<Result>,
): Promise<Result> {
  await using guest = await openGuest(machine.facts.guest, signal);
  const { host, port } = machine.facts.database;
  return await work(guest, {
    guest,
    binaries: machine.binaries,
    dataDir: machine.dataDir,
    socketDir: host,
    port,
  });
}
