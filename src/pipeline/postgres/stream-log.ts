import { link, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errorCode } from '../../archive/durable-file.ts';
import { locateLogFile } from '../../archive/log-file.ts';
import {
  listMirrored,
  mirrorFolder,
  readMirrorStatus,
  writeMirrorStatus,
  type MirrorStatus,
} from '../../archive/log-mirror.ts';
import type { Archive } from '../../archive/repository.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { listFolder } from '../../databases/postgres/catalog-folder.ts';
import { connect } from '../../databases/postgres/connect.ts';
import { drainSpool } from '../../databases/postgres/log-archive.ts';
import { receiveLog } from '../../databases/postgres/log-receiver.ts';
import { ensureSlot, switchLog } from '../../databases/postgres/log-slot.ts';
import { parseSegmentName, segmentStart } from '../../databases/postgres/lsn.ts';
import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import { dropArchivedStreams } from '../archived-streams.ts';
import { listStreamPlaces } from '../log-streams.ts';
import type { Work } from '../machine/platform.ts';

/** How long a stream may bring nothing before it counts as broken, in milliseconds. */
const patienceMs = 60_000;

/** Makes the slots of the streams: from now on LIVE keeps its log for them, which is where a backup's log must begin. */
export async function reserveStreams(
  site: Site,
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<void> {
  await using session = await connect(address, signal, { applicationName: 'clona log archiver' });
  for (const { slot } of listStreamPlaces(site)) await ensureSlot(session, slot);
}

/**
 * The log of such a LIVE up to now: switched there, streamed to archive and mirror, each segment that
 * is whole compressed there. Nothing is set up on LIVE but the right to replicate. Gives the last segment's name.
 */
export async function archiveByStream(
  site: Site,
  address: DatabaseAddress,
  open: { archive: Archive; mirror: Archive | undefined },
  work: Work,
): Promise<string> {
  await reserveStreams(site, address, work.signal);
  const { segmentSizeBytes } = open.archive.header;
  const name = await switchNow(address, work.signal);
  const segment = parseSegmentName(name, segmentSizeBytes);
  if (segment === undefined) throw new ClonaError('databaseFailed', `LIVE calls its log segment ${name}`);
  const end = segmentStart(segment.number + 1, segmentSizeBytes);
  const places = listStreamPlaces(site);
  await Promise.all(
    places.map(async ({ destination, slot }) => {
      const archive = destination === 'archive' ? open.archive : open.mirror;
      if (archive !== undefined) await receiveTo(end, { address, archive, slot }, work);
    }),
  );
  await compressStreams(site, open, work);
  return name;
}

async function switchNow(address: DatabaseAddress, signal: AbortSignal): Promise<string> {
  await using session = await connect(address, signal, { applicationName: 'clona log archiver' });
  return await switchLog(session);
}

interface Stream {
  address: DatabaseAddress;
  archive: Archive;
  slot: string;
}

/** Until everything before `end` is on disk here. */
async function receiveTo(end: bigint, stream: Stream, { signal, onProgress }: Work): Promise<void> {
  const stop = new AbortController();
  let last: MirrorStatus | undefined;
  let patience = setTimeout(() => stop.abort(), patienceMs);
  try {
    await receiveLog({
      ...stream,
      signal: AbortSignal.any([signal, stop.signal]),
      onProgress,
      onStatus: (status) => {
        if (status.flushed !== last?.flushed) {
          clearTimeout(patience);
          patience = setTimeout(() => stop.abort(), patienceMs);
        }
        last = status;
        if (BigInt(status.flushed) >= end) stop.abort();
      },
    });
  } catch (error) {
    signal.throwIfAborted();
    // The server gives a slot to one receiver: clona serve streams already.
    if (error instanceof ClonaError && error.details?.['sqlState'] === '55006') {
      return await waitForOther(end, stream.archive, signal);
    }
    if (!stop.signal.aborted) throw error;
  } finally {
    clearTimeout(patience);
  }
  signal.throwIfAborted();
  if (last !== undefined) await writeMirrorStatus(stream.archive, last);
  if (last === undefined || BigInt(last.flushed) < end) throw lateError(stream.archive);
}

async function waitForOther(end: bigint, archive: Archive, signal: AbortSignal): Promise<void> {
  let known = '';
  for (let until = performance.now() + patienceMs; performance.now() < until;) {
    const flushed = (await readMirrorStatus(archive))?.flushed ?? '';
    if (flushed !== '' && BigInt(flushed) >= end) return;
    if (flushed !== known) until = performance.now() + patienceMs;
    known = flushed;
    await wait(200, undefined, { signal });
  }
  throw lateError(archive);
}

function lateError({ folder }: Archive): ClonaError {
  return new ClonaError('databaseFailed', `the stream of LIVE's log to ${folder} does not come on`, {
    hint: 'see pg_stat_replication on LIVE, and the room on the disk of the archive',
  });
}

/** Whole segments of every stream go compressed into archive and mirror (R13), as from a spool. */
export async function compressStreams(
  site: Site,
  { archive, mirror }: { archive: Archive; mirror: Archive | undefined },
  { signal, onProgress }: Work,
): Promise<void> {
  const all = [archive, ...(mirror === undefined ? [] : [mirror])];
  const spoolDir = await makeSpool(join(archive.folder, mirrorFolder));
  for (const { name: timeline } of await listFolder(join(archive.folder, mirrorFolder))) {
    if (!/^[0-9A-F]{8}$/.test(timeline)) continue;
    for (const { name, path, sizeBytes } of await listMirrored(archive, timeline)) {
      if (sizeBytes !== archive.header.segmentSizeBytes || (await isArchived(all, name))) continue;
      await link(path, join(spoolDir, name)).catch((error: unknown) => {
        // Dropped meanwhile by clona serve, which does that only when it is archived.
        if (errorCode(error) !== 'ENOENT') throw error;
      });
    }
  }
  const level = site.archive.compressionLevel;
  const { problems } = await drainSpool({
    spoolDir,
    archive,
    mirror,
    level,
    now: () => new Date(),
    signal,
    onProgress,
  });
  if (problems[0] !== undefined) throw problems[0];
  await rm(spoolDir, { recursive: true, force: true });
  for (const one of all) await dropArchivedStreams(one);
}

const spoolPrefix = '.whole-';
const spoolLifetimeMs = 3_600_000;

/** Its name is none of a timeline's: nobody takes it for a stream. What a killed run left goes; it held links only. */
async function makeSpool(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const { name } of await listFolder(folder)) {
    const path = join(folder, name);
    if (!name.startsWith(spoolPrefix)) continue;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > spoolLifetimeMs) await rm(path, { recursive: true, force: true });
  }
  return mkdtemp(join(folder, spoolPrefix));
}

async function isArchived(archives: readonly Archive[], name: string): Promise<boolean> {
  const found = await Promise.all(
    archives.map(async ({ folder }) => {
      const path = locateLogFile(folder, name);
      return path !== undefined && (await isThere(path));
    }),
  );
  return found.every(Boolean);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    ({ size }) => size > 0,
    () => false,
  );
}
