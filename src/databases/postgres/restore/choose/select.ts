import type { PlanAnswer } from '../../../../recovery/answer.ts';
import type { Backup, Catalog } from '../../../../recovery/catalog.ts';
import { readLineage, tracePath, type Path } from '../../../../recovery/lineage.ts';
import { planRecovery } from '../../../../recovery/plan.ts';
import type { Position } from '../../../../recovery/position.ts';
import type { Question, Until } from '../../../../recovery/question.ts';
import type { ArchiveCatalog } from '../../catalog.ts';
import type { FoundSegment } from '../../catalog-log.ts';
import { withoutYoungerBackups } from './leave-out.ts';
import { endOf, refuseGap, type KnownEnd } from './log-gaps.ts';
import { segmentsFor } from './log-to-replay.ts';
import { unreachable } from './unreachable.ts';

/** A restore point resolved by reading the log (restore-points.ts). */
export interface RestorePointFound {
  name: string;
  incarnation: number;
  position: Position;
  /** Another restore point of that name lies before it on the same path. */
  isAmbiguous: boolean;
}

/** What the server is told to do with the log. */
export type ServerTarget =
  | { kind: 'end' }
  | { kind: 'position'; position: Position }
  | { kind: 'time'; instantMs: number }
  | { kind: 'name'; name: string }
  | { kind: 'immediate' };

/** What is going to be restored, decided from the catalog alone. */
export interface Selection {
  plan: PlanAnswer;
  backup: Backup;
  /** recovery_target_timeline. */
  timeline: number;
  target: ServerTarget;
  /** Segments in the order in which they are replayed. */
  segments: FoundSegment[];
  /** What a later "latest" could have reached. */
  knownEnd: KnownEnd;
  warnings: string[];
}

/**
 * R1 to R7 over the catalog of an archive. Throws with exit 5 when the target cannot be reached, or only by
 * leaving out log that the archive has (a gap), and with exit 4 when only damaged backups would serve.
 */
export function selectRecovery(
  archive: ArchiveCatalog,
  until: Until,
  point: RestorePointFound | null,
): Selection {
  const catalog =
    until.kind === 'time' ? withoutYoungerBackups(archive.catalog, until.instantMs) : archive.catalog;
  const question: Question = { until, lost: 'online-log' };
  const plan = planRecovery(catalog, question);
  const path = pathOf(catalog, until);
  if (!plan.reachable || plan.backup === null || plan.target.until === null) {
    throw unreachable(archive, until, plan, path);
  }
  refuseGap(archive, until, plan, path);
  const backup = catalog.backups.find(({ label }) => label === plan.backup)!; // the plan chose it from there
  const timeline = timelineToFollow(plan, path);
  const segments = segmentsFor(archive, until, plan, path);
  return {
    plan,
    backup,
    timeline,
    target: targetOf(archive, until, plan, point),
    segments,
    knownEnd: endOf(catalog, path),
    warnings: [
      ...plan.warnings,
      ...olderThanWanted(archive.catalog, backup),
      ...withoutLog(until, segments, backup),
    ],
  };
}

function pathOf(catalog: Catalog, until: Until): Path {
  const lineage = readLineage(catalog);
  if (until.kind === 'incarnation') return tracePath(lineage, until.incarnation);
  if (until.kind === 'backup') {
    const backup = catalog.backups.find(({ label }) => label === until.label);
    return tracePath(lineage, backup?.incarnation ?? catalog.currentIncarnation);
  }
  return tracePath(lineage, catalog.currentIncarnation);
}

/**
 * The timeline whose state is wanted; the one asked for where only its own first segment holds the parent's tail (A1).
 * With the former the server names the true parent in its .history file.
 */
function timelineToFollow(plan: PlanAnswer, path: Path): number {
  const owner = plan.target.incarnation;
  const depth = path.depthOf.get(owner) ?? 0;
  const isBeyond = plan.logs.some(({ incarnation }) => (path.depthOf.get(incarnation) ?? 0) > depth);
  return isBeyond ? path.incarnations.at(-1)!.id : owner; // a path has at least its root
}

function targetOf(
  { folders }: ArchiveCatalog,
  until: Until,
  plan: PlanAnswer,
  point: RestorePointFound | null,
): ServerTarget {
  switch (until.kind) {
    case 'latest':
      return { kind: 'end' };
    case 'time':
      return { kind: 'time', instantMs: until.instantMs };
    case 'backup': {
      const header = folders
        .flatMap((folder) => folder.backups)
        .find(({ label }) => label === plan.backup)?.header;
      // Nothing lies behind a cold backup's checkpoint: the end of what it carries is its own.
      if (header?.kind === 'cold') return { kind: 'end' };
      const name = header?.restorePoint ?? null;
      return name === null ? { kind: 'immediate' } : { kind: 'name', name };
    }
    case 'position':
      return { kind: 'position', position: until.position };
    case 'incarnation':
      if (until.position === null) return { kind: 'end' };
      if (point !== null && !point.isAmbiguous) return { kind: 'name', name: point.name };
      return { kind: 'position', position: until.position };
  }
}

/** "The end of the log" of an archive without log is the end of the backup, and that can be long ago. */
function withoutLog(until: Until, segments: readonly FoundSegment[], backup: Backup): string[] {
  const wantsEnd = until.kind === 'latest' || (until.kind === 'incarnation' && until.position === null);
  if (!wantsEnd || segments.length > 0) return [];
  return [
    `the archive holds no log behind backup ${backup.label}: what was committed after ${backup.finishedAt ?? 'its end'} is not in it`,
  ];
}

/** A backup with less redo to apply exists but is damaged: the older one serves, and that is said. */
function olderThanWanted(catalog: Catalog, chosen: Backup): string[] {
  return catalog.backups
    .filter(
      ({ state, start }) =>
        state !== 'available' && start !== null && chosen.start !== null && start > chosen.start,
    )
    .map(
      ({ label, state }) =>
        `backup ${label} is ${state}: the older ${chosen.label} serves, with more log to replay`,
    );
}
