import type { Verb } from './verb.ts';

interface VerbRow {
  summary: string;
  load: () => Promise<{ verb: Verb }>;
}

/** Every verb, in the order of `clona --help`. Only the one that is called is loaded. */
export const verbs = {
  init: {
    summary: 'write a commented site file, by asking or from an example',
    load: () => import('./init.ts'),
  },
  doctor: {
    summary: 'check a site point by point and say how to mend each',
    load: () => import('./doctor.ts'),
  },
  refresh: {
    summary: 'make LIVE STAGING anew from the archive, and prove the archive by it',
    load: () => import('./refresh.ts'),
  },
  destroy: {
    summary: 'take staging machines away, with everything they left',
    load: () => import('./destroy.ts'),
  },
  release: {
    summary: 'install a kit on staging, test it, rehearse the rollback, ask the departments',
    load: () => import('./release.ts'),
  },
  signoff: {
    summary: "give a department's word, or tick the DBA's checklist",
    load: () => import('./signoff.ts'),
  },
  promote: {
    summary: 'bring an open release to LIVE, or take LIVE back',
    load: () => import('./promote.ts'),
  },
  rollback: { summary: 'take LIVE back to before a promotion', load: () => import('./rollback.ts') },
  status: {
    summary: 'say what runs, what waits and why, and how well LIVE could be brought back',
    load: () => import('./status.ts'),
  },
  evidence: {
    summary: 'list, export and verify the evidence ledger',
    load: () => import('./evidence.ts'),
  },
  smoke: { summary: 'run the smoke tests of the site on staging or LIVE', load: () => import('./smoke.ts') },
  kit: { summary: 'hash, check, fetch or sign an upgrade kit', load: () => import('./kit.ts') },
  plan: { summary: 'say how a target is reached, and why not', load: () => import('./plan.ts') },
  incarnations: {
    summary: 'list the branches of history, and draw them',
    load: () => import('./incarnations.ts'),
  },
  retention: { summary: 'say what may go, what stays, and why', load: () => import('./retention.ts') },
  prove: {
    summary: 'prove backups by their grades, or judge the log of an export, import or RMAN job',
    load: () => import('./prove.ts'),
  },
  schedule: {
    summary: 'list what runs when, or print systemd timers or crontab lines for it',
    load: () => import('./schedule.ts'),
  },
  serve: {
    summary: 'run the schedule, and take releases from pipelines over HTTP',
    load: () => import('./serve.ts'),
  },
  backup: { summary: 'take a backup of production into the archive', load: () => import('./backup.ts') },
  catalog: { summary: 'read an archive and print its catalog', load: () => import('./catalog.ts') },
  restore: { summary: 'restore a database from its archive alone', load: () => import('./restore.ts') },
  demo: { summary: 'play the whole story on this machine, nothing mocked', load: () => import('./demo.ts') },
} as const satisfies Record<string, VerbRow>;

export const verbTable: Readonly<Record<string, VerbRow>> = verbs;
