import type { Site } from '../site/site.ts';

export const jobNames = ['backup', 'refresh', 'prove', 'retention', 'destroy'] as const;
export type JobName = (typeof jobNames)[number];

/** One line of the site's schedule. */
export interface Job {
  name: JobName;
  cron: string;
  /** IANA name of the clock that counts. */
  zone: string;
  /** What clona is called with; --site is added where it is called. */
  args: readonly string[];
}

/** At night nobody answers a question, hence --yes; the rules that protect LIVE hold all the same. */
const argumentsOf: Readonly<Record<JobName, readonly string[]>> = {
  backup: ['backup', '--yes'],
  refresh: ['refresh', '--yes'],
  prove: ['prove', '--yes'],
  retention: ['retention', '--apply', '--yes'],
  // Protected machines and those that a release holds stay.
  destroy: ['destroy', '--expired', '--yes'],
};

/** The jobs that the site file gives a time to, in the order of a night: backup, refresh, prove, retention, destroy. */
export function listJobs({ schedule }: Pick<Site, 'schedule'>): Job[] {
  return jobNames.flatMap((name) => {
    const cron = schedule[name];
    return cron === undefined ? [] : [{ name, cron, zone: schedule.zone, args: argumentsOf[name] }];
  });
}
