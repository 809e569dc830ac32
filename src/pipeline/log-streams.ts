import { lossSeconds, readMirrorStatus } from '../archive/log-mirror.ts';
import { openArchive, type Archive } from '../archive/repository.ts';
import { readArchiveIdentity } from '../databases/postgres/backup-facts.ts';
import { connect } from '../databases/postgres/connect.ts';
import { parseLsn } from '../databases/postgres/lsn.ts';
import type { Site } from '../site/site.ts';
import { openPlace } from './known-places.ts';
import { findProduction } from './production.ts';

export type Destination = 'archive' | 'mirror';

/** How far one destination has LIVE's log by its own stream. */
export interface LogStreamFacts {
  destination: Destination;
  folder: string;
  timeline: number;
  /** On disk there, acknowledged to LIVE; a decimal position. */
  flushed: string;
  /** What LIVE has and this destination does not; null: LIVE does not answer. */
  behindBytes: number | null;
  /** The last moment at which everything was there. */
  caughtUpAt: string;
  /** Everything committed longer ago than this is there: what LIVE's end, log and all, would cost now. */
  loseAtMostSeconds: number;
}

export interface StreamPlace {
  destination: Destination;
  folder: string;
  /** Each destination has its own slot, so that a failing one stops no other (docs/decisions/0091). */
  slot: string;
}

/** The slot by which LIVE keeps what is not yet in archive and mirror. */
export function slotName(site: Pick<Site, 'name'>): string {
  return `clona_${site.name.replaceAll('-', '_')}`;
}

/** A LIVE on vSphere is another host: nobody here sees a spool of it (docs/decisions/0112). */
export function streamsLog({ machines }: Pick<Site, 'machines'>): boolean {
  return machines.platform === 'vsphere';
}

/** Whether anything of the site receives streams, so that their slots are wanted. */
export function receivesLog(site: Pick<Site, 'machines' | 'archive'>): boolean {
  return site.archive.receiver || streamsLog(site);
}

export function listStreamPlaces(site: Site): StreamPlace[] {
  const { location, mirror } = site.archive;
  const place = (destination: Destination, folder: string): StreamPlace => ({
    destination,
    folder,
    slot: streamSlot(site, destination),
  });
  return [place('archive', location), ...(mirror === undefined ? [] : [place('mirror', mirror)])];
}

function streamSlot(site: Pick<Site, 'name'>, destination: Destination): string {
  return `${slotName(site)}_stream_${destination}`;
}

/** Every slot that a receiver of this site ever had. */
export function streamSlots(site: Pick<Site, 'name'>): string[] {
  return (['archive', 'mirror'] as const).map((destination) => streamSlot(site, destination));
}

/** The archive at one destination, made on first use; the other one may be away. */
export async function openStreamPlace(
  site: Site,
  { folder }: StreamPlace,
  signal: AbortSignal,
): Promise<Archive> {
  const identity = await readArchiveIdentity(await findProduction(site, signal), signal);
  return openPlace(site, folder, identity);
}

/**
 * Of every destination that a receiver wrote to; LIVE itself may be gone. None where the receiver is switched off: what it had
 * is no bound of what would be lost.
 */
export async function readLogStreams(site: Site, signal: AbortSignal, now: Date): Promise<LogStreamFacts[]> {
  if (!receivesLog(site)) return [];
  const end = await readEnd(site, signal).catch(() => null);
  signal.throwIfAborted();
  const found: LogStreamFacts[] = [];
  for (const { destination, folder } of listStreamPlaces(site)) {
    const status = await openArchive(folder)
      .then(readMirrorStatus)
      .catch(() => undefined);
    if (status === undefined) continue;
    const { timeline, flushed, caughtUpAt } = status;
    const behind = end === null ? null : Number(end - BigInt(flushed));
    found.push({
      destination,
      folder,
      timeline,
      flushed,
      behindBytes: behind === null ? null : Math.max(0, behind),
      caughtUpAt,
      loseAtMostSeconds: lossSeconds(status, now.getTime()),
    });
  }
  return found;
}

async function readEnd(site: Site, signal: AbortSignal): Promise<bigint> {
  const address = await findProduction(site, signal);
  await using session = await connect(address, signal, { applicationName: 'clona status', timeoutMs: 5000 });
  const [row] = await session.query<{ at: string }>('select pg_current_wal_flush_lsn()::text as at');
  return parseLsn(row?.at ?? '', 'the end of the log');
}
