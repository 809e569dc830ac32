import { ClonaError } from '../../errors.ts';
import type { Incarnation } from '../../recovery/catalog.ts';
import type { ArchiveFolder } from './catalog-files.ts';
import type { FoundSegment } from './catalog-log.ts';
import { formatTimeline } from './lsn.ts';
import { readBranchRecord, rebuildHistories } from './rebuild-histories.ts';
import { buildTimelineTree, type TimelineHistory, type TimelineTree } from './timeline.ts';

export interface FoundIncarnations {
  incarnations: Incarnation[];
  /** Of every timeline whose origin is known, whole or made again. */
  histories: TimelineHistory[];
  /** One sentence each, for people. */
  warnings: string[];
}

/**
 * The incarnations of an archive: of its .history files, whole in one place or made again of what else tells
 * (docs/decisions/0190). `seen`: timelines that backups or segments speak of. What cannot be known stands alone, so that
 * only targets that lead through it are unreachable. Throws `archiveDamaged` where files contradict each other and the log
 * does not say which is right.
 */
export async function readIncarnations(
  folders: readonly ArchiveFolder[],
  segments: readonly FoundSegment[],
  seen: readonly number[],
  signal: AbortSignal,
): Promise<FoundIncarnations> {
  const warnings: string[] = [];
  const found = folders.flatMap((folder) => folder.histories);
  const whole = await chooseVersions(
    found.flatMap(({ history }) => history ?? []),
    segments,
    warnings,
  );
  const all = new Set([...seen, ...found.map(({ timeline }) => timeline)]);
  const { histories, tree } = await makeTree(whole, segments, [...all], warnings, signal);
  const openedAt = new Map<number, string>();
  for (const { timeline, time } of found)
    if (time !== null && !openedAt.has(timeline)) openedAt.set(timeline, time);
  const incarnations = tree.branches.map(({ timeline, parent, branchPosition }): Incarnation => ({
    id: timeline,
    parent,
    branchPosition,
    openedAt: openedAt.get(timeline) ?? null,
  }));
  return { incarnations, histories, warnings: [...warnings, ...tree.warnings] };
}

/** Timelines whose origin nothing tells, though the archive holds older ones: what leads through them is unreachable. */
export function findLostIncarnations(incarnations: readonly Incarnation[]): number[] {
  const oldest = incarnations.reduce((least, { id }) => Math.min(least, id), Number.POSITIVE_INFINITY);
  return incarnations.filter(({ id, parent }) => parent === null && id > oldest).map(({ id }) => id);
}

/**
 * An incarnation that stands alone makes every older one an ORPHAN, and what is obsolete there goes (R10): nothing may be
 * removed by such a catalog. Throws `archiveDamaged`.
 */
export function refuseLostIncarnations(incarnations: readonly Incarnation[]): void {
  const [lost] = findLostIncarnations(incarnations);
  if (lost === undefined) return;
  throw new ClonaError(
    'archiveDamaged',
    `nothing tells where incarnation ${lost} begins: what its backups and logs stand on is not known, and nothing is removed`,
    {
      hint: `bring ${formatTimeline(lost)}.history back into the archive's folder log: from the mirror, or from pg_wal of the server`,
      details: { incarnation: lost },
    },
  );
}

/** Where two places tell of different branches, the log itself says which is right; without its word the first is taken. */
async function chooseVersions(
  found: readonly TimelineHistory[],
  segments: readonly FoundSegment[],
  warnings: string[],
): Promise<TimelineHistory[]> {
  const versions = Map.groupBy(found, ({ timeline }) => timeline);
  const chosen: TimelineHistory[] = [];
  for (const [timeline, [first, ...others]] of versions) {
    if (first === undefined) continue;
    const different = others.filter((other) => describe(other) !== describe(first));
    if (different.length === 0) {
      chosen.push(first);
      continue;
    }
    const right = await asLogSays([first, ...different], segments);
    chosen.push(right ?? first);
    const word = right === undefined ? 'the log does not say which is right' : 'the log says which is right';
    warnings.push(
      `${formatTimeline(timeline)}.history: archive and mirror tell of different branches; ${word}`,
    );
  }
  return chosen;
}

async function makeTree(
  whole: readonly TimelineHistory[],
  segments: readonly FoundSegment[],
  all: readonly number[],
  warnings: string[],
  signal: AbortSignal,
): Promise<{ histories: TimelineHistory[]; tree: TimelineTree }> {
  const withRebuilt = async (good: readonly TimelineHistory[]): Promise<TimelineHistory[]> => {
    const known = new Set(good.map(({ timeline }) => timeline));
    const lost = all.filter((timeline) => timeline > 1 && !known.has(timeline));
    const { histories, told } = await rebuildHistories(lost, good, segments, signal);
    warnings.push(...told);
    return [...good, ...histories];
  };
  const isContradiction = (error: unknown): boolean =>
    error instanceof ClonaError && error.kind === 'archiveDamaged';
  try {
    const histories = await withRebuilt(whole);
    return { histories, tree: buildTimelineTree(histories, all) };
  } catch (error) {
    if (!isContradiction(error)) throw error;
    const good: TimelineHistory[] = [];
    for (const history of whole) if ((await isRefuted(history, segments)) === false) good.push(history);
    if (good.length === whole.length) throw error;
    warnings.push((error as ClonaError).message);
    const histories = await withRebuilt(good);
    return { histories, tree: buildTimelineTree(histories, all) };
  }
}

async function asLogSays(
  versions: readonly TimelineHistory[],
  segments: readonly FoundSegment[],
): Promise<TimelineHistory | undefined> {
  for (const version of versions) {
    const record = await readBranchRecord(version.timeline, segments);
    if (record === null) return undefined;
    if (fits(version, record)) return version;
  }
  return undefined;
}

/** The log names another parent or another switch point. */
async function isRefuted(history: TimelineHistory, segments: readonly FoundSegment[]): Promise<boolean> {
  const record = await readBranchRecord(history.timeline, segments);
  return record !== null && !fits(history, record);
}

function fits(
  { ends }: TimelineHistory,
  record: { parent: number; position: bigint; switchPoint: bigint },
): boolean {
  const last = ends.at(-1);
  return (
    last?.timeline === record.parent &&
    (last.switchPoint === record.position || last.switchPoint === record.switchPoint)
  );
}

function describe({ ends }: TimelineHistory): string {
  return ends.map(({ timeline, switchPoint }) => `${timeline}@${switchPoint}`).join(' ');
}
