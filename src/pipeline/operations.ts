import type { LogStreamFacts } from './log-streams.ts';
import type { LeftSlot } from '../databases/postgres/left-slots.ts';
import type { SpoolFacts } from '../databases/postgres/log-spool.ts';
import type { TakenCounts } from '../databases/postgres/prove/counts.ts';
import type { Json } from '../control/canonical-json.ts';
import type { MaskReport } from '../databases/postgres/masking.ts';
import type { KitReport } from '../kit/apply/apply.ts';
import type { OnProgress } from '../progress.ts';
import type { SmokeReport } from '../smoke/report.ts';

/** What a step of a run is told about itself. */
export interface Step {
  /** The same whenever this very step is repeated, and another for every other step of every run. */
  key: string;
  signal: AbortSignal;
  onProgress: OnProgress;
  /** What this very step noted, also before a kill; each note is evidence. */
  notes: { read: () => Promise<Json[]>; write: (note: Json) => Promise<void> };
}

/** `live`, or the name of a staging machine. */
export type MachineName = string;

/** What is compared to say "it is as it was": business counts, schema fingerprint, program version. */
export type Observation = {
  at: string;
  counts: Record<string, string>;
  /** false: taken without a lock while people worked, so they are bounds. */
  countsExact: boolean;
  fingerprint: string;
  programVersion: string;
};

/** An observation of LIVE at a named point of its log, which a restore can be held against. */
export type Bearing = Observation & {
  position: string;
  incarnation: number;
  /** First transaction number not yet given at that point. */
  nextTransaction: string;
  /** Production's numbers as grade 5 holds the restored ones against them; null: the site counts nothing. */
  taken: TakenCounts | null;
};

export type BackupTaken = {
  label: string;
  finishedAt: string;
  bytes: number;
  grade: number;
  seconds: number;
};

export type RestorePlan = {
  backup: string;
  /** Bytes needed on the staging machine, and there. */
  bytesNeeded: number;
  bytesFree: number;
  secondsExpected: number | null;
  steps: string[];
};

export type Restored = {
  backup: string;
  reached: string;
  /** Time of the newest change that came back. */
  coversUntil: string;
  /** What of production's history is not in it; empty: nothing. */
  lost: string;
  bytes: number;
  logBytes: number;
  seconds: number;
  unpackSeconds: number;
  redoSeconds: number;
};

export type Proof = { backup: string; grade: number; provenAt: string; findings: string[] };

/** `hash`: the kit's own, expected; needed for sources that prove nothing of what they send. */
export type KitSource = { source: string; hash: string | null };

export type KitFound = {
  name: string;
  version: string;
  hash: string;
  /** Hash over the steps in their order, as they would run. */
  procedureHash: string;
  steps: string[];
  /** Where it came from, without secrets. */
  source: string;
  /** Where it is kept for LIVE. */
  folder: string;
};

/** What installing a kit came to: `failed` is an outcome, its records say in which step. */
export type KitApplied = KitReport;

export type SmokeRun = {
  checksHash: string;
  passed: number;
  /** "department: name of the test" */
  failed: string[];
  finishedAt: string;
  report: SmokeReport | null;
};

/** What LIVE may lose when it is taken back after it was opened. */
export type Losses = { transactions: string; logBytes: string; counts: Record<string, string> };

/**
 * Everything the pipeline does to the world. Implementations: create-operations.ts (real), and the file-backed one of
 * the crash tests.
 *
 * - Every call may come twice with the same `step.key`, the second after a kill -9 anywhere in the first. The second
 *   finishes what the first began and answers as the first would have; nothing is done doubly.
 * - Results are plain JSON and become evidence: no secrets in them.
 * - What cannot be done is thrown as ClonaError; an outcome that is news (a kit that failed) is a result.
 */
export interface Operations {
  /** Takes a backup of LIVE with checksums compared. `ifNeeded`: null when the archive can serve a restore to now. */
  takeBackup(step: Step, purpose: 'refresh' | 'guard', ifNeeded: boolean): Promise<BackupTaken | null>;
  /** Names a point in LIVE's log and counts there, under a brief write lock where the site allows it. */
  markRestorePoint(step: Step, name: string): Promise<Bearing>;
  /**
   * Until the archive and its mirror have the log up to `position`. A mirror that is away is told, and keeps nothing from being
   * proven; before LIVE is changed (the default) it must have the log too, or the site accepts that.
   */
  archiveLogTo(
    step: Step,
    position: string,
    purpose?: 'refresh' | 'promotion',
  ): Promise<{ archivedTo: string; missingInMirror?: string }>;
  observe(step: Step, machine: MachineName): Promise<Observation>;

  /** `until` null: to the end of the archived log. `measured`: the newest restore, for the time it will take. */
  planRestore(step: Step, until: Bearing | null, measured: Restored | null): Promise<RestorePlan>;
  createStaging(step: Step, machine: MachineName): Promise<{ isolation: string; engine: string }>;
  destroyStaging(step: Step, machine: MachineName): Promise<void>;
  /** Leaves the database recovered and shut for everybody but clona. */
  restoreIntoStaging(step: Step, machine: MachineName, until: Bearing): Promise<Restored>;
  /** R21; then the database may be opened. `fenced` only when each part was tested. */
  fenceStaging(step: Step, machine: MachineName): Promise<{ fenced: boolean; parts: string[] }>;
  proveStaging(step: Step, machine: MachineName, backup: string, expected: Bearing): Promise<Proof>;
  /** R23; `maskedAt` null where the site masks nothing. */
  maskStaging(step: Step, machine: MachineName): Promise<MaskReport>;

  /** Fetches, checks and keeps a kit, so that LIVE gets the very bytes that staging got. */
  readKit(step: Step, source: KitSource): Promise<KitFound>;
  /** `staged`: what staging recorded; given for LIVE, where nothing else may run (R17). */
  applyKit(step: Step, machine: MachineName, kit: KitFound, staged: KitApplied | null): Promise<KitApplied>;
  runSmoke(step: Step, machine: MachineName): Promise<SmokeRun>;
  /** Hashes read again now: kit (null: it cannot be read), its steps, the smoke tests. */
  readHashes(signal: AbortSignal, kit: KitFound): Promise<CurrentHashes>;

  /** Clean and whole: the database is shut down for it, and up again after it. */
  snapshot(step: Step, machine: MachineName, name: string): Promise<SnapshotTaken>;
  /** Back to the snapshot; database down. */
  revert(step: Step, machine: MachineName, name: string): Promise<void>;
  removeSnapshot(step: Step, machine: MachineName, name: string): Promise<void>;
  listSnapshots(signal: AbortSignal, machine: MachineName): Promise<string[]>;
  /**
   * Starts a reverted machine's database on a new incarnation, before its archiving resumes (R20): the old one's
   * log names are in the archive with other content.
   */
  reopen(step: Step, machine: MachineName): Promise<{ incarnation: number; branchPosition: string }>;

  closeForUsers(step: Step): Promise<void>;
  /** Waits for running work to end; throws when the site's patience does. */
  drain(step: Step): Promise<void>;
  openForUsers(step: Step): Promise<void>;
  /** What came to LIVE after `bearing`. */
  countLosses(signal: AbortSignal, bearing: Bearing): Promise<Losses>;

  /** Up to when the archive and its mirror have LIVE's log: what is younger would be lost with LIVE (the RPO). */
  archivedUntil(signal: AbortSignal): Promise<string | null>;
  /** What LIVE has handed over and archive or mirror do not have; null: it cannot be seen from here. */
  logSpool(signal: AbortSignal): Promise<SpoolFacts | null>;
  /** How far each destination has LIVE's log by its stream; empty where nothing ever streamed. LIVE may be gone. */
  logStreams(signal: AbortSignal): Promise<LogStreamFacts[]>;
  /** Slots on LIVE of receivers that the site wants no more. */
  leftSlots(signal: AbortSignal): Promise<LeftSlot[]>;
  /** The cold backup for which LIVE's server was stopped, at work or killed; null: none. */
  stoppedLive(): Promise<StoppedLive | null>;

  notify(step: Step, event: PipelineEvent, text: string): Promise<void>;
}

export type CurrentHashes = { kit: string | null; procedure: string | null; checks: string | null };
export interface StoppedLive {
  label: string;
  dataDir: string;
  at: string;
  /** False: it was killed, and may have left the server stopped. */
  isWorking: boolean;
}
export type SnapshotTaken = {
  name: string;
  createdAt: string;
  escapes: string[];
  /** How LIVE would go back and what that does to its history, told before the first change; engines that have only one way say nothing. */
  wayBack?: string[];
};
export type PipelineEvent =
  | 'refreshFailed'
  | 'signoffWanted'
  | 'gateOpen'
  | 'gateClosed'
  | 'promoted'
  | 'rolledBack';

/** What differs between two observations; empty: it is as it was. */
export function compareObservations(
  then: Observation,
  now: Observation,
): { counts: boolean; version: boolean; fingerprint: boolean } {
  const names = new Set([...Object.keys(then.counts), ...Object.keys(now.counts)]);
  return {
    counts: [...names].every((name) => then.counts[name] === now.counts[name]),
    version: then.programVersion === now.programVersion,
    fingerprint: then.fingerprint === now.fingerprint,
  };
}

/** The business counts that differ, as "then → now". */
export function listMoved(then: Observation, now: Observation): Record<string, string> {
  const moved: Record<string, string> = {};
  for (const [name, count] of Object.entries(then.counts)) {
    const value = now.counts[name];
    if (value !== undefined && value !== count) moved[name] = `${count} → ${value}`;
  }
  return moved;
}
