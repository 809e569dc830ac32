import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { logTrailerBytes } from '../../../../archive/format.ts';
import { largestLogFileBytes, readRegular } from '../../../../archive/regular-file.ts';
import { ClonaError } from '../../../../errors.ts';
import { readLineage, tracePath, type Path } from '../../../../recovery/lineage.ts';
import { asPosition, type Position } from '../../../../recovery/position.ts';
import type { ArchiveCatalog } from '../../catalog.ts';
import type { FoundSegment } from '../../catalog-log.ts';
import { readLogRecords, restorePointName } from '../../log-records.ts';
import { forEachOf } from '../unpack/unpack.ts';
import type { RestorePointFound } from './select.ts';

const decompress = promisify(zstdDecompress);

/**
 * Finds a restore point by reading the archived log: on CURRENT's path, else on the one other branch that has it. Of several
 * with the same name the last one on the path is meant. Throws `targetUnreachable` where there is none.
 */
export async function findRestorePoint(
  archive: ArchiveCatalog,
  name: string,
  workers: number,
  signal: AbortSignal,
): Promise<RestorePointFound> {
  const found: { timeline: number; position: Position }[] = [];
  await forEachOf(availableSegments(archive), workers, async (segment) => {
    signal.throwIfAborted();
    for (const position of await readPoints(segment, name))
      found.push({ timeline: segment.timeline, position });
  });
  const lineage = readLineage(archive.catalog);
  const others = archive.catalog.incarnations
    .map(({ id }) => id)
    .filter((id) => id !== archive.catalog.currentIncarnation);
  // Deeper branches first: a point of an orphan is meant on the orphan itself.
  for (const id of [archive.catalog.currentIncarnation, ...others.toSorted((a, b) => b - a)]) {
    const path = tracePath(lineage, id);
    const positions = [
      ...new Set(found.filter((point) => liesOn(path, point)).map(({ position }) => position)),
    ];
    const last = positions.reduce<Position | null>((a, b) => (a === null || b > a ? b : a), null);
    if (last !== null) return { name, incarnation: id, position: last, isAmbiguous: positions.length > 1 };
  }
  throw new ClonaError(
    'targetUnreachable',
    `no archived log holds a restore point named ${JSON.stringify(name)}`,
    {
      hint: 'the log of its moment may not be archived yet, or be gone',
    },
  );
}

/** A child's first segment repeats its parent's records: they count for the parent's part of the path. */
function liesOn(path: Path, { timeline, position }: { timeline: number; position: Position }): boolean {
  const depth = path.depthOf.get(timeline);
  if (depth === undefined) return false;
  const cut = path.cuts[depth] ?? null;
  return cut === null || position <= cut;
}

function availableSegments({ folders }: ArchiveCatalog): FoundSegment[] {
  const chosen = new Map<string, FoundSegment>();
  for (const segment of folders.flatMap((folder) => folder.segments)) {
    const key = `${segment.timeline}/${segment.number}/${segment.form}`;
    if (segment.state === 'available' && !chosen.has(key)) chosen.set(key, segment);
  }
  return [...chosen.values()];
}

/** Positions behind each restore point of that name. Damage is left to the restore itself, which names it. */
async function readPoints(segment: FoundSegment, name: string): Promise<Position[]> {
  let raw: Buffer;
  try {
    const file = await readRegular(segment.path, { maxBytes: largestLogFileBytes });
    raw = segment.form === 'stream' ? file : await decompress(file.subarray(0, -logTrailerBytes));
  } catch {
    return [];
  }
  // The quick look that spares reading the records of nearly every segment.
  if (!raw.includes(Buffer.from(name.slice(0, 8)))) return [];
  const points: Position[] = [];
  for (const record of readLogRecords(raw)) {
    if (restorePointName(record) === name) points.push(asPosition(record.end));
  }
  return points;
}
