import { ClonaError } from '../../errors.ts';
import { withProgress, type OnProgress } from '../../progress.ts';
import type { Backup } from '../../recovery/catalog.ts';
import type { Position } from '../../recovery/position.ts';
import type { DatabaseAddress } from '../database.ts';
import { readWallClock } from './clock.ts';
import { connectOracle } from './connect.ts';
import { makeFolder, type OracleTools } from './guest-tools.ts';
import { takeHotBackup } from './hot-backup.ts';
import { hotBackupPorts, markFileOf } from './hot-ports.ts';
import { keepLogs } from './keep-logs.ts';
import { findQuietPoint, type QuietPoint } from './quiet-point.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { joinGuest } from './rman-text.ts';
import {
  readOracleCatalog,
  rememberBackup,
  rememberFacts,
  rememberOracle,
  type OraclePlaces,
} from './site-catalog.ts';

export interface CopiesTask {
  kind: 'hot' | 'quiesced';
  address: DatabaseAddress;
  tools: OracleTools;
  places: OraclePlaces;
  label: string;
  /** quiesced: the longest pause of writers. */
  limitMs: number;
  onProgress: OnProgress;
  now: () => Date;
}

export interface TakenCopies {
  backup: Backup;
  /** Redo that the whole instance wrote meanwhile; null: V$SYSSTAT may not be read. */
  redoBytes: number | null;
  quiet: QuietPoint | null;
  /** Archived logs that were compressed and mirrored. */
  keptLogs: number;
}

/**
 * A hot backup by tablespace into `archive/hot/LABEL`, which the machine of the database sees under the same path; quiesced: and then a
 * moment without a running transaction, up to which the log is part of it. The logs since the oldest such backup are kept
 * compressed in the archive and its mirror (R13, R14), and all of it is remembered.
 */
export async function takeCopies(task: CopiesTask): Promise<TakenCopies> {
  const { kind, address, tools, places, label, onProgress, now } = task;
  if (!/^[\w.-]{1,60}$/.test(label)) throw new ClonaError('usage', `"${label}" is no name for a backup`);
  const { platform } = tools.guest;
  const before = await readOracleCatalog(address, places, tools.signal);
  if (before.readAt !== undefined) await rememberOracle(before, places, before.readAt);
  if (before.catalog.backups.some((backup) => backup.label === label)) {
    throw new ClonaError('usage', `there is a backup ${label} already`);
  }
  const folder = joinGuest(platform, joinGuest(platform, places.archiveDir, 'hot'), label);
  const controlFileCopy = joinGuest(platform, folder, 'control.ctl');
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  const { backup, files, redoBytes } = await takeHotBackup(
    hotBackupPorts({ address, guest: tools.guest, folder, markFile: markFileOf(places.archiveDir) }),
    {
      label,
      incarnation: before.catalog.currentIncarnation,
      controlFileCopy,
      device: folder,
      signal: tools.signal,
      onProgress,
      now,
    },
  );
  const quiet = kind === 'quiesced' ? await quieten(task) : null;
  const kept = await withProgress(onProgress, 'keep the archived logs', async () =>
    keep(task, before.facts, lowestStart(before.catalog.backups, backup)),
  );
  const entry: Backup =
    quiet === null
      ? backup
      : {
          ...backup,
          kind: 'quiesced',
          consistentFrom: quiet.consistentFrom,
          finishedAt: now().toISOString(),
          ownLog: true,
        };
  const pieces = [...files.map(({ path }) => path), controlFileCopy];
  await rememberFacts(places, { keptLogs: Object.fromEntries(kept.map((log) => [log.path, log])) });
  await rememberBackup(places, entry, pieces, tools.signal);
  return { backup: entry, redoBytes, quiet, keptLogs: kept.length };
}

async function quieten({
  address,
  tools,
  places,
  limitMs,
  onProgress,
  now,
}: CopiesTask): Promise<QuietPoint> {
  const quiet = await withProgress(onProgress, 'wait for a quiet moment', async () =>
    findQuietPoint({ address, tools, archiveDir: places.archiveDir, limitMs, now: () => now().getTime() }),
  );
  await using session = await connectOracle(address, tools.signal, { module: 'clona quiesced backup' });
  await session.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
  return quiet;
}

/** Where the oldest backup that RMAN did not make begins: its logs are in nobody else's hands. */
function lowestStart(known: readonly Backup[], fresh: Backup): Position {
  return [...known, fresh].reduce<Position>((low, { kind, start, state }) => {
    if ((kind !== 'hot' && kind !== 'quiesced') || start === null || state !== 'available') return low;
    return start < low ? start : low;
  }, fresh.start!); // a hot backup that ended has one
}

async function keep(
  { address, tools, places }: CopiesTask,
  { keptLogs = {}, zone }: RestoreFacts,
  from: Position,
): ReturnType<typeof keepLogs> {
  await using session = await connectOracle(address, tools.signal, { module: 'clona hot backup' });
  return await keepLogs({
    session,
    guest: tools.guest,
    archiveDir: places.archiveDir,
    mirrorDir: places.mirrorDir,
    from,
    kept: keptLogs,
    toInstant: readWallClock(zone),
    signal: tools.signal,
  });
}
