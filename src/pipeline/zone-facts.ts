import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Archive } from '../archive/repository.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { readArchive } from '../databases/postgres/catalog.ts';
import { findLostIncarnations } from '../databases/postgres/catalog-histories.ts';
import { addLiveFacts } from '../databases/postgres/catalog-live.ts';
import { formatSegmentName, formatTimeline } from '../databases/postgres/lsn.ts';
import type { Backup, Catalog } from '../recovery/catalog.ts';
import type { Policy } from '../retention/policy.ts';
import { planRemoval, type RemovalStep } from '../retention/removal.ts';
import { decideRetention } from '../retention/retention.ts';
import type { ZoneFacts } from '../retention/zone.ts';
import type { Site } from '../site/site.ts';
import { listArchivedStreams } from './archived-streams.ts';
import { measureLiveSpool, openSiteArchive } from './postgres/live-archive.ts';

export interface ZoneView {
  archive: Archive;
  mirror: Archive | undefined;
  facts: Omit<ZoneFacts, 'areas' | 'refreshesHeld' | 'transactionsBlocked'>;
  /** What is obsolete now, in the order in which it may go. */
  removal: RemovalStep[];
  lowWaterMarks: { incarnation: number; position: string | null }[];
}

/**
 * What could go, what a backup now would bring: the archive's own catalog with LIVE's word on it. `logIsFull`: the log
 * area or the spool is above yellow.
 */
export async function viewZone(
  site: Site,
  address: DatabaseAddress,
  signal: AbortSignal,
  logIsFull: boolean,
): Promise<ZoneView> {
  const { archive, mirror } = await openSiteArchive(site, address, signal);
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  const found = await readArchive(places, signal).catch(() => undefined);
  const catalog =
    found === undefined
      ? undefined
      : await addLiveFacts(found.catalog, address, signal, found.header.systemIdentifier);
  // What waits in the spool makes room in the log area, and takes it in the archive.
  const waiting = logIsFull ? ((await measureLiveSpool(address, signal))?.bytes ?? 0) : 0;
  let streamed = 0;
  for (const one of [archive, ...(mirror === undefined ? [] : [mirror])])
    for (const { sizeBytes } of await listArchivedStreams(one)) streamed += sizeBytes;
  const movableLogBytes = waiting + streamed;
  // Without the origin of an incarnation all before it looks abandoned: nothing goes by such a catalog.
  if (catalog === undefined || findLostIncarnations(catalog.incarnations).length > 0) {
    const backupNow = { raisesMark: false, freesBytes: 0, needsBytes: 0 };
    return {
      archive,
      mirror,
      removal: [],
      lowWaterMarks: [],
      facts: { obsoleteBytes: 0, movableLogBytes, backupNow },
    };
  }
  const policy = site.archive.retention;
  const now = decide(catalog, policy);
  const obsoleteBytes = await sizeOf(archive, catalog, now.removal);
  const backupNow = await whatIfBackup(archive, catalog, policy, obsoleteBytes);
  return { archive, mirror, ...now, facts: { obsoleteBytes, movableLogBytes, backupNow } };
}

function decide(catalog: Catalog, policy: Policy): Pick<ZoneView, 'removal' | 'lowWaterMarks'> {
  const answer = decideRetention(catalog, policy, Date.now());
  return {
    removal: planRemoval(catalog, answer),
    lowWaterMarks: answer.lowWaterMarks.map(({ incarnation, position }) => ({
      incarnation,
      position: position === null ? null : String(position),
    })),
  };
}

/**
 * The same decision with a backup more, one that ends now, read back and no better. Only one that brings more than it
 * takes raises the mark in a way that helps: else the guard would fill the archive with backups.
 */
async function whatIfBackup(
  archive: Archive,
  catalog: Catalog,
  policy: Policy,
  obsoleteBytes: number,
): Promise<ZoneFacts['backupNow']> {
  const end = catalog.onlineLogs.find(({ incarnation }) => incarnation === catalog.currentIncarnation)?.end;
  const sizes = catalog.backups.map(({ bytes }) => bytes ?? 0);
  const newest = catalog.backups.findLast(({ state, bytes }) => state === 'available' && bytes !== null);
  // As large as the newest, and a tenth more for what came since.
  const needsBytes = Math.ceil((newest?.bytes ?? Math.max(0, ...sizes)) * 1.1);
  if (end === undefined) return { raisesMark: false, freesBytes: 0, needsBytes };
  const at = new Date().toISOString();
  const another: Backup = {
    label: '~a backup now',
    incarnation: catalog.currentIncarnation,
    kind: 'quiesced',
    start: end,
    consistentFrom: end,
    startedAt: at,
    finishedAt: at,
    device: null,
    state: 'available',
    ownLog: true,
    grade: 1,
    pinned: false,
    bytes: needsBytes,
  };
  const then = decide({ ...catalog, backups: [...catalog.backups, another] }, policy);
  const freesBytes = (await sizeOf(archive, catalog, then.removal)) - obsoleteBytes;
  return { raisesMark: freesBytes > needsBytes, freesBytes: Math.max(0, freesBytes), needsBytes };
}

async function sizeOf(archive: Archive, catalog: Catalog, steps: readonly RemovalStep[]): Promise<number> {
  const sizes = new Map(catalog.backups.map(({ label, bytes }) => [label, bytes ?? 0]));
  let sum = 0;
  for (const step of steps) {
    if (step.kind === 'backup') {
      sum += sizes.get(step.label) ?? 0;
      continue;
    }
    const { incarnation: timeline, sequence: number } = step.log;
    const name = formatSegmentName({ timeline, number }, archive.header.segmentSizeBytes);
    sum += await sizeOfFile(join(archive.folder, 'log', formatTimeline(timeline), `${name}.zst`));
  }
  return sum;
}

async function sizeOfFile(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
