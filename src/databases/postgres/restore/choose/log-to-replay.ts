import type { PlanAnswer } from '../../../../recovery/answer.ts';
import type { Path } from '../../../../recovery/lineage.ts';
import type { Until } from '../../../../recovery/question.ts';
import type { ArchiveCatalog } from '../../catalog.ts';
import { segmentForms, type FoundSegment } from '../../catalog-log.ts';

/**
 * The plan's logs. For a time or a position the server needs a record behind the target to stop at, so the log
 * goes on: for a position by one segment, for a time up to one that has a later commit.
 */
export function segmentsFor(
  archive: ArchiveCatalog,
  until: Until,
  plan: PlanAnswer,
  path: Path,
): FoundSegment[] {
  const chosen = new Map<string, FoundSegment>();
  const names = new Set(plan.logs.map(({ incarnation, sequence }) => `${incarnation}/${sequence}`));
  const usable = availableOn(archive, path);
  let last = -1;
  for (const segment of usable) {
    if (!names.has(keyOf(segment))) continue;
    chosen.set(keyOf(segment), segment);
    last = Math.max(last, segment.number);
  }
  if (
    until.kind === 'latest' ||
    until.kind === 'backup' ||
    (until.kind === 'incarnation' && until.position === null)
  ) {
    return inOrder(chosen);
  }
  if (last < 0) last = Number((plan.redoTo ?? 0n) / BigInt(archive.header.segmentSizeBytes)) - 1;
  for (let number = last + 1, isEnough = false; !isEnough; number += 1) {
    const following = usable.filter((segment) => segment.number === number);
    if (following.length === 0) break;
    for (const segment of following) chosen.set(keyOf(segment), segment);
    isEnough =
      until.kind !== 'time' ||
      following.some(({ lastTime }) => lastTime !== null && Date.parse(lastTime) > until.instantMs);
  }
  return inOrder(chosen);
}

function keyOf({ timeline, number }: FoundSegment): string {
  return `${timeline}/${number}`;
}

function inOrder(chosen: ReadonlyMap<string, FoundSegment>): FoundSegment[] {
  return [...chosen.values()].sort((a, b) => a.number - b.number || a.timeline - b.timeline);
}

export function availableOn({ folders, catalog }: ArchiveCatalog, path: Path): FoundSegment[] {
  const states = new Map(catalog.logs.map((log) => [`${log.incarnation}/${log.sequence}`, log.state]));
  const seen = new Set<string>();
  const all = folders.flatMap((folder) => folder.segments);
  return segmentForms
    .flatMap((form) => all.filter((segment) => segment.form === form))
    .filter((segment) => {
      const key = keyOf(segment);
      if (seen.has(key) || segment.state !== 'available' || states.get(key) !== 'available') return false;
      if (!path.depthOf.has(segment.timeline)) return false;
      seen.add(key);
      return true;
    });
}
