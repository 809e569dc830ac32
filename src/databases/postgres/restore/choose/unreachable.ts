import { ClonaError } from '../../../../errors.ts';
import { planToJson, type PlanAnswer } from '../../../../recovery/answer.ts';
import type { Backup, Catalog } from '../../../../recovery/catalog.ts';
import { showInstant } from '../../../../recovery/instant.ts';
import type { Path } from '../../../../recovery/lineage.ts';
import type { Position } from '../../../../recovery/position.ts';
import type { Until } from '../../../../recovery/question.ts';
import type { ArchiveCatalog } from '../../catalog.ts';
import { formatLsn, formatTimeline } from '../../lsn.ts';
import { nameGaps } from './log-gaps.ts';
import { withoutYoungerBackups } from './leave-out.ts';

export function unreachable(archive: ArchiveCatalog, until: Until, plan: PlanAnswer, path: Path): ClonaError {
  const details = planToJson(plan);
  if (archive.catalog.backups.length === 0) {
    return new ClonaError('targetUnreachable', 'the archive holds no backup', {
      hint: 'name the mirror, where it may have been left; clona backup takes a new one',
      details,
    });
  }
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
  const lost = lostHistory(archive, path);
  if (lost !== null) return lostBranch(archive, lost, cause, details);
  return new ClonaError('targetUnreachable', `no backup reaches ${describeUntil(until)}`, {
    cause,
    hint: nearest === '' ? hintWithoutNearest(archive.catalog, until) : `nearest${nearest}`,
    details,
  });
}

/** The timeline that the path begins with, where nothing tells what came before it. Only the first of all has no .history file. */
function lostHistory({ histories }: ArchiveCatalog, path: Path): number | null {
  const root = path.incarnations[0]?.id ?? 1;
  return root === 1 || histories.some(({ timeline }) => timeline === root) ? null : root;
}

function lostBranch(
  { catalog, folders }: ArchiveCatalog,
  timeline: number,
  cause: Error,
  details: Record<string, unknown>,
): ClonaError {
  const name = `${formatTimeline(timeline)}.history`;
  const copy = folders.flatMap((folder) => folder.histories).find((one) => one.timeline === timeline);
  const others = catalog.incarnations.filter(({ id }) => id < timeline).map(({ id }) => `incarnation:${id}`);
  const before = others.length === 0 ? '' : `; what came before it is reached by ${others.join(' or ')}`;
  return new ClonaError(
    copy === undefined ? 'targetUnreachable' : 'archiveDamaged',
    `${copy?.problem ?? `${name} is missing`}: nothing tells where the log of incarnation ${timeline} belongs`,
    {
      cause,
      hint: `bring ${name} back into the archive's folder log, from the mirror or from pg_wal of the server, or name the mirror${before}`,
      details: { ...details, file: copy?.path ?? name },
    },
  );
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
