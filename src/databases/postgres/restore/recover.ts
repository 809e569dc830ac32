import { join } from 'node:path/posix';
import type { BackupHeader } from '../../../archive/format.ts';
import { ClonaError } from '../../../errors.ts';
import type { Position } from '../../../recovery/position.ts';
import type { ArchiveCatalog } from '../catalog.ts';
import { formatLsn, formatSegmentName, formatTimeline } from '../lsn.ts';
import { settingLines, type ServerSettings } from '../server-settings.ts';
import { buildTimelineTree, parseTimelineHistory } from '../timeline.ts';
import { isActiveLibrary } from './configuration.ts';
import { demandedSettings } from './configure.ts';
import { judgeRecoveryLog, readLastTransactionTime } from './judge-log.ts';
import type { RestoreLayout } from './layout.ts';
import type { LogFeed } from './log-feed.ts';
import type { PlaceServer, RestorePlace } from './place/place.ts';
import type { Selection, ServerTarget } from './choose/select.ts';

export interface RecoverOptions {
  place: RestorePlace;
  layout: RestoreLayout;
  archive: ArchiveCatalog;
  header: BackupHeader;
  selection: Selection;
  feed: LogFeed;
  /** Larger ones replay faster; default as the server's own. */
  sharedBuffers: string;
  signal: AbortSignal;
}

/** A server that has replayed the log and opened; its configuration is clona's own until it is stopped. */
export interface Recovered {
  server: PlaceServer;
  /** Settings with which it can be started again in the same way. */
  settings: ServerSettings;
  lastTransactionTime: string | null;
  warnings: string[];
}

/**
 * Replays the log up to the target and opens the cluster on a new timeline. The server runs with a configuration of
 * clona's own: no archiving, no network, no jobs, no hot standby. Throws what its log says, in our words.
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { place, layout, selection, signal } = options;
  await place.writeText(layout.recoveryConfiguration, recoveryConfiguration(options));
  await place.writeText(layout.recoveryAccess, 'local all all trust\n');
  await place.writeText(layout.logFile, '');
  await place.writeText(join(layout.partial, 'recovery.signal'), '');
  const warnings: string[] = [];
  let server = await replay(options, selection.target);
  if (server === 'endedBeforeTarget') {
    // Everything below the target was there and has been replayed, and no record lies behind it: that is the target's state.
    await refuseUntaken(options);
    warnings.push(...sayEnded(selection.target));
    signal.throwIfAborted();
    server = await replay(options, { kind: 'end' });
  }
  if (server === 'endedBeforeTarget')
    throw new ClonaError('recoveryFailed', 'the server found no end of its log');
  if (selection.target.kind === 'end') await stopIfUntaken(options, server);
  const log = (await place.readText(layout.logFile)) ?? '';
  return {
    server,
    settings: ownSettings(options),
    lastTransactionTime: readLastTransactionTime(log),
    warnings,
  };
}

function sayEnded(target: ServerTarget): string[] {
  return target.kind === 'time'
    ? [
        `no transaction of the log ended at or after ${new Date(target.instantMs).toISOString()}: everything was replayed`,
      ]
    : [];
}

const longestRecoveryMs = 7 * 24 * 3600 * 1000;

async function replay(
  options: RecoverOptions,
  target: ServerTarget,
): Promise<PlaceServer | 'endedBeforeTarget'> {
  const { place, layout, feed, signal } = options;
  const before = ((await place.readText(layout.logFile)) ?? '').length;
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let feedFailure: Error | undefined;
  const feeding = feed.keepUp(either).catch((error: unknown) => {
    if (!stop.signal.aborted) feedFailure = error instanceof Error ? error : new Error(String(error));
    // The server must not go on when the log it waits for is damaged.
    stop.abort(error);
  });
  try {
    return await place.startServer({
      dataDir: layout.partial,
      logFile: layout.logFile,
      settings: { ...ownSettings(options), ...targetSettings(target, options.selection.timeline) },
      timeoutMs: longestRecoveryMs,
      signal: either,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (feedFailure !== undefined) throw feedFailure;
    const said = ((await place.readText(layout.logFile)) ?? '').slice(before);
    const verdict = judgeRecoveryLog(said);
    if (verdict.kind === 'endedBeforeTarget' && target.kind !== 'end') return 'endedBeforeTarget';
    throw verdict.kind === 'failed' ? verdict.error : error;
  } finally {
    stop.abort(new Error('the server no longer asks'));
    await feeding;
  }
}

/** A server that follows no target opens wherever it can read no further: that must be behind the last segment. */
async function stopIfUntaken(options: RecoverOptions, server: PlaceServer): Promise<void> {
  try {
    await refuseUntaken(options);
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
}

/** A hole in the middle and a target behind the end give the same words (DOMAIN.md): the segments not taken tell them apart. */
async function refuseUntaken({ place, layout, selection, archive }: RecoverOptions): Promise<void> {
  const ready = new Set((await place.list(join(layout.feed, 'ready'))) ?? []);
  const named = selection.segments.map((segment) => ({
    number: segment.number,
    name: formatSegmentName(segment, archive.header.segmentSizeBytes),
  }));
  const lastTaken = Math.max(-1, ...named.filter(({ name }) => !ready.has(name)).map(({ number }) => number));
  const untaken = named.find(({ name, number }) => ready.has(name) && number > lastTaken);
  if (untaken !== undefined) {
    throw new ClonaError(
      'archiveGap',
      `the server read the log only up to the segment before ${untaken.name}`,
      {
        hint: 'a segment before it holds less than it should; another copy or an earlier target may serve',
        details: { segments: [untaken.name] },
      },
    );
  }
}

function targetSettings(target: ServerTarget, timeline: number): ServerSettings {
  const common = {
    recovery_target_timeline: timeline,
    // Hot standby is off, where the default action would just stop the server.
    recovery_target_action: 'promote',
    recovery_target_inclusive: 'off',
  };
  switch (target.kind) {
    case 'end':
      return common;
    case 'position':
      return { ...common, recovery_target_lsn: formatLsn(target.position) };
    case 'time':
      return {
        ...common,
        recovery_target_time: new Date(target.instantMs).toISOString().replace('T', ' ').replace('Z', '+00'),
      };
    case 'name':
      return { ...common, recovery_target_name: target.name };
    case 'immediate':
      return { ...common, recovery_target: 'immediate' };
  }
}

/** Given on the command line, so that postgresql.auto.conf, which the server always reads, changes none of them. */
function ownSettings({ layout, feed, header }: RecoverOptions): ServerSettings {
  const libraries = header.requirements.preloadLibraries.filter((library) => !isActiveLibrary(library));
  return {
    config_file: layout.recoveryConfiguration,
    hba_file: layout.recoveryAccess,
    restore_command: feed.restoreCommand,
    archive_mode: 'off',
    archive_command: '',
    archive_library: '',
    primary_conninfo: '',
    primary_slot_name: '',
    hot_standby: 'off',
    shared_preload_libraries: libraries.join(','),
    session_preload_libraries: '',
    local_preload_libraries: '',
    max_logical_replication_workers: 0,
    synchronous_standby_names: '',
    autovacuum: 'off',
    ssl: 'off',
    external_pid_file: '',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_min_messages: 'warning',
    log_line_prefix: '%m [%p] ',
    lc_messages: 'C',
    log_timezone: 'UTC',
    restart_after_crash: 'off',
    default_transaction_read_only: 'off',
    unix_socket_permissions: '0700',
    ...demandedSettings(header),
    ...(header.serverVersion >= 170_000 ? { event_triggers: 'off' } : {}),
  };
}

/** What may be tuned without harm lies in the file, where the command line does not get too long. */
function recoveryConfiguration({ sharedBuffers }: RecoverOptions): string {
  return settingLines({
    shared_buffers: sharedBuffers,
    max_wal_size: '4GB',
    checkpoint_timeout: '30min',
    // All files were brought to the disk one by one; syncfs would wait for everybody else's as well.
    recovery_init_sync_method: 'fsync',
  });
}

export interface Reached {
  position: Position;
  /** Whose state it is, and the timeline that was opened behind it. */
  timelineBefore: number;
  timelineAfter: number;
}

/** Reads back where recovery ended: the server's own .history file of its new timeline says it (R5). */
export async function readReached(place: RestorePlace, dataDir: string, timeline: number): Promise<Reached> {
  const file = join(dataDir, 'pg_wal', `${formatTimeline(timeline)}.history`);
  const text = await place.readText(file);
  if (text === null) throw new ClonaError('recoveryFailed', `the server wrote no ${file}`);
  const history = parseTimelineHistory(text, timeline);
  const { branches } = buildTimelineTree([history], []);
  const own = branches.find((branch) => branch.timeline === timeline)!; // the file's own timeline is always among them
  return { position: own.branchPosition, timelineBefore: own.parent ?? timeline, timelineAfter: timeline };
}
