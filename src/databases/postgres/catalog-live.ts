import type { Catalog, Incarnation, OnlineLog } from '../../recovery/catalog.ts';
import { ClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import { findLostIncarnations } from './catalog-histories.ts';
import { connect, type Connection } from './connect.ts';
import { formatTimeline, parseLsn, parseSegmentName, segmentStart } from './lsn.ts';
import { buildTimelineTree, parseTimelineHistory } from './timeline.ts';

interface LiveRow extends Record<string, unknown> {
  system: string;
  standby: boolean;
  segmentsize: number;
  position: string | null;
  file: string | null;
  checkpointtimeline: number;
  now: Date;
}

/**
 * Adds what only the running server knows: which incarnation is CURRENT, and the log that is not archived yet. A standby
 * has no log of its own, so it only names the incarnation. The role needs pg_monitor (pg_ls_waldir); a timeline whose
 * .history file is not archived yet is read from the server, which takes pg_read_server_files.
 * Throws `archiveForeign` when the server is not the one the archive belongs to.
 */
export async function addLiveFacts(
  catalog: Catalog,
  address: DatabaseAddress,
  signal: AbortSignal,
  systemIdentifier?: string,
): Promise<Catalog> {
  await using session = await connect(address, signal, { applicationName: 'clona catalog' });
  const [row] = await session.query<LiveRow>(
    `SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) AS system,
            pg_catalog.pg_is_in_recovery() AS standby,
            (SELECT bytes_per_wal_segment FROM pg_catalog.pg_control_init()) AS segmentsize,
            CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE pg_catalog.pg_current_wal_flush_lsn()::text END AS position,
            CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
                 ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()) END AS file,
            (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()) AS checkpointtimeline,
            pg_catalog.clock_timestamp() AS now`,
  );
  if (row === undefined) throw new ClonaError('databaseFailed', 'the server does not say who it is');
  if (systemIdentifier !== undefined && row.system !== systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `the server is system ${row.system}, the archive is of ${systemIdentifier}`,
      {
        hint: 'name the archive of this server',
      },
    );
  }
  const timeline = row.file === null ? row.checkpointtimeline : Number.parseInt(row.file.slice(0, 8), 16);
  const incarnations = await addTimeline(session, catalog, timeline);
  const onlineLogs = row.position === null ? [] : await readOnlineLog(session, catalog, timeline, row);
  return { ...catalog, currentIncarnation: timeline, incarnations, onlineLogs };
}

async function addTimeline(session: Connection, catalog: Catalog, timeline: number): Promise<Incarnation[]> {
  const isLost = findLostIncarnations(catalog.incarnations).includes(timeline);
  if (!isLost && catalog.incarnations.some(({ id }) => id === timeline)) return catalog.incarnations;
  try {
    return await readTimeline(session, catalog, timeline);
  } catch (error) {
    // Known from the archive, if without its origin: that is named there already.
    if (isLost && error instanceof ClonaError) return catalog.incarnations;
    throw error;
  }
}

async function readTimeline(session: Connection, catalog: Catalog, timeline: number): Promise<Incarnation[]> {
  const file = `pg_wal/${formatTimeline(timeline)}.history`;
  const [row] = await session.query<{ text: string | null; at: Date | null }>(
    `SELECT pg_catalog.pg_read_file($1, 0, 1000000, true) AS text, (pg_catalog.pg_stat_file($1, true)).modification AS at`,
    [file],
  );
  if (row?.text === null || row === undefined) {
    throw new ClonaError('databaseFailed', `the server is on timeline ${timeline} and has no ${file}`);
  }
  const { branches } = buildTimelineTree([parseTimelineHistory(row.text, timeline)], []);
  const others = catalog.incarnations.filter(({ id }) => id !== timeline);
  const known = new Set(others.map(({ id }) => id));
  const added = branches
    .filter((branch) => !known.has(branch.timeline))
    .map((branch) => ({
      id: branch.timeline,
      parent: branch.parent,
      branchPosition: branch.branchPosition,
      openedAt: branch.timeline === timeline ? (row.at?.toISOString() ?? null) : null,
    }));
  return [...others, ...added].sort((a, b) => a.id - b.id);
}

/** The unbroken run of segments in pg_wal that ends with the current one. */
async function readOnlineLog(
  session: Connection,
  catalog: Catalog,
  timeline: number,
  row: LiveRow,
): Promise<OnlineLog[]> {
  if (row.position === null) return [];
  const end = parseLsn(row.position, 'the server');
  const files = await session.query<{ name: string }>(`SELECT name FROM pg_catalog.pg_ls_waldir()`);
  const numbers = new Set(
    files.flatMap(({ name }) => {
      const segment = parseSegmentName(name, row.segmentsize);
      return segment?.timeline === timeline ? [segment.number] : [];
    }),
  );
  let number = Number(end / BigInt(row.segmentsize));
  // A position at the very end of a segment lies in the one before, whose successor may not exist yet.
  if (!numbers.has(number) && end % BigInt(row.segmentsize) === 0n) number -= 1;
  while (numbers.has(number - 1)) number -= 1;
  const before = catalog.logs.findLast((log) => log.incarnation === timeline && log.sequence === number - 1);
  const first = segmentStart(number, row.segmentsize);
  if (first >= end) return [];
  return [
    {
      incarnation: timeline,
      thread: 1,
      first,
      end,
      firstTime: before?.nextTime ?? null,
      endTime: row.now.toISOString(),
    },
  ];
}
