/**
 * What the gate is told. Every fact carries the run that found it, so that a person's word can name exactly what
 * it rests on (R18, R19). `null` always means "not known", and what is not known never opens anything.
 */
export interface GateFacts {
  release: ReleaseFacts;
  archive: ArchiveFacts | null;
  staging: StagingFacts | null;
  kit: KitFacts;
  upgrade: UpgradeFacts | null;
  smoke: SmokeFacts | null;
  rehearsal: RehearsalFacts | null;
  checklist: ChecklistFacts | null;
  /** When the departments were asked, and about which evidence. */
  requests: { sentAt: string; evidence: Evidence } | null;
  /** Every word given for this release, oldest first; the order is the ledger's, not the clocks'. */
  words: readonly Word[];
  live: LiveFacts | null;
  guard: GuardFacts | null;
}

export interface ReleaseFacts {
  id: string;
  /** Who started it; may not sign for a department (R18, R19). */
  initiator: string;
  startedAt: string;
  /** `promoting`: a promotion is at work; everything after `open` never opens the gate again. */
  state: 'open' | 'promoting' | 'promoted' | 'rolledBack' | 'failed' | 'abandoned';
}

export interface ArchiveFacts {
  backup: string;
  /** Highest grade proven (R15); null: never proven. */
  grade: number | null;
  provenAt: string | null;
  /** Time of the newest change that the restore brought back. */
  coversUntil: string | null;
}

export interface StagingFacts {
  machine: string;
  /** Id of the refresh that filled it: another refresh is another staging (R19). */
  refresh: string;
  restoredFrom: string;
  fenced: boolean;
  /** When the site's masking ran after the proof; null: it did not. */
  maskedAt: string | null;
  /** The release that holds the machine. */
  heldBy: string | null;
}

export interface KitFacts {
  name: string;
  version: string;
  /** The hash the release was started with. */
  releaseHash: string;
  /** Read again, now; null: the kit could not be read. */
  hashNow: string | null;
}

export interface UpgradeFacts {
  run: string;
  refresh: string;
  kitHash: string;
  /** Hash over the recorded steps, in order, as they ran on staging. */
  procedureHash: string;
  /** Hash over the steps that a promotion would run on LIVE, read now. */
  procedureHashNow: string | null;
  outcome: 'succeeded' | 'failed';
  failedStep: string | null;
  finishedAt: string;
}

export interface SmokeFacts {
  run: string;
  refresh: string;
  upgradeRun: string;
  /** Hash over the smoke tests that ran. */
  checksHash: string;
  checksHashNow: string | null;
  passed: number;
  failed: readonly string[];
  finishedAt: string;
}

export interface RehearsalFacts {
  run: string;
  refresh: string;
  kitHash: string;
  /** What of "it is back" was proven; each null is a thing that was not looked at. */
  back: { counts: boolean | null; version: boolean | null; fingerprint: boolean | null };
  finishedAt: string;
}

export interface ChecklistFacts {
  run: string;
  /** The smoke run it was done after. */
  smokeRun: string;
  done: readonly { item: string; by: string; at: string }[];
}

export interface LiveFacts {
  fingerprint: string;
  programVersion: string;
  observedAt: string;
  /** The same, as staging had it from LIVE before the kit. */
  baseline: { fingerprint: string; programVersion: string } | null;
}

export interface GuardFacts {
  backup: { label: string; finishedAt: string; grade: number } | null;
  /** `escapes`: what the snapshot does not hold. */
  snapshot: { name: string; createdAt: string; escapes: readonly string[] } | null;
}

/** What a word rests on. Whatever here differs from now voids the word (R19). */
export interface Evidence {
  refresh: string;
  backup: string;
  kitHash: string;
  procedureHash: string;
  upgradeRun: string;
  checksHash: string;
  smokeRun: string;
  rehearsalRun: string;
  checklistRun: string;
}

/** One person's word for one department. */
export interface Word {
  department: string;
  /** Who typed it. */
  by: string;
  /** Whose word it is, when `by` only wrote down what was said (R18, `--on-behalf-of`). */
  onBehalfOf: string | null;
  word: 'confirm' | 'refuse';
  comment: string | null;
  at: string;
  evidence: Evidence;
}

export interface DepartmentPolicy {
  name: string;
  keyUsers: readonly string[];
  delegates: readonly string[];
}

/** What the site demands. Lengths of time in milliseconds. */
export interface GatePolicy {
  minimumGrade: number;
  maximumAgeMs: number;
  departments: readonly DepartmentPolicy[];
  /** Items of the DBA's checklist. */
  checklist: readonly string[];
  /** People who may write down a word that was given to them; empty: nobody may. */
  recorders: readonly string[];
  /** How long a confirmation holds; null: until something voids it. */
  confirmationMaximumAgeMs: number | null;
  /** `always` has to be said; an empty list is never open. */
  windows: 'always' | readonly MaintenanceWindow[];
  /** A site without masking says so; then it is not asked for (R23). */
  maskingRequired: boolean;
  /** A site that rehearses no rollback says so; then it is not asked for (R20). */
  rehearsalRequired: boolean;
  /** How old a look at LIVE may be when drift is judged. */
  observationMaximumAgeMs: number;
  /** How old "just before" may be for the guard backup and the snapshot. */
  guardMaximumAgeMs: number;
}

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';

export interface MaintenanceWindow {
  /** Days on which it begins. */
  days: readonly Weekday[];
  /** Wall clock "HH:MM"; a window whose end is not after its begin ends on the next day. */
  from: string;
  to: string;
  /** IANA name. */
  timeZone: string;
}
