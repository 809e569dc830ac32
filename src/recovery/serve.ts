import type { Backup } from './catalog.ts';
import { coveredUpTo, type Coverage } from './coverage.ts';
import { cutOf, type Path } from './lineage.ts';
import type { Position } from './position.ts';

/** Every "until" from `from` to `to`, both included, that one backup serves on one path. */
export interface Reach {
  from: Position;
  to: Position;
}

/** A finished backup of a kind that can be rolled forward. */
export interface WholeBackup extends Backup {
  start: Position;
  consistentFrom: Position;
  finishedAt: string;
}

/** A23: a backup without its end never serves and never counts. */
export function isRunning(backup: Backup): boolean {
  return backup.consistentFrom === null || backup.finishedAt === null;
}

export function isWhole(backup: Backup): backup is WholeBackup {
  return backup.kind !== 'export' && backup.start !== null && !isRunning(backup);
}

/** First position that must come from the log: what a backup carries itself need not; the numbers decide, not the kind (A10). */
export function lowOf({ ownLog, start, consistentFrom }: WholeBackup): Position {
  return ownLog ? consistentFrom : start;
}

/** R2, but for its state: what the log along the path lets this backup serve; null: nothing. */
export function reachOf(backup: Backup, coverage: Coverage, source: 'archived' | 'usable'): Reach | null {
  if (!isWhole(backup) || !liesOn(coverage.path, backup)) return null;
  const from = backup.consistentFrom;
  const to = coveredUpTo(coverage.threads, lowOf(backup), source);
  return to >= from ? { from, to } : null;
}

/** On the path, and consistent before the path leaves its incarnation. */
export function liesOn(path: Path, { incarnation, consistentFrom }: Backup): boolean {
  const cut = cutOf(path, incarnation);
  return cut !== undefined && consistentFrom !== null && (cut === null || consistentFrom <= cut);
}

/**
 * Labels of the backups that cannot be used because something they stand on (`requires`, at any depth) is not
 * available or not finished, each with one such label.
 */
export function findBroken(backups: readonly Backup[]): ReadonlyMap<string, string> {
  const dependents = new Map<string, string[]>();
  const broken = new Map<string, string>();
  const queue: { label: string; because: string }[] = [];
  for (const backup of backups) {
    for (const base of backup.requires ?? []) {
      const list = dependents.get(base);
      if (list === undefined) dependents.set(base, [backup.label]);
      else list.push(backup.label);
    }
    if (backup.state !== 'available' || isRunning(backup))
      queue.push({ label: backup.label, because: backup.label });
  }
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (const label of dependents.get(next.label) ?? []) {
      if (broken.has(label)) continue;
      broken.set(label, next.because);
      queue.push({ label, because: next.because });
    }
  }
  return broken;
}
