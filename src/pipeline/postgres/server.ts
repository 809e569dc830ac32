import type { GuestServer } from '../../databases/postgres/guest-server.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { withGuest, type MachineAccess } from '../machine/access.ts';
import type { MachineDoor, PostgresDoor } from '../machine/platform.ts';

/** What a platform says of a machine's PostgreSQL. */
export function postgresDoor({ postgres }: MachineDoor): PostgresDoor {
  if (postgres === undefined) throw new ClonaError('internal', 'the machine was opened for another engine');
  return postgres;
}

/** PostgreSQL's data directory, as the guest sees it. */
export function dataDirOf({ door }: Pick<MachineAccess, 'door'>): string {
  return postgresDoor(door).server.dataDir;
}

/** Runs `work` with the guest and its server; a connection that was opened for it is closed. */
export async function withServer<Result>(
  machine: MachineAccess,
  signal: AbortSignal,
  work: (guest: Guest, server: GuestServer) => Promise<Result>,
): Promise<Result> {
  const { server } = postgresDoor(machine.door);
  return withGuest(machine, signal, async (guest) => work(guest, { guest, ...server }));
}
