import { readFile, stat } from 'node:fs/promises';
import { locateLogFile } from '../../archive/log-file.ts';
import type { Archive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import type { Connection } from './connect.ts';
import { advanceSlot, readSlot, renewSlot } from './log-slot.ts';
import { formatSegmentName, formatTimeline, segmentStart } from './lsn.ts';
import { parseTimelineHistory } from './timeline.ts';

export interface SlotMove {
  /** Where the slot stands now; undefined: it did not move. */
  position: Position | undefined;
  problem: ClonaError | undefined;
}

/** Moves the slot to the end of the unbroken run of segments, from where it stands, that every archive has. */
export async function moveSlot(
  slot: { session: Connection; name: string },
  archive: Archive,
  mirror: Archive | undefined,
): Promise<SlotMove> {
  const { segmentSizeBytes } = archive.header;
  const found = await readSlot(slot.session, slot.name);
  if (found?.restartPosition === undefined) {
    if (found !== undefined) await renewSlot(slot.session, slot.name);
    const problem = new ClonaError(
      'databaseFailed',
      `the slot ${slot.name} ${found === undefined ? 'is gone' : 'has lost log'}`,
      {
        hint: 'it is made anew; what the archives lack is found by the gap check: take a backup soon',
      },
    );
    return { position: undefined, problem };
  }
  const folders = [archive.folder, ...(mirror === undefined ? [] : [mirror.folder])];
  const owner = await readOwners(slot.session, archive);
  const from = Number(found.restartPosition / BigInt(segmentSizeBytes));
  let number = from;
  for (;;) {
    const name = formatSegmentName({ timeline: owner(number), number }, segmentSizeBytes);
    const there = await Promise.all(folders.map(async (folder) => exists(locateLogFile(folder, name) ?? '')));
    if (!there.every(Boolean)) break;
    number += 1;
  }
  if (number === from) return { position: undefined, problem: undefined };
  const position = segmentStart(number, segmentSizeBytes);
  await advanceSlot(slot.session, slot.name, position);
  return { position, problem: undefined };
}

/**
 * On which timeline the server has a segment: the one of its own path that begins in it or before. A segment of the same
 * number on an abandoned timeline proves nothing.
 */
async function readOwners(session: Connection, archive: Archive): Promise<(number: number) => number> {
  const size = BigInt(archive.header.segmentSizeBytes);
  const [row] = await session.query<{ timeline: number }>(
    `SELECT timeline_id AS timeline FROM pg_catalog.pg_control_checkpoint()`,
  );
  const current = row?.timeline ?? 1;
  const path = locateLogFile(archive.folder, `${formatTimeline(current)}.history`) ?? '';
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const ends = text === undefined ? [] : parseTimelineHistory(text, current).ends;
  return (number) => {
    const before = ends.find(({ switchPoint }) => BigInt(number) < switchPoint / size);
    return before?.timeline ?? current;
  };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
