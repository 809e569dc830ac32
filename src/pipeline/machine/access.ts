import type { DatabaseAddress } from '../../databases/database.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { openGuest } from '../../guest/open.ts';
import type { MachineFacts, Machines } from '../../machines/machines.ts';
import { resolveDatabaseAddress } from '../../site/address.ts';
import type { Site } from '../../site/site.ts';
import type { MachineName } from '../operations.ts';
import type { MachineDoor, Platform } from './platform.ts';

/** A site's machines, and what is needed to work on one. */
export interface SiteAccess {
  site: Site;
  platform: Platform;
  machines: Machines;
}

export interface MachineAccess {
  facts: MachineFacts;
  door: MachineDoor;
  address: DatabaseAddress;
  /** False: LIVE's database is somewhere else than on its machine. */
  isDatabaseHere: boolean;
}

export function nameOf({ site }: SiteAccess, machine: MachineName): string {
  return machine === 'live' ? site.machines.live.name : machine;
}

/** Runs `work` with a machine that has power; its way in is closed afterwards. */
export async function withMachine<Result>(
  access: SiteAccess,
  machine: MachineName,
  signal: AbortSignal,
  work: (machine: MachineAccess) => Promise<Result>,
): Promise<Result> {
  const { site, machines, platform } = access;
  const facts = await machines.describe(nameOf(access, machine), signal);
  await using door = await platform.openDoor(facts, signal);
  // Only production may be elsewhere than on its machine.
  const given = machine === 'live' ? await resolveGiven(site) : undefined;
  const own = machine === 'live' ? { ...door.address, ...databaseName(site) } : door.address;
  return await work({
    facts,
    door,
    address: given ?? own,
    isDatabaseHere: given === undefined || (await platform.holdsDatabase(facts, given)),
  });
}

/** Oracle's listener is asked also for an instance that is closed for users: a promotion works on one. */
async function resolveGiven({ database }: Site): Promise<DatabaseAddress | undefined> {
  const given = await resolveDatabaseAddress(database);
  if (given?.engine !== 'oracle') return given;
  return { ...given, oracle: { ...given.oracle, evenRestricted: true } };
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

/** Runs `work` with the guest; a connection that was opened for it is closed. */
export async function withGuest<Result>(
  { facts, door }: MachineAccess,
  signal: AbortSignal,
  work: (guest: Guest) => Promise<Result>,
): Promise<Result> {
  if (door.guest !== undefined) return work(door.guest);
  await using guest = await openGuest(facts.guest, signal);
  await door.verify(guest, signal);
  return await work(guest);
}
