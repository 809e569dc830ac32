import { ClonaError } from '../../../errors.ts';
import type { PlanAnswer } from '../../../recovery/answer.ts';
import { planToJson } from '../../../recovery/answer.ts';
import type { ArchivedLog, Backup, Catalog } from '../../../recovery/catalog.ts';
import { showInstant, toInstant } from '../../../recovery/instant.ts';
import { readLineage, tracePath, type Path } from '../../../recovery/lineage.ts';
import { planRecovery } from '../../../recovery/plan.ts';
import { asPosition, type Position } from '../../../recovery/position.ts';
import type { Question, Until } from '../../../recovery/question.ts';
import type { ArchiveCatalog } from '../catalog.ts';
import { segmentForms, type FoundSegment } from '../catalog-log.ts';
import { formatLsn, formatSegmentName } from '../lsn.ts';

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
  /** First position behind all that is known on the path: what a later "latest" could have reached. */
  knownEnd: { position: Position; time: string | null };
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
  return {
    plan,
    backup,
    timeline,
    target: targetOf(archive, until, plan, point),
    segments: segmentsFor(archive, until, plan, path),
    knownEnd: endOf(catalog, path),
    warnings: [...plan.warnings, ...olderThanWanted(archive.catalog, backup)],
  };
}

/** The server does not refuse a time before the backup's end when no commit fell into the backup: we do (DOMAIN.md). */
function withoutYoungerBackups(catalog: Catalog, instantMs: number): Catalog {
  const isOldEnough = ({ finishedAt }: Backup): boolean => {
    const finishedMs = finishedAt === null ? null : toInstant(finishedAt);
    return finishedMs !== null && finishedMs <= instantMs;
  };
  return { ...catalog, backups: catalog.backups.filter(isOldEnough) };
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

/**
 * The plan's logs. For a time or a position the server needs a record behind the target to stop at, so the log
 * goes on: for a position by one segment, for a time up to one that has a later commit.
 */
function segmentsFor(archive: ArchiveCatalog, until: Until, plan: PlanAnswer, path: Path): FoundSegment[] {
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

function availableOn({ folders, catalog }: ArchiveCatalog, path: Path): FoundSegment[] {
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

function endOf(catalog: Catalog, path: Path): Selection['knownEnd'] {
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
function refuseGap(archive: ArchiveCatalog, until: Until, plan: PlanAnswer, path: Path): void {
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

function unreachable(archive: ArchiveCatalog, until: Until, plan: PlanAnswer, path: Path): ClonaError {
  const details = planToJson(plan);
  const broken = archive.catalog.backups.filter(({ state }) => state !== 'available');
  const isAnyWhole = archive.catalog.backups.some(({ state }) => state === 'available');
  const asked = until.kind === 'backup' ? broken.filter(({ label }) => label === until.label) : [];
  const guilty = asked.length > 0 || isAnyWhole ? asked : broken;
  if (guilty.length > 0) return brokenBackups(archive, guilty, details);
  const told = plan.rejected.map(({ backup, reasons }) => `${backup}: ${reasons.join('; ')}`);
  const cause = new Error([...told, ...tooYoung(archive, until)].join(' · '));
  const low = lowestStart(archive.catalog, path, plan.target.until);
  const gaps = low === null ? [] : nameGaps(archive, path, low);
  const nearest = describeNearest(plan);
  if (gaps.length > 0) {
    return new ClonaError('archiveGap', `the log has a gap: ${gaps.join(', ')} missing or damaged`, {
      cause,
      hint: `name the mirror, or take another target${nearest}`,
      details: { ...details, segments: gaps },
    });
  }
  return new ClonaError('targetUnreachable', `no backup reaches ${describeUntil(until)}`, {
    cause,
    hint: nearest === '' ? hintWithoutNearest(archive.catalog, until) : `nearest${nearest}`,
    details,
  });
}

function hintWithoutNearest({ backups }: Catalog, until: Until): string {
  const ends = backups.flatMap(({ finishedAt, state }) =>
    finishedAt === null || state !== 'available' ? [] : [finishedAt],
  );
  const earliest = ends.reduce<string | null>((a, b) => (a === null || b < a ? b : a), null);
  return until.kind === 'time' && earliest !== null
    ? `the earliest time that can be reached is the end of the oldest backup: time:${earliest}`
    : 'clona plan tells why each backup does not serve';
}

/** Backups that ended only after the time asked for. */
function tooYoung({ catalog }: ArchiveCatalog, until: Until): string[] {
  if (until.kind !== 'time') return [];
  const kept = new Set(withoutYoungerBackups(catalog, until.instantMs).backups);
  return catalog.backups
    .filter((backup) => !kept.has(backup))
    .map(
      ({ label, finishedAt }) =>
        `${label}: it ended at ${finishedAt ?? 'an unknown time'}, after the time asked for`,
    );
}

function brokenBackups(
  archive: ArchiveCatalog,
  broken: readonly Backup[],
  details: Record<string, unknown>,
): ClonaError {
  const found = archive.folders.flatMap((folder) => folder.backups);
  const described = broken.map(({ label, state }) => {
    const copy = found.find((one) => one.label === label && one.problem !== null);
    return {
      isForeign: copy?.isForeign ?? false,
      text: `backup ${label} is ${state}: ${copy?.problem ?? 'its content was read'}`,
    };
  });
  const kind = described.every(({ isForeign }) => isForeign) ? 'archiveForeign' : 'archiveDamaged';
  return new ClonaError(kind, described.map(({ text }) => text).join('; '), {
    hint: 'name the mirror, or another backup',
    details,
  });
}

function lowestStart(catalog: Catalog, path: Path, until: Position | null): Position | null {
  const starts = catalog.backups
    .filter(({ incarnation, state }) => path.depthOf.has(incarnation) && state === 'available')
    .filter(({ consistentFrom }) => until === null || (consistentFrom !== null && consistentFrom <= until))
    .flatMap(({ start }) => (start === null ? [] : [start]));
  return starts.length === 0 ? null : starts.reduce((a, b) => (a > b ? a : b));
}

function describeNearest({ nearest: { below, above } }: PlanAnswer): string {
  const named = [below, above].flatMap((position) => (position === null ? [] : [`position:${position}`]));
  return named.length === 0 ? '' : `: ${named.join(' or ')}`;
}

export function describeUntil(until: Until): string {
  switch (until.kind) {
    case 'latest':
      return 'the end of the log';
    case 'position':
      return `position ${formatLsn(until.position)}`;
    case 'time':
      return showInstant(until.instantMs);
    case 'incarnation':
      return until.position === null
        ? `the end of incarnation ${until.incarnation}`
        : `position ${formatLsn(until.position)} of incarnation ${until.incarnation}`;
    case 'backup':
      return `the end of backup ${until.label}`;
  }
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

/** Marks what turned out to be damaged while it was read, for a new selection. */
export function withoutBackup(archive: ArchiveCatalog, label: string): ArchiveCatalog {
  const backups = archive.catalog.backups.map((backup) =>
    backup.label === label ? { ...backup, state: 'damaged' as const } : backup,
  );
  return { ...archive, catalog: { ...archive.catalog, backups } };
}

export function withoutSegment(
  archive: ArchiveCatalog,
  segment: Pick<FoundSegment, 'timeline' | 'number'>,
): ArchiveCatalog {
  const logs = archive.catalog.logs.map((log): ArchivedLog =>
    log.incarnation === segment.timeline && log.sequence === segment.number
      ? { ...log, state: 'damaged' }
      : log,
  );
  return { ...archive, catalog: { ...archive.catalog, logs } };
}
