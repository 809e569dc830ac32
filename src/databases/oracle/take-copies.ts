import { ClonaError } from '../../errors.ts';
import { withProgress, type OnProgress } from '../../progress.ts';
import type { Backup } from '../../recovery/catalog.ts';
import type { Position } from '../../recovery/position.ts';
import type { DatabaseAddress } from '../database.ts';
import { readWallClock } from './clock.ts';
import { connectOracle } from './connect.ts';
import { makeFolder, type OracleTools } from './guest-tools.ts';
import { takeHotBackup, type HotBackup } from './hot-backup.ts';
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
  const { address, tools, places, label, onProgress, now } = task;
  if (!/^\w[\w.-]{0,59}$/.test(label)) throw new ClonaError('usage', `"${label}" is no name for a backup`);
  const { platform } = tools.guest;
  const before = await readOracleCatalog(address, places, tools.signal);
  if (before.readAt !== undefined) await rememberOracle(before, places, before.readAt);
  if (before.catalog.backups.some((backup) => backup.label === label)) {
    throw new ClonaError('usage', `there is a backup ${label} already`);
  }
  const folder = joinGuest(platform, joinGuest(platform, places.archiveDir, 'hot'), label);
  const controlFileCopy = joinGuest(platform, folder, 'control.ctl');
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  await requireNoFiles(tools, folder);
  const taken = await copyAll(task, folder, controlFileCopy, before.catalog.currentIncarnation).catch(
    async (error: unknown) => {
      // What is half of a backup is none, and takes the room of one.
      await tools.guest
        .run(['rm', '-rf', '--', folder], { signal: AbortSignal.timeout(600_000) })
        .catch(() => {});
      throw error;
    },
  );
  const { backup, files, redoBytes, quiet } = taken;
  const pieces = [...files.map(({ path }) => path), controlFileCopy];
  // It is a backup as long as the server has its logs, whatever becomes of their keeping.
  await rememberBackup(places, backup, pieces, tools.signal);
  const own = {
    files: files.map(({ file, path, sha256 }) => ({ file: Number(file), path, sha256 })),
    controlFile: controlFileCopy,
    logDirs: [],
  };
  await rememberFacts(places, { copies: { [label]: own } });
  const kept = await withProgress(onProgress, 'keep the archived logs', async () =>
    keep(task, before.facts, lowestStart(before.catalog.backups, backup)),
  );
  await rememberFacts(places, { keptLogs: Object.fromEntries(kept.map((log) => [log.path, log])) });
  if (quiet === null) return { backup, redoBytes, quiet, keptLogs: kept.length };
  const entry: Backup = {
    ...backup,
    kind: 'quiesced',
    consistentFrom: quiet.consistentFrom,
    finishedAt: now().toISOString(),
    ownLog: true,
  };
  await rememberBackup(places, entry, pieces, tools.signal);
  return { backup: entry, redoBytes, quiet, keptLogs: kept.length };
}

async function copyAll(
  task: CopiesTask,
  folder: string,
  controlFileCopy: string,
  incarnation: number,
): Promise<HotBackup & { quiet: QuietPoint | null }> {
  const { address, tools, places, label, onProgress, now } = task;
  const { guest, signal } = tools;
  const taken = await takeHotBackup(
    hotBackupPorts({ address, guest, folder, markFile: markFileOf(places.archiveDir) }),
    { label, incarnation, controlFileCopy, device: folder, signal, onProgress, now },
  );
  return { ...taken, quiet: task.kind === 'quiesced' ? await quieten(task) : null };
}

/** A backup that the catalog has lost must not be written over. */
async function requireNoFiles({ guest, signal }: OracleTools, folder: string): Promise<void> {
  await makeFolder(guest, folder, signal);
  const found = await guest.list(folder, signal);
  if (found.length === 0) return;
  throw new ClonaError('targetOccupied', `${folder} holds ${found.length} files: nothing is written over`, {
    hint: 'give another --label; what a killed backup left there may be removed by hand',
  });
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
