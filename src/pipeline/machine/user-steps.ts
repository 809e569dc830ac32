import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import type { Step } from '../operations.ts';
import { withGuest, type MachineAccess } from './access.ts';

type UserStep = Site['promotion']['closeForUsers'][number];

/** Runs one statement of the site's in the machine's database. */
export type RunUserSql = (sql: string, signal: AbortSignal) => Promise<void>;

/** Runs the site's steps that close or open LIVE for its users: each may be repeated, as opening and closing may. */
export async function runUserSteps(
  machine: MachineAccess,
  steps: readonly UserStep[],
  runSql: RunUserSql,
  step: Step,
): Promise<void> {
  for (const { run, sql, timeout } of steps) {
    const signal = AbortSignal.any([step.signal, AbortSignal.timeout(timeout)]);
    try {
      if (sql !== undefined) await runSql(sql, signal);
      if (run !== undefined) await runCommand(machine, run, timeout, step.signal);
    } catch (error) {
      step.signal.throwIfAborted();
      if (!signal.aborted) throw error;
      throw new ClonaError('databaseFailed', `a step for the users did not end within ${timeout / 1000} s`, {
        cause: error,
        hint: 'give it more time: promotion.closeForUsers, promotion.openForUsers',
      });
    }
  }
}

async function runCommand(
  machine: MachineAccess,
  run: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const result = await withGuest(machine, signal, async (guest) =>
    guest.runShell(run, { signal, timeoutMs }),
  );
  if (result.exitCode === 0) return;
  throw new ClonaError(
    'guestFailed',
    `a step for the users ended with ${result.exitCode ?? result.signal ?? 'nothing'}`,
    {
      cause: new Error(result.stderr.trim().slice(-500)),
    },
  );
}
