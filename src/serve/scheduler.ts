import { parseCron, nextRun } from '../site/cron.ts';
import type { Job } from '../schedule/jobs.ts';

/** What time is, and how it passes: the real clock, or one that a test turns. */
export interface Clock {
  now: () => Date;
  /** Resolves at `at` or earlier; rejects when the signal is aborted. */
  waitUntil: (at: Date, signal: AbortSignal) => Promise<void>;
}

/** A clock set back by more than this was wrong before: times reckoned from it may lie years ahead. */
const setBackMs = 10 * 60_000;

/**
 * Runs each job at its times, one after the other, until the signal is aborted. A time that passed while other work
 * was done, or while the host slept, is made up for once, not once for each time missed; when the clock was set back, all times
 * are reckoned anew. `run` never throws.
 */
export async function runSchedule(
  jobs: readonly Job[],
  run: (job: Job) => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const next = new Map<Job, Date | undefined>(jobs.map((job) => [job, nextTime(job, clock.now())]));
  let latest = clock.now();
  while (!signal.aborted) {
    const now = clock.now();
    if (latest.getTime() - now.getTime() > setBackMs) {
      for (const job of jobs) next.set(job, nextTime(job, now));
      latest = now;
    }
    if (now > latest) latest = now;
    const due = earliest(next);
    if (due === undefined) {
      await clock.waitUntil(new Date(clock.now().getTime() + 3_600_000), signal).catch(() => {});
      continue;
    }
    const [job, at] = due;
    if (clock.now() < at) {
      await clock.waitUntil(at, signal).catch(() => {});
      continue;
    }
    await run(job);
    next.set(job, nextTime(job, clock.now()));
  }
}

function nextTime(job: Job, after: Date): Date | undefined {
  const cron = parseCron(job.cron);
  return typeof cron === 'string' ? undefined : nextRun(cron, after, job.zone);
}

/** The job that has waited longest; at the same time the one that stands first. */
function earliest(next: ReadonlyMap<Job, Date | undefined>): [Job, Date] | undefined {
  let found: [Job, Date] | undefined;
  for (const [job, at] of next)
    if (at !== undefined && (found === undefined || at < found[1])) found = [job, at];
  return found;
}

/** The real clock. It looks again at least once a minute: a host may sleep, and its clock may be set. */
export const systemClock: Clock = {
  now: () => new Date(),
  waitUntil: async (at, signal) => {
    const { setTimeout: wait } = await import('node:timers/promises');
    const left = at.getTime() - Date.now();
    await wait(Math.min(Math.max(left, 0), 60_000), undefined, { signal });
  },
};
