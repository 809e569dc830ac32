import type { AcknowledgedGap } from '../../proof/due.ts';
import { showInstant, toInstant } from '../../recovery/instant.ts';
import { planRecovery } from '../../recovery/plan.ts';
import { asPosition } from '../../recovery/position.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import { listIncarnations } from '../../recovery/incarnations.ts';
import { layTable } from '../../recovery/table.ts';
import { formatLsn, formatSegmentName } from './lsn.ts';

/** A stretch of log that no copy has, between segments that are there. */
export interface LogGap {
  incarnation: number;
  from: string;
  to: string;
  /** First and last segment, by name. */
  segments: [string, string];
}

/** Holes in the log of each incarnation, by position. */
export function findGaps(catalog: Catalog, segmentSizeBytes: number): LogGap[] {
  const gaps: LogGap[] = [];
  for (const { id } of catalog.incarnations) {
    const logs = catalog.logs.filter((log) => log.incarnation === id && log.state === 'available');
    let end: bigint | null = null;
    for (const log of logs.sort((a, b) => a.sequence - b.sequence)) {
      if (end !== null && log.first > end) {
        const name = (position: bigint): string =>
          formatSegmentName(
            { timeline: id, number: Number(position / BigInt(segmentSizeBytes)) },
            segmentSizeBytes,
          );
        gaps.push({
          incarnation: id,
          from: end.toString(),
          to: log.first.toString(),
          segments: [name(end), name(log.first - 1n)],
        });
      }
      if (end === null || log.next > end) end = log.next;
    }
  }
  return gaps;
}

/** The newest backup of the grade that the site wants must not be older than the site allows. */
export function warnAboutAge(
  catalog: Catalog,
  { minimumGrade, maximumAge }: { minimumGrade: number; maximumAge: number },
  nowMs: number,
): string[] {
  const proven = catalog.backups
    .filter(({ grade, state }) => state === 'available' && grade !== null && grade >= minimumGrade)
    .map(({ finishedAt }) => (finishedAt === null ? null : toInstant(finishedAt)) ?? 0);
  const newest = proven.reduce((a, b) => Math.max(a, b), 0);
  if (newest === 0) return [`no backup is proven to grade ${minimumGrade}, which this site demands`];
  if (nowMs - newest <= maximumAge) return [];
  return [
    `the newest backup of grade ${minimumGrade} or better is of ${showInstant(newest)}: older than this site allows`,
  ];
}

/** The catalog as people read it: branches, backups with grades, what can be reached, gaps, warnings. */
export function describeCatalog(
  catalog: Catalog,
  segmentSizeBytes: number,
  warnings: readonly string[],
  acknowledged: readonly AcknowledgedGap[] = [],
): string {
  const incarnations = listIncarnations(catalog);
  const branches = layTable([
    ['incarnation', 'prior', 'begins at', 'status', 'path'],
    ...incarnations.map(({ id, prior, branchPosition, status, path }) => [
      String(id),
      String(prior),
      formatLsn(BigInt(branchPosition)),
      status,
      path,
    ]),
  ]);
  const backups = layTable([
    ['backup', 'incarnation', 'kind', 'start', 'consistent from', 'finished', 'grade', 'state', 'MiB'],
    ...catalog.backups.map((backup) => [
      backup.label,
      String(backup.incarnation),
      backup.kind,
      backup.start === null ? '' : formatLsn(backup.start),
      backup.consistentFrom === null ? '' : formatLsn(backup.consistentFrom),
      backup.finishedAt === null ? '' : showInstant(toInstant(backup.finishedAt) ?? 0),
      backup.grade === null ? 'never proven' : String(backup.grade),
      backup.state,
      backup.bytes === null ? '' : (backup.bytes / 2 ** 20).toFixed(1),
    ]),
  ]);
  const gaps = findGaps(catalog, segmentSizeBytes).map((gap) => describeGap(gap, acknowledged));
  return [
    `database ${catalog.database}, current incarnation ${catalog.currentIncarnation}`,
    '',
    ...branches,
    '',
    ...(catalog.backups.length === 0 ? ['no backup'] : backups),
    '',
    `log: ${catalog.logs.length} segments`,
    ...describeReach(catalog),
    ...gaps,
    ...warnings.map((line) => `warning: ${line}`),
  ].join('\n');
}

/** One that somebody has looked at says who, when and why (clona prove --acknowledge). */
function describeGap(gap: LogGap, acknowledged: readonly AcknowledgedGap[]): string {
  const { incarnation, from, to } = gap;
  const [first, last] = gap.segments;
  const said =
    first === last
      ? `gap in incarnation ${incarnation}: segment ${first} is missing or damaged`
      : `gap in incarnation ${incarnation}: segments ${first} to ${last} are missing or damaged`;
  const known = acknowledged.find(
    (one) => one.incarnation === incarnation && one.from <= BigInt(from) && one.to >= BigInt(to),
  );
  return known === undefined ? said : `${said}; acknowledged by ${known.by} at ${known.at}: ${known.why}`;
}

function describeReach(catalog: Catalog): string[] {
  const latest = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' });
  if (!latest.reachable || latest.redoTo === null) return ['nothing can be reached: no backup serves'];
  const onPath = new Set(latest.path.match(/\d+/g)?.map(Number));
  const usable = catalog.backups.filter(
    ({ incarnation, state, consistentFrom }) =>
      onPath.has(incarnation) && state === 'available' && consistentFrom !== null,
  );
  const oldest = usable
    .map(({ consistentFrom }) => consistentFrom ?? 0n)
    .filter((position) => isReachable(catalog, position))
    .reduce<bigint | null>((a, b) => (a === null || b < a ? b : a), null);
  const proven = usable.filter(({ grade }) => grade !== null && grade >= 3);
  const newest = proven.reduce<bigint | null>(
    (a, { consistentFrom }) => (a === null || consistentFrom! > a ? consistentFrom : a),
    null,
  );
  return [
    `newest position that can be reached: ${formatLsn(latest.redoTo)} from backup ${latest.backup ?? ''}`,
    ...(oldest === null ? [] : [`oldest position that can be reached: ${formatLsn(oldest)}`]),
    newest === null
      ? 'newest proven position: none, no backup was ever restored and opened (grade 3)'
      : `newest proven position: ${formatLsn(newest)} (grade 3 or better)`,
  ];
}

function isReachable(catalog: Catalog, position: bigint): boolean {
  const until = { kind: 'position', position: asPosition(position) } as const;
  return planRecovery(catalog, { until, lost: 'online-log' }).reachable;
}
