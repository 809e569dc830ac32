import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { archiveError } from '../../archive/durable-file.ts';
import type { ArchiveHeader, LogTrailer } from '../../archive/format.ts';
import { readLogTrailer } from '../../archive/log-file.ts';
import { openRegular, readRegular } from '../../archive/regular-file.ts';
import { listMirrored, mirrorFolder, type MirroredSegment } from '../../archive/log-mirror.ts';
import type { Archive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import type { RecordState } from '../../recovery/catalog.ts';
import { toInstant } from '../../recovery/instant.ts';
import { listFolder } from './catalog-folder.ts';
import { readSegmentIdentity } from './log-records.ts';
import { parseSegmentName, segmentStart } from './lsn.ts';
import { parseTimelineHistory, type TimelineHistory } from './timeline.ts';

/**
 * archived: whole, compressed · partial: the unfinished last one of a timeline that was left, compressed · stream: what a
 * receiver took from the server before the segment was archived, as it is. In this order one hides the next.
 */
export type SegmentForm = 'archived' | 'partial' | 'stream';

export const segmentForms: readonly SegmentForm[] = ['archived', 'partial', 'stream'];

export interface FoundSegment {
  timeline: number;
  number: number;
  form: SegmentForm;
  /** How much of the segment it holds; null: unknown before it is unpacked (`partial`). */
  bytes: number | null;
  path: string;
  state: RecordState;
  problem: string | null;
  /** Times of the first and the last commit in it, and when it was archived; null where unknown. */
  firstTime: string | null;
  lastTime: string | null;
  archivedAt: string | null;
}

export interface FoundHistory {
  timeline: number;
  path: string;
  history: TimelineHistory | null;
  /** null: it cannot be read. */
  time: string | null;
  problem: string | null;
}

/** A line has hardly a hundred bytes, and a timeline one line for each before it. */
export const largestHistoryBytes = 2 ** 20;

/** Looks at every log file of an archive: its name and the trailer at its end, not its content. */
export async function readLogFolder(
  dir: string,
  header: ArchiveHeader,
  warnings: string[],
  signal: AbortSignal,
): Promise<{ segments: FoundSegment[]; histories: FoundHistory[] }> {
  const segments: FoundSegment[] = [];
  const histories: FoundHistory[] = [];
  for (const entry of await listFolder(join(dir, 'log'))) {
    signal.throwIfAborted();
    const path = join(dir, 'log', entry.name);
    const timeline = Number.parseInt(entry.name.slice(0, 8), 16);
    if (entry.isDirectory() && /^[0-9A-F]{8}$/.test(entry.name)) {
      segments.push(...(await readSegments(path, timeline, header, signal)));
    } else if (/^[0-9A-F]{8}\.history$/.test(entry.name) && timeline > 1) {
      histories.push(await readHistory(path, timeline, signal));
    }
  }
  for (const entry of await listFolder(join(dir, mirrorFolder))) {
    if (!entry.isDirectory() || !/^[0-9A-F]{8}$/.test(entry.name)) continue;
    segments.push(...(await readStream({ folder: dir, header }, entry.name, signal)));
  }
  for (const { problem } of [...segments, ...histories]) if (problem !== null) warnings.push(problem);
  return { segments, histories };
}

async function readHistory(path: string, timeline: number, signal: AbortSignal): Promise<FoundHistory> {
  const found: FoundHistory = { timeline, path, time: null, history: null, problem: null };
  try {
    const text = (await readRegular(path, { maxBytes: largestHistoryBytes, signal })).toString('utf8');
    const time = (await stat(path)).mtime.toISOString();
    return { ...found, time, history: parseTimelineHistory(text, timeline) };
  } catch (error) {
    signal.throwIfAborted();
    return { ...found, problem: archiveError(error, path).message };
  }
}

const filesAtOnce = 64;

async function readSegments(
  dir: string,
  timeline: number,
  header: ArchiveHeader,
  signal: AbortSignal,
): Promise<FoundSegment[]> {
  const names = (await listFolder(dir))
    .map((entry) => entry.name)
    .filter((name) => /^[^.].*\.zst$/.test(name));
  const segments: FoundSegment[] = [];
  for (let from = 0; from < names.length; from += filesAtOnce) {
    signal.throwIfAborted();
    const some = names.slice(from, from + filesAtOnce);
    const read = await Promise.all(some.map(async (name) => readSegment(join(dir, name), timeline, header)));
    segments.push(...read.filter((segment) => segment !== null));
  }
  return segments;
}

async function readSegment(
  path: string,
  timeline: number,
  header: ArchiveHeader,
): Promise<FoundSegment | null> {
  const file = basename(path, '.zst');
  const name = parseSegmentName(file.replace(/\.partial$/, ''), header.segmentSizeBytes);
  if (name === undefined) return null;
  const found: FoundSegment = {
    ...name,
    form: file.endsWith('.partial') ? 'partial' : 'archived',
    bytes: file.endsWith('.partial') ? null : header.segmentSizeBytes,
    path,
    state: 'available',
    problem: null,
    firstTime: null,
    lastTime: null,
    archivedAt: null,
  };
  try {
    if (name.timeline !== timeline)
      throw new ClonaError('archiveDamaged', 'it lies in the folder of another timeline');
    const trailer = await readLogTrailer(path);
    checkTrailer(trailer, file, header);
    return {
      ...found,
      firstTime: trailer.firstTime,
      lastTime: trailer.lastTime,
      archivedAt: trailer.archivedAt,
    };
  } catch (error) {
    if (!(error instanceof ClonaError)) throw error;
    return {
      ...found,
      timeline,
      state: 'damaged',
      problem: `log segment ${file} is damaged: ${error.message}`,
    };
  }
}

async function readStream(archive: Archive, timeline: string, signal: AbortSignal): Promise<FoundSegment[]> {
  const found: FoundSegment[] = [];
  for (const mirrored of await listMirrored(archive, timeline)) {
    signal.throwIfAborted();
    const segment = await readStreamed(mirrored, archive.header);
    if (segment !== null && mirrored.sizeBytes > 0) found.push(segment);
  }
  return found;
}

/** Its first page says whose it is; where its content is torn, the server that replays it sees the end of the log. */
async function readStreamed(
  { name, path, sizeBytes }: MirroredSegment,
  header: ArchiveHeader,
): Promise<FoundSegment | null> {
  const segment = parseSegmentName(name, header.segmentSizeBytes);
  if (segment === undefined) return null;
  const found: FoundSegment = {
    ...segment,
    form: 'stream',
    bytes: Math.min(sizeBytes, header.segmentSizeBytes),
    path,
    state: 'available',
    problem: null,
    firstTime: null,
    lastTime: null,
    archivedAt: null,
  };
  const damaged = (what: string): FoundSegment => ({
    ...found,
    state: 'damaged',
    problem: `streamed log segment ${name} is damaged: ${what}`,
  });
  try {
    await using file = await openRegular(path);
    const archivedAt = (await file.stat()).mtime.toISOString();
    const head = Buffer.alloc(firstPageHeaderBytes);
    const { bytesRead } = await file.read(head, 0, firstPageHeaderBytes, 0);
    const identity = readSegmentIdentity(head.subarray(0, bytesRead));
    const isRight =
      identity?.systemIdentifier === header.systemIdentifier &&
      identity.firstPosition === segmentStart(segment.number, header.segmentSizeBytes);
    return { ...(isRight ? found : damaged("its first page is another's")), archivedAt };
  } catch (error) {
    return damaged(archiveError(error, path).message);
  }
}

const firstPageHeaderBytes = 40;

function checkTrailer(trailer: LogTrailer, file: string, header: ArchiveHeader): void {
  if (trailer.systemIdentifier !== header.systemIdentifier) {
    const systems = `it is of system ${trailer.systemIdentifier}, the archive of ${header.systemIdentifier}`;
    throw new ClonaError('archiveForeign', systems);
  }
  const times = [trailer.firstTime, trailer.lastTime, trailer.archivedAt];
  if (times.some((time) => time !== null && toInstant(time) === null)) {
    throw new ClonaError('archiveDamaged', 'its trailer names a time that is none');
  }
  if (trailer.name !== file) throw new ClonaError('archiveDamaged', `its trailer says it is ${trailer.name}`);
  if (trailer.rawBytes !== header.segmentSizeBytes) {
    throw new ClonaError(
      'archiveDamaged',
      `it holds ${trailer.rawBytes} bytes and should hold ${header.segmentSizeBytes}`,
    );
  }
}
