import { join } from 'node:path/posix';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../errors.ts';
import { openGuest } from '../../guest/open.ts';
import { withGuest, type MachineAccess } from '../machine/access.ts';
import { dataDirOf } from './server.ts';

/** A VM that is stunned for its snapshot may lose the connection: the way back in is tried so long, in milliseconds. */
const patienceMs = 120_000;

/**
 * Takes a snapshot in which the database cannot be started but by `reopen`: a guest that starts its services by itself
 * would let a reverted LIVE go on with the timeline whose future is archived already (R20). With recovery.signal and
 * without a restore_command a server refuses to start (PostgreSQL manual, "Archive Recovery"); one that runs looks at
 * the file only when it starts, and it is taken away as soon as the snapshot is there.
 */
export async function withStartLock<Result>(
  machine: MachineAccess,
  signal: AbortSignal,
  take: () => Promise<Result>,
): Promise<Result> {
  const file = join(dataDirOf(machine), 'recovery.signal');
  await withGuest(machine, signal, async (guest) => {
    await guest.writeFile(file, '', 0o600, signal);
    await guest.run(['sync', '-f', file], { signal });
  });
  try {
    return await take();
  } finally {
    // Also when the run is interrupted: LIVE must be able to start again.
    await removeLock(machine, file);
  }
}

async function removeLock(machine: MachineAccess, file: string): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      const signal = AbortSignal.timeout(30_000);
      await using guest = await openGuest(machine.facts.guest, signal);
      await machine.door.verify(guest, signal);
      const { exitCode, stderr } = await guest.run(['rm', '-f', file], { signal });
      if (exitCode === 0) return;
      throw new Error(stderr.trim());
    } catch (cause) {
      if (performance.now() > until) throw leftError(machine, file, cause);
    }
    await wait(1000);
  }
}

function leftError({ facts }: MachineAccess, file: string, cause: unknown): ClonaError {
  return new ClonaError('guestFailed', `${file} was left on ${facts.name}: its database cannot start again`, {
    cause,
    hint: `remove that file on ${facts.name} before its database is stopped, or run the same command again`,
    details: { file },
  });
}
