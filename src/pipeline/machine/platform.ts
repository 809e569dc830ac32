import type { DatabaseAddress } from '../../databases/database.ts';
import type { GuestServer } from '../../databases/postgres/guest-server.ts';
import type { RestorePlace } from '../../databases/postgres/restore/place/place.ts';
import type { Guest } from '../../guest/guest.ts';
import type { MachineFacts, Machines } from '../../machines/machines.ts';
import type { Step } from '../operations.ts';

export type Work = Pick<Step, 'signal' | 'onProgress'>;

/**
 * What the pipeline needs of a platform beside `Machines`. Everything else it does over a guest (SSH) and a database
 * address, alike on all of them.
 */
export interface Platform {
  readonly machines: Machines;
  /** Its guests start by themselves what an operating system starts, the database too. */
  readonly bootsDatabase: boolean;
  /** Powers a machine on and waits until its guest lets us in; on already: nothing happens but a look. */
  start(name: string, work: Work): Promise<void>;
  /** How a described machine is worked on. Opens nothing before it is used. */
  openDoor(facts: MachineFacts, signal: AbortSignal): Promise<MachineDoor>;
  /** Whether an address of the site file is the database on the machine: what snapshots hold and reverts reach. */
  holdsDatabase(facts: MachineFacts, address: DatabaseAddress): Promise<boolean>;
  /**
   * Throws where a snapshot of the machine would hold a part of it only, or where none may be made of it or gone back to:
   * before anything is closed or changed.
   */
  requireWholeSnapshot(name: string, signal: AbortSignal): Promise<void>;
  /** What of production the machine reaches although it is isolated, asked from inside; empty: nothing. */
  findRoutes(name: string, guest: Guest, signal: AbortSignal): Promise<string[]>;
  /** A clone of LIVE as code. Made before by a step that was killed: it is the same one. */
  makeStaging(
    name: string,
    database: DatabaseAddress,
    work: Work,
  ): Promise<{ isolation: string; engine: string }>;
  /** Gone already: nothing happens. */
  removeStaging(name: string, work: Work): Promise<void>;
  /** Takes away what a clone's disks hold of LIVE's database, so that only the archive's content is there. */
  clearForRestore(
    facts: MachineFacts,
    door: MachineDoor,
    guest: Guest,
    key: string,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface MachineDoor extends AsyncDisposable {
  /** The database on the machine, as clona reaches it while the door is open. */
  address: DatabaseAddress;
  /** The door's own connection, verified; undefined: one is opened for each piece of work. */
  guest?: Guest;
  /** Throws where whoever answered is not this machine. */
  verify(guest: Guest, signal: AbortSignal): Promise<void>;
  /** What only PostgreSQL has; undefined: the site's engine is another one. */
  postgres?: PostgresDoor;
}

export interface PostgresDoor {
  /** The database server, as the guest sees it. */
  server: Omit<GuestServer, 'guest'>;
  /** Where the space for a restore can be asked before the staging machine is there. */
  openPlanned(workers: number, signal: AbortSignal): Promise<PlannedPlace>;
}

export interface PlannedPlace extends AsyncDisposable {
  place: RestorePlace;
  target: string;
  /** What lies there counts as free: it makes way. */
  replace: boolean;
}
