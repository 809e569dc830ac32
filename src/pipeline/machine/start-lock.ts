import { join } from 'node:path/posix';
import { withGuest, type MachineAccess } from './access.ts';

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
  const file = join(machine.dataDir, 'recovery.signal');
  return withGuest(machine, signal, async (guest) => {
    await guest.writeFile(file, '', 0o600, signal);
    await guest.run(['sync', '-f', file], { signal });
    try {
      return await take();
    } finally {
      // Also when the run is interrupted: LIVE must be able to start again.
      await guest.run(['rm', '-f', file], { signal: AbortSignal.timeout(30_000) });
    }
  });
}
