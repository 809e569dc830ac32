import { open, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { logTrailerBytes, type ArchiveHeader, type LogTrailer } from '../../archive/format.ts';
import { ClonaError } from '../../errors.ts';
import type { RecordState } from '../../recovery/catalog.ts';
import { listFolder } from './catalog-folder.ts';
import { parseLogTrailer } from './log-trailer.ts';
import { parseSegmentName } from './lsn.ts';
import { parseTimelineHistory, type TimelineHistory } from './timeline.ts';

export interface FoundSegment {
  timeline: number;
  number: number;
  /** The unfinished last segment of a timeline that was left. */
  partial: boolean;
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
  time: string;
  problem: string | null;
}

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
  for (const { problem } of [...segments, ...histories]) if (problem !== null) warnings.push(problem);
  return { segments, histories };
}

async function readHistory(path: string, timeline: number, signal: AbortSignal): Promise<FoundHistory> {
  const found = { timeline, path, time: (await stat(path)).mtime.toISOString() };
  try {
    const text = await readFile(path, { encoding: 'utf8', signal });
    return { ...found, history: parseTimelineHistory(text, timeline), problem: null };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ClonaError)) throw error;
    return { ...found, history: null, problem: error.message };
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
    partial: file.endsWith('.partial'),
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
    const trailer = await readTrailer(path);
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

function checkTrailer(trailer: LogTrailer, file: string, header: ArchiveHeader): void {
  if (trailer.systemIdentifier !== header.systemIdentifier) {
    const systems = `it is of system ${trailer.systemIdentifier}, the archive of ${header.systemIdentifier}`;
    throw new ClonaError('archiveForeign', systems);
  }
  if (trailer.name !== file) throw new ClonaError('archiveDamaged', `its trailer says it is ${trailer.name}`);
  if (trailer.rawBytes !== header.segmentSizeBytes) {
    throw new ClonaError(
      'archiveDamaged',
      `it holds ${trailer.rawBytes} bytes and should hold ${header.segmentSizeBytes}`,
    );
  }
}

const skippableMagic = 0x184d_2a50;
const zstdMagic = 0xfd2f_b528;

/** Reads the facts at the end of a log file, and the mark at its beginning. */
async function readTrailer(path: string): Promise<LogTrailer> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size <= logTrailerBytes + 4) throw new ClonaError('archiveDamaged', 'it is cut off');
    const begin = Buffer.alloc(4);
    const end = Buffer.alloc(logTrailerBytes);
    await file.read(begin, 0, 4, 0);
    await file.read(end, 0, logTrailerBytes, size - logTrailerBytes);
    if (begin.readUInt32LE() !== zstdMagic) throw new ClonaError('archiveDamaged', 'it is no zstd file');
    if (end.readUInt32LE(0) !== skippableMagic || end.readUInt32LE(4) !== logTrailerBytes - 8) {
      throw new ClonaError('archiveDamaged', 'it ends without its trailer');
    }
    return parseLogTrailer(end.toString('utf8', 8));
  } finally {
    await file.close();
  }
}
