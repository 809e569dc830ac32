import { withAcknowledgements, type AcknowledgedGap, type LogGap } from '../../proof/due.ts';
import { findGaps } from '../../recovery/gaps.ts';
import { showInstant, toInstant } from '../../recovery/instant.ts';
import { readReach } from '../../recovery/reach.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import { listIncarnations } from '../../recovery/incarnations.ts';
import { layTable } from '../../recovery/table.ts';
import { formatLsn, formatSegmentName } from './lsn.ts';

const clockSkewMs = 120_000;

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
  if (newest - nowMs > clockSkewMs)
    return [
      `the newest proven backup is of ${showInstant(newest)}, which lies in the future: was a clock wrong?`,
    ];
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
  const gaps = withAcknowledgements(findGaps(catalog), acknowledged).map((gap) =>
    describeGap(gap, segmentSizeBytes),
  );
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
function describeGap({ incarnation, from, to, acknowledged }: LogGap, segmentSizeBytes: number): string {
  const size = BigInt(segmentSizeBytes);
  const name = (position: bigint): string =>
    formatSegmentName({ timeline: incarnation, number: Number(position / size) }, segmentSizeBytes);
  const [first, last] = [name(from), name(to - 1n)];
  const said =
    first === last
      ? `gap in incarnation ${incarnation}: segment ${first} is missing or damaged`
      : `gap in incarnation ${incarnation}: segments ${first} to ${last} are missing or damaged`;
  const { by, at, why } = acknowledged ?? {};
  return acknowledged === null ? said : `${said}; acknowledged by ${by} at ${at}: ${why}`;
}

function describeReach(catalog: Catalog): string[] {
  const { newest, oldest, newestProven, newestProvable } = readReach(catalog);
  if (newest === null) return ['nothing can be reached: no backup serves'];
  return [
    `newest position that can be reached: ${formatLsn(newest.position)} from backup ${newest.backup}`,
    ...(oldest === null ? [] : [`oldest position that can be reached: ${formatLsn(oldest.position)}`]),
    newestProven === null
      ? 'newest proven position: none, no backup was ever restored and opened (grade 3)'
      : `newest proven position: ${formatLsn(newestProven.position)} (grade 3 or better)`,
    ...(newestProvable === null ? [] : [`proven backups and the log reach: ${formatLsn(newestProvable)}`]),
  ];
}
