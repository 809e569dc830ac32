import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { writeDurably, makeFolderDurably } from '../../archive/durable-file.ts';
import {
  listMirrored,
  MirrorWriter,
  writeMirrorStatus,
  type MirrorStatus,
} from '../../archive/log-mirror.ts';
import type { Archive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import { silent, type OnProgress } from '../../progress.ts';
import type { DatabaseAddress } from '../database.ts';
import { connect, quoteIdentifier } from './connect.ts';
import { LogStream } from './log-stream.ts';
import { formatLsn, formatSegmentName, formatTimeline, parseLsn, parseSegmentName } from './lsn.ts';
import { parseTimelineHistory } from './timeline.ts';
import { openReplication, type ReplicationSession } from './replication/session.ts';

export interface ReceiverOptions {
  address: DatabaseAddress;
  /** One receiver a destination: each has its own slot, so that a failing one stops no other (R14). */
  archive: Archive;
  slot: string;
  signal: AbortSignal;
  onProgress?: OnProgress;
  /** Told of every gap that a lost slot left; whoever is told records it. */
  onGap?: (gap: { timeline: number; from: string; to: string }) => void;
  /** Told after each sync. */
  onStatus?: (status: MirrorStatus) => void;
}

interface Point {
  timeline: number;
  position: bigint;
}

/**
 * Receives the log over the streaming replication protocol until the signal is aborted (then it returns), and
 * acknowledges only what is on disk. Follows the server onto a new timeline. Throws `databaseFailed` when the server is
 * gone: `keepReceiving` begins again.
 */
export async function receiveLog(options: ReceiverOptions): Promise<void> {
  const { archive, signal } = options;
  const slot = await prepareSlot(options);
  await using session = await openReplication(options.address, signal);
  const identity = (await session.run('IDENTIFY_SYSTEM'))[0]?.[0] ?? [];
  if (identity[0] !== archive.header.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `the server has system identifier ${identity[0]}, the archive ${archive.folder} that of ${archive.header.systemIdentifier}`,
      { hint: 'a mirror of the log belongs to one database only' },
    );
  }
  const current = { timeline: Number(identity[1]), position: slot.start };
  const mirrored = await findMirroredEnd(archive, await readPath(session, archive, current.timeline));
  const tellGap = ({ timeline, position }: Point): void =>
    options.onGap?.({ timeline, from: String(position), to: String(current.position) });
  if (slot.wasLost && mirrored !== undefined) tellGap(mirrored);
  let at: Point | undefined = slot.wasLost ? current : (mirrored ?? current);
  while (at !== undefined && !signal.aborted) {
    const begun: Point = at;
    const next = await streamTimeline(session, options, begun).catch((error: unknown) => {
      if (!isRemoved(error) || begun === current) throw error;
      // Somebody dropped the slot, and the server has thrown the log away since.
      tellGap(begun);
      return current;
    });
    // A standby that was promoted goes over to its new timeline within the stream: its .history file is kept, too.
    if (next !== undefined && next.timeline !== at.timeline) await readPath(session, archive, next.timeline);
    at = next;
  }
}

/** The server no longer has the log that is asked for (ERRCODE_UNDEFINED_FILE). */
function isRemoved(error: unknown): boolean {
  return error instanceof ClonaError && error.details?.['sqlState'] === '58P01';
}

/** `receiveLog` again and again: a server that restarts or a network that breaks is waited for. */
export async function keepReceiving(options: ReceiverOptions, pauseMs = 1000): Promise<void> {
  const onProgress = options.onProgress ?? silent;
  while (!options.signal.aborted) {
    try {
      await receiveLog(options);
    } catch (error) {
      if (options.signal.aborted) return;
      if (!(error instanceof ClonaError) || error.kind !== 'databaseFailed') throw error;
      onProgress({ step: `mirror of the log by ${options.slot}`, state: 'running', detail: error.message });
    }
    await wait(pauseMs, undefined, { signal: options.signal }).catch(() => {});
  }
}

/** Makes the slot, anew when it was lost, and refuses where a dead receiver could fill production. */
async function prepareSlot({
  address,
  slot,
  signal,
}: ReceiverOptions): Promise<{ wasLost: boolean; start: bigint }> {
  await using connection = await connect(address, signal);
  const [limit] = await connection.query<{ bytes: string }>(
    "select setting as bytes from pg_settings where name = 'max_slot_wal_keep_size'",
  );
  if (Number(limit?.bytes ?? -1) < 0) {
    throw new ClonaError('databaseFailed', 'max_slot_wal_keep_size has no limit on this server', {
      hint: 'set it (for instance to 4GB) before a slot is made: a dead receiver would fill production’s disk',
    });
  }
  const [found] = await connection.query<{ lost: boolean }>(
    "select coalesce(wal_status = 'lost', false) as lost from pg_replication_slots where slot_name = $1",
    [slot],
  );
  if (found?.lost === true) await connection.query('select pg_drop_replication_slot($1)', [slot]);
  if (found === undefined || found.lost) {
    await connection.query('select pg_create_physical_replication_slot($1, true)', [slot]);
  }
  const [kept] = await connection.query<{ lsn: string }>(
    'select restart_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [slot],
  );
  return { wasLost: found?.lost === true, start: parseLsn(kept?.lsn ?? '', `slot ${slot}`) };
}

/** The timelines of the server's own path, newest first, each with the position it was left at. Keeps .history files. */
async function readPath(
  session: ReplicationSession,
  archive: Archive,
  timeline: number,
): Promise<{ timeline: number; end: bigint | undefined; next: number | undefined }[]> {
  if (timeline === 1) return [{ timeline, end: undefined, next: undefined }];
  const [, content] = (await session.run(`TIMELINE_HISTORY ${timeline}`))[0]?.[0] ?? [];
  const text = content ?? '';
  const { ends } = parseTimelineHistory(text, timeline);
  await makeFolderDurably(join(archive.folder, 'log'));
  await writeDurably(join(archive.folder, 'log', `${formatTimeline(timeline)}.history`), text);
  const newer = [...ends.slice(1).map((end) => end.timeline), timeline];
  const older = ends.map((end, index) => ({
    timeline: end.timeline,
    end: end.switchPoint,
    next: newer[index],
  }));
  return [{ timeline, end: undefined, next: undefined }, ...older.toReversed()];
}

/** Where the mirror ends on the server's path; past a branch it goes on at the branch. Undefined: nothing is there. */
async function findMirroredEnd(
  archive: Archive,
  path: Awaited<ReturnType<typeof readPath>>,
): Promise<Point | undefined> {
  const size = archive.header.segmentSizeBytes;
  for (const { timeline, end, next } of path) {
    const last = (await listMirrored(archive, formatTimeline(timeline))).at(-1);
    const name = last === undefined ? undefined : parseSegmentName(last.name, size);
    if (last === undefined || name === undefined) continue;
    const position = BigInt(name.number) * BigInt(size) + BigInt(last.sizeBytes);
    if (end !== undefined && next !== undefined && position >= end) return { timeline: next, position: end };
    return { timeline, position };
  }
  return undefined;
}

/** Streams one timeline; gives the next one when the server changed over, undefined when we were asked to stop. */
async function streamTimeline(
  session: ReplicationSession,
  options: ReceiverOptions,
  { timeline, position }: Point,
): Promise<Point | undefined> {
  const { archive, slot, signal } = options;
  const size = archive.header.segmentSizeBytes;
  // From the beginning of the segment: what lies there may end in the middle of a write that never became durable.
  const start = position - (position % BigInt(size));
  await using writer = new MirrorWriter(archive, formatTimeline(timeline), (number) =>
    formatSegmentName({ timeline, number }, size),
  );
  const stream = new LogStream((body) => session.sendCopy(body), start);
  const command = `START_REPLICATION SLOT ${quoteIdentifier(slot)} PHYSICAL ${formatLsn(start)} TIMELINE ${timeline}`;
  const ended = session.run(command, stream.taker).finally(() => stream.end());
  // Handled below; without this an early failure would be called unhandled while the disk is waited for.
  ended.catch(() => {});
  let reportedAt = 0;
  for (;;) {
    const batch = await stream.next(signal);
    if (batch === undefined) break;
    for (const { position, bytes } of batch) await writer.write(position, bytes);
    if (batch.length > 0) await writer.sync();
    stream.acknowledge(new Date());
    const status = { format: 1 as const, timeline, ...stream.status(new Date()) };
    options.onStatus?.(status);
    if (Date.now() - reportedAt > 1000) {
      reportedAt = Date.now();
      await makeFolderDurably(join(archive.folder, 'stream'));
      await writeMirrorStatus(archive, status);
    }
  }
  if (signal.aborted) return undefined;
  const rows = await ended;
  const [nextTimeline, nextPosition] = rows.at(0)?.[0] ?? [];
  if (nextTimeline === undefined || nextTimeline === null) {
    throw new ClonaError('databaseFailed', 'the server ended the stream of its log');
  }
  return { timeline: Number(nextTimeline), position: parseLsn(nextPosition ?? '', 'START_REPLICATION') };
}
