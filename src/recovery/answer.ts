import type { ChangeWithoutRedo } from './catalog.ts';
import type { Position } from './position.ts';

export interface LogName {
  incarnation: number;
  thread: number;
  sequence: number;
}

export interface Rejection {
  backup: string;
  reasons: string[];
}

/** What `planRecovery` answers; `planToJson` makes the document of the contract of it. */
export interface PlanAnswer {
  reachable: boolean;
  /** Whose state is reached, and up to where: all changes below `until`. null: no position is known. */
  target: { incarnation: number; until: Position | null };
  backup: string | null;
  /** Archived logs to be at hand, in the order of the path, then thread and sequence (A7). */
  logs: LogName[];
  usesOnlineLog: boolean;
  /** Oracle: RESET DATABASE TO INCARNATION; PostgreSQL: recovery_target_timeline. null: it is CURRENT. */
  resetDatabaseToIncarnation: number | null;
  opensNewIncarnation: boolean;
  redoFrom: Position | null;
  redoTo: Position | null;
  /** What the known log holds beyond the target: positions, and the times where it begins and ends. */
  loss: { positions: bigint | null; from: string | null; to: string | null };
  /** What to do, in order; for an unreachable target: what is left. */
  steps: string[];
  rejected: Rejection[];
  nearest: { below: Position | null; above: Position | null };
  /** Why this backup: one sentence each. */
  chosenBecause: string[];
  warnings: string[];
  /** What the restored database will not have although it lies before the target. */
  changesWithoutRedo: ChangeWithoutRedo[];
  /** ` -> 1 -> 2 -> 4`: the path along which backup and logs were looked for. */
  path: string;
}

const text = (position: bigint | null): string | null => (position === null ? null : position.toString());

/** The document of `clona plan --json`: positions become decimal strings. */
export function planToJson(answer: PlanAnswer): Record<string, unknown> {
  const { target, loss, nearest, changesWithoutRedo } = answer;
  return {
    ...answer,
    target: { incarnation: target.incarnation, until: text(target.until) },
    redoFrom: text(answer.redoFrom),
    redoTo: text(answer.redoTo),
    loss: { ...loss, positions: text(loss.positions) },
    nearest: { below: text(nearest.below), above: text(nearest.above) },
    changesWithoutRedo: changesWithoutRedo.map((change) => ({ ...change, position: text(change.position) })),
  };
}
