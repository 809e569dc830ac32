import type { Catalog } from '../../recovery/catalog.ts';
import { listIncarnations } from '../../recovery/incarnations.ts';
import { findGaps } from '../../recovery/gaps.ts';
import { readReach } from '../../recovery/reach.ts';
import { layTable } from '../../recovery/table.ts';

/** The catalog as people read it: branches, backups, what can be reached, warnings. Positions are SCNs. */
export function describeOracleCatalog(catalog: Catalog, warnings: readonly string[]): string {
  const branches = layTable([
    ['incarnation', 'prior', 'begins at', 'status', 'path'],
    ...listIncarnations(catalog).map(({ id, prior, branchPosition, status, path }) => [
      String(id),
      String(prior),
      String(branchPosition),
      status,
      path,
    ]),
  ]);
  const backups = layTable([
    [
      'backup',
      'incarnation',
      'kind',
      'start',
      'consistent from',
      'finished',
      'grade',
      'state',
      'stands on',
      'MiB',
    ],
    ...catalog.backups.map((backup) => [
      backup.label,
      String(backup.incarnation),
      backup.kind,
      String(backup.start ?? ''),
      String(backup.consistentFrom ?? ''),
      backup.finishedAt ?? 'running',
      backup.grade === null ? 'never proven' : String(backup.grade),
      backup.state,
      (backup.requires ?? []).join(', '),
      backup.bytes === null ? '' : (backup.bytes / 2 ** 20).toFixed(1),
    ]),
  ]);
  return [
    `database ${catalog.database}, current incarnation ${catalog.currentIncarnation}`,
    '',
    ...branches,
    '',
    ...(catalog.backups.length === 0 ? ['no backup'] : backups),
    '',
    describeLogs(catalog),
    ...describeReach(catalog),
    ...warnings.map((line) => `warning: ${line}`),
  ].join('\n');
}

function describeLogs({ logs }: Catalog): string {
  const names = new Set(
    logs.map(({ incarnation, thread, sequence }) => `${incarnation}/${thread}/${sequence}`),
  );
  const threads = new Set(logs.map(({ thread }) => thread));
  return `log: ${names.size} archived logs of ${threads.size} thread${threads.size === 1 ? '' : 's'}, ${logs.length} copies`;
}

function describeReach(catalog: Catalog): string[] {
  const { newest, oldest, newestProven } = readReach(catalog);
  if (newest === null) return ['nothing can be reached: no backup serves'];
  return [
    `newest position that can be reached without the online log: ${newest.position} from backup ${newest.backup}`,
    ...(oldest === null ? [] : [`oldest position that can be reached: ${oldest.position}`]),
    newestProven === null
      ? 'newest proven position: none, no backup was ever restored and opened (grade 3)'
      : `newest proven position: ${newestProven.position} (grade 3 or better)`,
    ...findGaps(catalog).map(
      ({ incarnation, thread, from, to }) =>
        `gap in incarnation ${incarnation}, thread ${thread}: no log holds ${from} to ${to}`,
    ),
  ];
}
