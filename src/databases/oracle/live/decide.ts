import { cutOf, readLineage, tracePath } from '../../../recovery/lineage.ts';
import type { Catalog } from '../../../recovery/catalog.ts';
import { asPosition, type Position } from '../../../recovery/position.ts';
import { isBackAt } from '../way-back.ts';
import type { LiveIncarnation, LiveState } from './state.ts';

/**
 * What a promotion notes before it touches LIVE, and hands back when LIVE is to return: plain data, kept in the pipeline's state. The
 * incarnation is known by its RESETLOGS_CHANGE#, never by its key (keys change with the control file).
 */
export interface LiveGuard {
  /** flashback: there is a guaranteed restore point; snapshot: only the machine's snapshot leads back. */
  kind: 'flashback' | 'snapshot';
  /** Name of the restore point, used or not. */
  name: string;
  /** SCN of the restore point; of the moment it was noted where there is none. */
  scn: string;
  resetlogs: string;
  /** Why this way, what it does to history, what has to be looked at: shown before the promotion begins. */
  reasons: string[];
}

export type BackDecision =
  | { do: 'go' }
  | { do: 'nothing'; incarnation: LiveIncarnation }
  | { do: 'refuse'; why: string };

const refuse = (why: string): BackDecision => ({ do: 'refuse', why });

/** Whether FLASHBACK DATABASE is to be done, has been done already, or must not be. Pure. */
export function decideFlashBack(state: LiveState, guard: LiveGuard): BackDecision {
  if (guard.kind !== 'flashback') return refuse('there was no guaranteed restore point');
  if (state.cluster) {
    return refuse(
      'LIVE is a cluster: FLASHBACK DATABASE needs every other instance shut down, which clona does not do',
    );
  }
  // Not mounted: it says neither incarnation nor restore point; it is mounted first, and the server refuses by itself.
  if (state.current === null) return { do: 'go' };
  const { current } = state;
  const back = isChildOf(current, guard) && isBackAt(position(current.resetlogs), position(guard.scn));
  if (back && state.openMode === 'READ WRITE') return { do: 'nothing', incarnation: current };
  const point = state.restorePoints.find(({ name }) => name === guard.name);
  if (point === undefined) return refuse(`the restore point ${guard.name} is gone`);
  if (!point.guaranteed) return refuse(`the restore point ${guard.name} is not guaranteed`);
  if (point.scn !== guard.scn) {
    return refuse(
      `the restore point ${guard.name} is at ${point.scn}, not at ${guard.scn}: somebody made it anew`,
    );
  }
  const known = current.resetlogs === guard.resetlogs || isChildOf(current, guard);
  return known
    ? { do: 'go' }
    : refuse(`LIVE is on an incarnation that began at ${current.resetlogs}: somebody reset it since`);
}

/** After the machine was reverted: whether LIVE must be given a new incarnation, or has it already. Pure. */
export function decideReopen(state: LiveState, guard: Pick<LiveGuard, 'resetlogs'>): BackDecision {
  if (state.current === null) return { do: 'go' };
  const { current } = state;
  if (isChildOf(current, guard) && state.openMode === 'READ WRITE')
    return { do: 'nothing', incarnation: current };
  if (current.resetlogs === guard.resetlogs || isChildOf(current, guard)) return { do: 'go' };
  return refuse(
    `LIVE is on an incarnation that began at ${current.resetlogs}, and its snapshot was of the one that began at ${guard.resetlogs}: it is another snapshot`,
  );
}

function isChildOf({ prior }: LiveIncarnation, { resetlogs }: Pick<LiveGuard, 'resetlogs'>): boolean {
  return prior === resetlogs;
}

function position(text: string): Position {
  return asPosition(BigInt(text));
}

export interface ResetForecast {
  /** The incarnation that becomes the parent, and where the new one leaves it (the server may count a record more). */
  parent: number;
  branchPosition: Position;
  /** Backups that still serve the new branch, and those that then serve an ORPHAN only. */
  keeps: string[];
  orphaned: string[];
  /** Archived logs of which everything, or everything past the branch, becomes the ORPHAN's. */
  orphanedLogs: number;
  sentences: string[];
}

/**
 * What RESETLOGS at `at` does to history (R2, R5), shown before anything is done. `resetlogs`: where the incarnation began that LIVE
 * goes back to. Pure; the catalog is production's.
 */
export function foretellReset(catalog: Catalog, resetlogs: Position, at: Position): ResetForecast {
  const lineage = readLineage(catalog);
  const parent =
    catalog.incarnations.find(({ branchPosition }) => branchPosition === resetlogs)?.id ??
    catalog.currentIncarnation;
  const path = tracePath(lineage, parent);
  const currentPath = tracePath(lineage, catalog.currentIncarnation);
  const keeps: string[] = [];
  const orphaned: string[] = [];
  for (const { label, incarnation, consistentFrom, kind, state } of catalog.backups) {
    if (kind === 'export' || consistentFrom === null || state !== 'available') continue;
    // Served nothing on this branch before either.
    if (cutOf(currentPath, incarnation) === undefined) continue;
    const cut = incarnation === parent ? at : cutOf(path, incarnation);
    const serves = cut !== undefined && (cut === null || consistentFrom <= cut);
    (serves ? keeps : orphaned).push(label);
  }
  const orphanedLogs = catalog.logs.filter(
    ({ incarnation, next }) =>
      (incarnation === parent && next > at) ||
      (cutOf(currentPath, incarnation) !== undefined && cutOf(path, incarnation) === undefined),
  ).length;
  return {
    parent,
    branchPosition: at,
    keeps,
    orphaned,
    orphanedLogs,
    sentences: say({ parent, at, keeps, orphaned, orphanedLogs }),
  };
}

function say(facts: {
  parent: number;
  at: Position;
  keeps: readonly string[];
  orphaned: readonly string[];
  orphanedLogs: number;
}): string[] {
  const { parent, at, keeps, orphaned, orphanedLogs } = facts;
  const some = (labels: readonly string[]): string =>
    labels.length > 3 ? `${labels.slice(0, 3).join(', ')} and ${labels.length - 3} more` : labels.join(', ');
  return [
    `LIVE reopens on a new incarnation, a child of ${parent} that begins at ${at}; what was written after ${at} becomes an ORPHAN`,
    orphanedLogs === 0
      ? 'no archived log is left behind'
      : `${orphanedLogs} archived logs are left to the ORPHAN, in whole or from ${at} on`,
    orphaned.length === 0
      ? 'every backup still serves, up to there'
      : `${orphaned.length} backups serve the ORPHAN only: ${some(orphaned)}`,
    keeps.length === 0
      ? 'no backup serves the new incarnation: back up at once'
      : `${keeps.length} backups serve it, the newest ${keeps.at(-1)}; back up at once all the same`,
  ];
}
