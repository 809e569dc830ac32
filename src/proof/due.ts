import type { Backup, Catalog } from '../recovery/catalog.ts';
import { findCurrentGaps, type LogGap as RecoveryGap } from '../recovery/gaps.ts';
import { planRecovery } from '../recovery/plan.ts';
import type { Position } from '../recovery/position.ts';
import { currentGrade, provenAt, type Grade, type ProofRecord } from './grades.ts';

export interface ProofPolicy {
  /** The newest backup is proven to this grade; the gate wants it (R18). */
  minimumGrade: Grade;
  /** The newest proven backup must not be older than this. */
  maximumAgeMs: number;
  /** A proof is repeated when it is older than this: disks rot. */
  recheckMs: number;
  /** Older backups are kept provable to this grade only, which needs no restore. Default 2. */
  olderGrade?: Grade;
}

/** A hole in the archived log that somebody has looked at: shown, no longer complained of. */
export interface AcknowledgedGap {
  incarnation: number;
  from: Position;
  to: Position;
  by: string;
  why: string;
  at: string;
}

export interface LogGap extends RecoveryGap {
  acknowledged: AcknowledgedGap | null;
}

export interface BackupProof {
  label: string;
  grade: number | null;
  /** When that grade was last proven. */
  provenAt: string | null;
  /** The grade it should have, and why a proof is due; empty: nothing to do. */
  wanted: Grade;
  due: string[];
}

export interface ProofDecision {
  /** Newest first: also the order in which to prove. */
  backups: BackupProof[];
  newestProven: { label: string; grade: number; finishedAt: string } | null;
  /** How far backups of the wanted grade reach with the archived log; null: nowhere. */
  newestProvable: Position | null;
  gaps: LogGap[];
  warnings: string[];
}

/** Which proofs are due, what is proven, and what the site must be warned of. `nowMs` is the clock. */
export function decideProof(
  catalog: Catalog,
  records: ReadonlyMap<string, readonly ProofRecord[]>,
  policy: ProofPolicy,
  acknowledged: readonly AcknowledgedGap[],
  nowMs: number,
): ProofDecision {
  const newest = newestBackup(catalog.backups);
  const backups = [...catalog.backups]
    .sort(newestFirst)
    .map((backup) => judgeBackup(backup, records.get(backup.label) ?? [], policy, backup === newest, nowMs));
  const proven = newestProven(catalog.backups, records, policy);
  const gaps = findGaps(catalog, acknowledged);
  return {
    backups,
    newestProven: proven,
    newestProvable: findProvable(catalog, records, policy),
    gaps,
    warnings: [...warnOfAge(proven, policy, nowMs), ...warnOfGaps(gaps)],
  };
}

function judgeBackup(
  backup: Backup,
  records: readonly ProofRecord[],
  policy: ProofPolicy,
  isNewest: boolean,
  nowMs: number,
): BackupProof {
  const wanted = isNewest ? policy.minimumGrade : lower(policy.olderGrade ?? 2, policy.minimumGrade);
  const grade = currentGrade(records);
  const at = grade === null ? null : provenAt(records, grade);
  const due: string[] = [];
  if (isProvable(backup)) {
    if (grade === null) due.push('never proven');
    else if (grade < wanted) due.push(`proven to grade ${grade}, grade ${wanted} is wanted`);
    const checked = provenAt(records, 1);
    if (checked !== null && nowMs - checked > policy.recheckMs) {
      due.push(`last checked ${describeAge(nowMs - checked)} ago`);
    }
    if (checked !== null && isAhead(checked, nowMs)) {
      due.push(`last checked at ${new Date(checked).toISOString()}, which lies in the future`);
    }
  }
  return {
    label: backup.label,
    grade,
    provenAt: at === null ? null : new Date(at).toISOString(),
    wanted,
    due,
  };
}

function isProvable({ state, finishedAt, kind }: Backup): boolean {
  return state === 'available' && finishedAt !== null && kind !== 'export';
}

function newestBackup(backups: readonly Backup[]): Backup | null {
  return [...backups].filter(isProvable).sort(newestFirst)[0] ?? null;
}

function newestFirst(a: Backup, b: Backup): number {
  const byTime = finishedMs(b) - finishedMs(a);
  if (byTime !== 0) return byTime;
  return a.label < b.label ? -1 : Number(a.label > b.label);
}

/** A running backup counts as the newest of all; it is never provable. */
function finishedMs({ finishedAt }: Backup): number {
  const at = finishedAt === null ? Number.NaN : Date.parse(finishedAt);
  return Number.isNaN(at) ? Number.MAX_SAFE_INTEGER : at;
}

function newestProven(
  backups: readonly Backup[],
  records: ReadonlyMap<string, readonly ProofRecord[]>,
  policy: ProofPolicy,
): ProofDecision['newestProven'] {
  for (const backup of backups.filter(isProvable).sort(newestFirst)) {
    const grade = currentGrade(records.get(backup.label) ?? []);
    if (grade !== null && grade >= policy.minimumGrade && backup.finishedAt !== null) {
      return { label: backup.label, grade, finishedAt: backup.finishedAt };
    }
  }
  return null;
}

function findProvable(
  catalog: Catalog,
  records: ReadonlyMap<string, readonly ProofRecord[]>,
  policy: ProofPolicy,
): Position | null {
  const backups = catalog.backups.filter(
    ({ label, kind }) =>
      kind !== 'export' && (currentGrade(records.get(label) ?? []) ?? -1) >= policy.minimumGrade,
  );
  const answer = planRecovery({ ...catalog, backups }, { until: { kind: 'latest' }, lost: 'online-log' });
  return answer.reachable ? answer.target.until : null;
}

/** Holes in the log on CURRENT's path, and who has looked at them. */
export function findGaps(catalog: Catalog, acknowledged: readonly AcknowledgedGap[]): LogGap[] {
  return withAcknowledgements(findCurrentGaps(catalog), acknowledged);
}

/** The same numbers on another branch are another gap. */
export function withAcknowledgements(
  gaps: readonly Omit<LogGap, 'acknowledged'>[],
  acknowledged: readonly AcknowledgedGap[],
): LogGap[] {
  return gaps.map((gap) => {
    const { incarnation, from, to } = gap;
    const known = acknowledged.find(
      (one) => one.incarnation === incarnation && one.from <= from && one.to >= to,
    );
    return { ...gap, acknowledged: known ?? null };
  });
}

function warnOfAge(proven: ProofDecision['newestProven'], policy: ProofPolicy, nowMs: number): string[] {
  if (proven === null) return [`no backup is proven to grade ${policy.minimumGrade}`];
  const age = nowMs - Date.parse(proven.finishedAt);
  if (isAhead(Date.parse(proven.finishedAt), nowMs)) {
    return [
      `the newest proven backup ${proven.label} is dated ${proven.finishedAt}, which lies in the future: how old it is is not known`,
    ];
  }
  if (age <= policy.maximumAgeMs) return [];
  return [
    `the newest proven backup ${proven.label} (grade ${proven.grade}) is ${describeAge(age)} old, the site allows ${describeAge(policy.maximumAgeMs)}`,
  ];
}

function warnOfGaps(gaps: readonly LogGap[]): string[] {
  return gaps
    .filter(({ acknowledged }) => acknowledged === null)
    .map(
      ({ from, to, incarnation }) =>
        `the archived log of incarnation ${incarnation} has a gap from ${from} to ${to}`,
    );
}

/** Two hosts' clocks differ a little; one that was set wrong made times that say nothing of an age. */
const clockSkewMs = 120_000;

function isAhead(atMs: number, nowMs: number): boolean {
  return atMs - nowMs > clockSkewMs;
}

function lower(a: Grade, b: Grade): Grade {
  return a < b ? a : b;
}

function describeAge(ms: number): string {
  const hours = ms / 3_600_000;
  if (hours < 1) return `${Math.max(1, Math.round(ms / 60_000))} min`;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
}
