import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Archive } from '../../archive/repository.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { applyRemoval } from '../../databases/postgres/apply-removal.ts';
import type { BackupKind } from '../../databases/postgres/backup-context.ts';
import { readArchive } from '../../databases/postgres/catalog.ts';
import { findLostIncarnations } from '../../databases/postgres/catalog-histories.ts';
import { addLiveFacts } from '../../databases/postgres/catalog-live.ts';
import { formatSegmentName, formatTimeline } from '../../databases/postgres/lsn.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import type { RemovalStep } from '../../retention/removal.ts';
import type { Site } from '../../site/site.ts';
import { dropArchivedStreams, listArchivedStreams } from '../archived-streams.ts';
import { backUpUnderLock, type SiteBackup } from '../back-up.ts';
import { findProduction } from '../production.ts';
import { createStep } from '../step.ts';
import { decideKeeping, noBackupNow, whatIfBackup } from '../zone-facts.ts';
import { measureOrLess } from '../zone-measure.ts';
import type { ActionDone, Turn, ZoneEngine, ZoneView, ZoneWork } from '../zone-turn.ts';
import { archiveLog, measureLiveSpool, openSiteArchive, withArchiver } from './live-archive.ts';

export async function createPostgresZone(site: Site, signal: AbortSignal): Promise<ZoneEngine> {
  const address = await findProduction(site, signal);
  return {
    triedOnce: [],
    measure: async (until) => measureOrLess(site, address, until),
    view: async (until, logIsFull) => viewZone(site, address, until, logIsFull),
  };
}

/** What could go, what a backup now would bring: the archive's own catalog with LIVE's word on it. */
async function viewZone(
  site: Site,
  address: DatabaseAddress,
  signal: AbortSignal,
  logIsFull: boolean,
): Promise<ZoneView> {
  const { archive, mirror } = await openSiteArchive(site, address, signal);
  const archives = [archive, ...(mirror === undefined ? [] : [mirror])];
  const work = workOn(address, archives);
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  const found = await readArchive(places, signal).catch(() => undefined);
  const catalog =
    found === undefined
      ? undefined
      : await addLiveFacts(found.catalog, address, signal, found.header.systemIdentifier);
  // What waits in the spool makes room in the log area, and takes it in the archive.
  const waiting = logIsFull ? ((await measureLiveSpool(address, signal))?.bytes ?? 0) : 0;
  let streamed = 0;
  for (const one of archives)
    for (const { sizeBytes } of await listArchivedStreams(one)) streamed += sizeBytes;
  const movableLogBytes = waiting + streamed;
  // Without the origin of an incarnation all before it looks abandoned: nothing goes by such a catalog.
  if (catalog === undefined || findLostIncarnations(catalog.incarnations).length > 0) {
    const facts = { obsoleteBytes: 0, movableLogBytes, backupNow: noBackupNow };
    return { removal: [], lowWaterMarks: [], facts, work };
  }
  const policy = site.archive.retention;
  const now = decideKeeping(catalog, policy);
  const sizeOfSteps = async (steps: readonly RemovalStep[]): Promise<number> =>
    sizeOf(archive, catalog, steps);
  const obsoleteBytes = await sizeOfSteps(now.removal);
  const like = { kind: 'quiesced', grade: 1 } as const;
  const backupNow = await whatIfBackup(catalog, policy, like, obsoleteBytes, sizeOfSteps);
  return { ...now, facts: { obsoleteBytes, movableLogBytes, backupNow }, work };
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

function workOn(address: DatabaseAddress, archives: readonly Archive[]): ZoneWork {
  return {
    moveLogs: async (turn) => moveLogs(turn, address, archives),
    removeObsolete: async ({ view, options }, onStep) =>
      applyRemoval({ archives, steps: view.removal, signal: options.signal, onStep }),
    backUp: async (turn) => (await backUp(turn, undefined)).header.label,
    quiesce: async (turn) => quiesce(turn, address),
  };
}

/** The spool goes compressed into archive and mirror; the stream's raw segments go where the compressed one lies. */
async function moveLogs(
  { opened, options }: Turn,
  address: DatabaseAddress,
  archives: readonly Archive[],
): Promise<ActionDone> {
  const { archived, problems } = await withArchiver(opened.site, address, options, async (archiver) =>
    archiver.drain(),
  );
  let streams = 0;
  for (const archive of archives) streams += await dropArchivedStreams(archive);
  if (problems[0] !== undefined) throw problems[0];
  const detail = `${archived.length} segments compressed into archive and mirror, ${streams} raw ones dropped`;
  return { kind: 'compress-and-move-logs', detail, facts: { archived: archived.length, streams } };
}

async function backUp({ opened, options }: Turn, kind: BackupKind | undefined): Promise<SiteBackup> {
  const { by, signal, onProgress } = options;
  return backUpUnderLock(opened, { by, kind, signal, onProgress });
}

/** Writers are held back only around the restore point, after the copy (src/databases/postgres/backup-quiesced.ts). */
async function quiesce(turn: Turn, address: DatabaseAddress): ReturnType<ZoneWork['quiesce']> {
  const { opened, options, run } = turn;
  const { header, archivedTo } = await backUp(turn, 'quiesced');
  const { label, pauseMs } = header;
  const step = createStep({ ledger: opened.ledger, ...options }, run, `${run}/restart-log`, options.signal);
  return { label, pauseMs, archivedTo: archivedTo ?? (await archiveLog(opened.site, address, step)) };
}
