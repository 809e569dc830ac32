import { join } from 'node:path/posix';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../../errors.ts';
import type { ArchiveCatalog } from '../catalog.ts';
import type { FoundSegment } from '../catalog-log.ts';
import { formatSegmentName, formatTimeline, segmentStart } from '../lsn.ts';
import { formatHistory } from '../rebuild-histories.ts';
import type { RestorePlace } from './place/place.ts';
import { forEachOf } from './unpack/unpack.ts';

/** Segments that lie ready for the server at most: what bounds the extra space. */
const readyBytes = 2 ** 30;

/**
 * Puts unpacked segments where the server's restore_command takes them from, a window ahead of the server. A segment is
 * proven before the server sees it, and a name that is still to come makes the server wait, so that damage never
 * looks like the end of the log.
 */
export interface LogFeed {
  /** Unpacks the first window. Throws `SegmentDamaged`. */
  begin: () => Promise<void>;
  /** Goes on until every segment was handed over; rejects on damage. */
  keepUp: (signal: AbortSignal) => Promise<void>;
  restoreCommand: string;
  /** Bytes of log handed to the place so far. */
  bytes: () => number;
  /** Damage that the other copy made good. */
  repairs: string[];
}

/** No copy of this segment is whole. */
export class SegmentDamaged extends Error {
  readonly segment: FoundSegment;
  readonly found: ClonaError;

  constructor(segment: FoundSegment, found: ClonaError) {
    super(found.message, { cause: found });
    this.segment = segment;
    this.found = found;
  }
}

export interface LogFeedOptions {
  place: RestorePlace;
  archive: ArchiveCatalog;
  segments: readonly FoundSegment[];
  /** Folder on the file system of the data directory: segments are moved, not copied. */
  folder: string;
  workers: number;
}

export async function openLogFeed(options: LogFeedOptions): Promise<LogFeed> {
  const { place, folder, workers } = options;
  const { segmentSizeBytes } = options.archive.header;
  const window = Math.max(workers, Math.floor(readyBytes / segmentSizeBytes));
  const names = options.segments.map((segment) => formatSegmentName(segment, segmentSizeBytes));
  const repairs: string[] = [];
  let done = 0;
  await prepareFolder(options);
  const announce = async (): Promise<void> =>
    place.writeText(
      join(folder, 'expected'),
      names
        .slice(done)
        .map((name) => `${name}\n`)
        .join(''),
    );
  const put = async (from: number, to: number): Promise<void> => {
    const some = options.segments.slice(from, to);
    await forEachOf(some, workers, async (segment) =>
      putWhole(options, segment, join(folder, 'ready'), repairs),
    );
    done = to;
    await announce();
  };
  await announce();
  return {
    begin: async () => put(0, Math.min(window, names.length)),
    keepUp: async (signal) => {
      while (done < names.length) {
        signal.throwIfAborted();
        const ready = ((await place.list(join(folder, 'ready'))) ?? []).filter(
          (name) => name.length === 24,
        ).length;
        const room = window - ready;
        if (room >= Math.min(workers, names.length - done))
          await put(done, Math.min(done + room, names.length));
        else await wait(100, undefined, { signal });
      }
    },
    restoreCommand: `sh ${quoteCommand(join(folder, 'fetch.sh'))} ${quoteCommand(folder)} %f %p`,
    bytes: () => done * segmentSizeBytes,
    repairs,
  };
}

async function prepareFolder({ place, archive, folder }: LogFeedOptions): Promise<void> {
  await place.remove(folder);
  await place.makeFolder(folder);
  await place.makeFolder(join(folder, 'ready'));
  await place.writeText(join(folder, 'fetch.sh'), fetchScript);
  await writeHistories(place, archive, join(folder, 'ready'));
}

/** In a restore_command a percent sign is doubled, and sh takes single quotes. */
function quoteCommand(path: string): string {
  return `'${path.replaceAll("'", "'\\''").replaceAll('%', '%%')}'`;
}

/**
 * Moves a segment to the server: no byte is copied. Files of timelines are copied, since the server asks for them more
 * than once. A name that is still expected is waited for; past ten minutes the feeder is dead, and a code above 125
 * makes the server stop instead of taking this for the end of the log.
 */
const fetchScript = `# clona: hands the server the file it asks for (restore_command)
case "$2" in
  *.history) exec cp "$1/ready/$2" "$3" 2>/dev/null ;;
esac
tries=0
while ! mv "$1/ready/$2" "$3" 2>/dev/null; do
  grep -qxF "$2" "$1/expected" 2>/dev/null || exec mv "$1/ready/$2" "$3" 2>/dev/null
  tries=$((tries + 1))
  [ "$tries" -gt 12000 ] && exit 130
  sleep 0.05
done
`;

/** Every branch is told, not just the path: the server then gives its new timeline a number that none has. */
async function writeHistories(
  place: RestorePlace,
  { histories }: ArchiveCatalog,
  ready: string,
): Promise<void> {
  for (const history of histories) {
    await place.writeText(join(ready, `${formatTimeline(history.timeline)}.history`), formatHistory(history));
  }
}

async function putWhole(
  options: LogFeedOptions,
  segment: FoundSegment,
  ready: string,
  repairs: string[],
): Promise<void> {
  const { archive, place } = options;
  const { segmentSizeBytes, systemIdentifier } = archive.header;
  const name = formatSegmentName(segment, segmentSizeBytes);
  const copies = copiesOf(archive, segment);
  let problem: ClonaError | undefined;
  for (const copy of copies) {
    try {
      await place.putSegment({
        source: copy.path,
        form: copy.form,
        target: join(ready, name),
        systemIdentifier,
        segmentSizeBytes,
        firstPosition: segmentStart(segment.number, segmentSizeBytes).toString(),
        timeline: segment.timeline,
      });
      if (problem !== undefined)
        repairs.push(`log segment ${name} is damaged in one copy and was taken from ${copy.path}`);
      return;
    } catch (error) {
      if (!isDamage(error)) throw error;
      problem = new ClonaError(error.kind, `log segment ${name} is damaged: ${error.message}`, {
        cause: error,
        details: { segment: name, file: copy.path },
      });
    }
  }
  throw new SegmentDamaged(
    segment,
    problem ?? new ClonaError('archiveGap', `log segment ${name} is missing`),
  );
}

function copiesOf({ folders }: ArchiveCatalog, segment: FoundSegment): FoundSegment[] {
  return folders
    .flatMap((folder) => folder.segments)
    .filter(
      ({ timeline, number, form, state }) =>
        timeline === segment.timeline &&
        number === segment.number &&
        form === segment.form &&
        state === 'available',
    );
}

function isDamage(error: unknown): error is ClonaError {
  return error instanceof ClonaError && (error.kind === 'archiveDamaged' || error.kind === 'archiveForeign');
}
