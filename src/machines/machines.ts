import type { GuestAddress } from '../guest/guest.ts';
import type { DatabaseAddress } from '../databases/database.ts';

/** What the stack's outputs and a running machine say of themselves. */
export interface MachineFacts {
  name: string;
  platform: 'local' | 'vsphere';
  role: 'live' | 'staging';
  power: 'on' | 'off';
  guest: GuestAddress;
  database: DatabaseAddress;
  /** `network`: proven to reach nothing but itself; `configuration`: isolated by its settings only; `none`: production. */
  isolation: 'network' | 'configuration' | 'none';
  createdAt: string;
  expiresAt: string | null;
  /** Paths as the guest sees them. */
  systemDisk: string;
  dataDisk: string;
  /** Hardware addresses of its network cards, by which a clone is told from production where both have one address. */
  macs?: readonly string[] | undefined;
}

export interface SnapshotFacts {
  name: string;
  createdAt: string;
  /** What the snapshot does not hold (independent disks, raw device mappings …); empty for a whole one. */
  escapes: string[];
}

/**
 * The contract of a platform beside what Pulumi does (create, update, destroy of staging machines is Pulumi's).
 * Every adapter passes test/contracts/machines.ts.
 *
 * - Every call can be repeated: powering on what is on, removing a snapshot that is gone, succeed.
 * - `revertSnapshot` leaves the machine powered off: who reverts decides how it comes back (R20).
 */
export interface Machines {
  readonly platform: 'local' | 'vsphere';
  describe(name: string, signal: AbortSignal): Promise<MachineFacts>;
  powerOn(name: string, signal: AbortSignal): Promise<void>;
  /** Asks the guest to shut down, and takes the power away after `graceMs`. */
  powerOff(name: string, graceMs: number, signal: AbortSignal): Promise<void>;
  createSnapshot(name: string, snapshot: string, signal: AbortSignal): Promise<SnapshotFacts>;
  revertSnapshot(name: string, snapshot: string, signal: AbortSignal): Promise<void>;
  removeSnapshot(name: string, snapshot: string, signal: AbortSignal): Promise<void>;
  listSnapshots(name: string, signal: AbortSignal): Promise<SnapshotFacts[]>;
  /** Asked from inside the guest: what it can reach of the outside. Empty when isolated. */
  probeIsolation(name: string, signal: AbortSignal): Promise<string[]>;
}
