import { ClonaError } from '../../../../errors.ts';
import type { PlanAnswer } from '../../../../recovery/answer.ts';
import type { Catalog } from '../../../../recovery/catalog.ts';
import type { Path } from '../../../../recovery/lineage.ts';
import { asPosition, type Position } from '../../../../recovery/position.ts';
import type { Until } from '../../../../recovery/question.ts';
import type { ArchiveCatalog } from '../../catalog.ts';
import { formatLsn, formatSegmentName } from '../../lsn.ts';
import { availableOn } from './log-to-replay.ts';

/** First position behind all that is known on a path, and its time. */
export interface KnownEnd {
  position: Position;
  time: string | null;
}

export function endOf(catalog: Catalog, path: Path): KnownEnd {
  let position = asPosition(0n);
  let time: string | null = null;
  for (const log of catalog.logs) {
    const depth = path.depthOf.get(log.incarnation);
    if (depth === undefined) continue;
    const cut = path.cuts[depth] ?? null;
    const end = cut !== null && cut < log.next ? cut : log.next;
    if (end > position && end > log.first) {
      position = end;
      time = log.nextTime;
    }
  }
  for (const { incarnation, consistentFrom, state } of catalog.backups) {
    if (state !== 'available' || !path.depthOf.has(incarnation) || consistentFrom === null) continue;
    if (consistentFrom > position) position = consistentFrom;
  }
  return { position, time };
}

/** R3 would call the end before a gap "latest"; restoring that without a word would lose what the archive has. */
export function refuseGap(archive: ArchiveCatalog, until: Until, plan: PlanAnswer, path: Path): void {
  const wantsEnd = until.kind === 'latest' || (until.kind === 'incarnation' && until.position === null);
  const reached = plan.redoTo;
  if (!wantsEnd || reached === null || endOf(archive.catalog, path).position <= reached) return;
  const gaps = nameGaps(archive, path, reached);
  throw new ClonaError(
    'archiveGap',
    `the log has a gap at ${formatLsn(reached)}: ${gaps.length > 0 ? gaps.join(', ') : 'a segment'} missing or damaged`,
    {
      cause: whyDamaged(archive, gaps),
      hint: `name the mirror, or say that everything behind is given up: --until ${acceptGap(until, reached)}`,
      details: { segments: gaps, reachable: reached.toString() },
    },
  );
}

/** What was found wrong with these segments when the archive was looked at. */
function whyDamaged({ folders, header }: ArchiveCatalog, names: readonly string[]): Error | undefined {
  const problems = folders
    .flatMap((folder) => folder.segments)
    .filter(
      (segment) =>
        segment.problem !== null && names.includes(formatSegmentName(segment, header.segmentSizeBytes)),
    )
    .map(({ problem }) => problem);
  return problems.length === 0 ? undefined : new Error(problems.join('; '));
}

function acceptGap(until: Until, reached: Position): string {
  return until.kind === 'incarnation' ? `incarnation:${until.incarnation}@${reached}` : `position:${reached}`;
}

/** Names of the segments from `from` on that no copy has whole, up to the next one that is there. */
export function nameGaps(archive: ArchiveCatalog, path: Path, from: Position): string[] {
  const { segmentSizeBytes } = archive.header;
  const present = new Set(availableOn(archive, path).map(({ number }) => number));
  // The last one known, whole or not: logs may be too many to be arguments of one call.
  const last = archive.catalog.logs.reduce(
    (highest, { incarnation, sequence }) =>
      path.depthOf.has(incarnation) && sequence > highest ? sequence : highest,
    -1,
  );
  const timelineAt = (number: number): number => {
    const start = BigInt(number) * BigInt(segmentSizeBytes);
    return (
      path.incarnations.findLast(({ branchPosition }) => branchPosition <= start) ?? path.incarnations[0]!
    ).id;
  };
  const gaps: string[] = [];
  for (
    let number = Number(from / BigInt(segmentSizeBytes));
    number <= last && gaps.length < 20;
    number += 1
  ) {
    if (!present.has(number))
      gaps.push(formatSegmentName({ timeline: timelineAt(number), number }, segmentSizeBytes));
  }
  return gaps;
}
