import { expect, test } from 'vitest';
import type { Job } from '../../src/schedule/jobs.ts';
import { runSchedule, type Clock } from '../../src/serve/scheduler.ts';

const job = (name: Job['name'], cron: string): Job => ({ name, cron, zone: 'UTC', args: [name] });

/** A clock that jumps to whatever is waited for; work takes as long as it says. Stops at `end`. */
function play(
  jobs: readonly Job[],
  from: string,
  end: string,
  takesMinutes: Partial<Record<string, number>> = {},
) {
  let now = new Date(from);
  const stop = new AbortController();
  const ran: string[] = [];
  const clock: Clock = {
    now: () => now,
    waitUntil: async (at) => {
      if (at > new Date(end)) stop.abort();
      else now = at;
    },
  };
  const run = async ({ name }: Job): Promise<void> => {
    ran.push(`${now.toISOString().slice(5, 16)} ${name}`);
    now = new Date(now.getTime() + (takesMinutes[name] ?? 1) * 60_000);
    if (now > new Date(end)) stop.abort();
  };
  return runSchedule(jobs, run, clock, stop.signal).then(() => ran);
}

test('jobs run at their times, in the order of time', async () => {
  const jobs = [job('refresh', '0 3 * * *'), job('backup', '0 1 * * *')];
  expect(await play(jobs, '2025-03-01T00:00:00Z', '2025-03-03T00:00:00Z')).toEqual([
    '03-01T01:00 backup',
    '03-01T03:00 refresh',
    '03-02T01:00 backup',
    '03-02T03:00 refresh',
  ]);
});

test('a job whose time came while another ran is made up for at once, and once only', async () => {
  const jobs = [job('backup', '0 1 * * *'), job('prove', '*/30 * * * *')];
  const ran = await play(jobs, '2025-03-01T00:45:00Z', '2025-03-01T04:10:00Z', { backup: 170 });
  expect(ran).toEqual(['03-01T01:00 backup', '03-01T03:50 prove', '03-01T04:00 prove']);
});

test('after the clock was set back jobs run at their times again, not only once the wrong time has come', async () => {
  let now = new Date('2035-03-01T00:30:00Z');
  const stop = new AbortController();
  const ran: string[] = [];
  const clock: Clock = {
    now: () => now,
    waitUntil: async (at) => {
      now = now.getUTCFullYear() === 2035 ? new Date('2025-03-01T00:30:00Z') : at;
    },
  };
  const run = async (): Promise<void> => {
    ran.push(now.toISOString());
    stop.abort();
  };
  await runSchedule([job('backup', '0 1 * * *')], run, clock, stop.signal);
  expect(ran).toEqual(['2025-03-01T01:00:00.000Z']);
});

test('without jobs it waits for its end', async () => {
  expect(await play([], '2025-03-01T00:00:00Z', '2025-03-01T05:00:00Z')).toEqual([]);
});
