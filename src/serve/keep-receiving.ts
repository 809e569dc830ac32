import type { Archive } from '../archive/repository.ts';
import { receiveLog } from '../databases/postgres/log-receiver.ts';
import { dropArchivedStreams } from '../pipeline/archived-streams.ts';
import { listStreamPlaces, openStreamPlace, streamsLog, type StreamPlace } from '../pipeline/log-streams.ts';
import { compressStreams } from '../pipeline/postgres/stream-log.ts';
import { openSite } from '../pipeline/open-site.ts';
import { findProduction } from '../pipeline/production.ts';
import { silent } from '../progress.ts';
import type { Site } from '../site/site.ts';
import { notify } from './notify.ts';
import type { Clock } from './scheduler.ts';

const firstPauseMs = 1000;
const longestPauseMs = 60_000;
const tidyEveryMs = 60_000;

interface Tools {
  clock: Clock;
  signal: AbortSignal;
  note: (line: string) => void;
}

/**
 * Streams production's log to every destination until the signal is aborted, each by itself: one whose disk is away
 * stops no other, and catches up from its slot. What fails is tried again after a pause that doubles up to a minute.
 */
export async function keepReceiving(site: Site, tools: Tools): Promise<void> {
  await Promise.all(listStreamPlaces(site).map(async (place) => keepPlace(site, place, tools)));
}

async function keepPlace(site: Site, place: StreamPlace, { clock, signal, note }: Tools): Promise<void> {
  const name = `log stream to the ${place.destination}`;
  let pauseMs = firstPauseMs;
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      const archive = await openStreamPlace(site, place, signal);
      let tidiedAtMs = 0;
      await receiveLog({
        address: await findProduction(site, signal),
        archive,
        slot: place.slot,
        signal,
        onGap: (gap) => void recordGap(site, place, gap, { clock, signal, note }),
        onStatus: () => {
          if (told !== undefined || tidiedAtMs === 0) note(`${name}: runs`);
          told = undefined;
          pauseMs = firstPauseMs;
          if (clock.now().getTime() - tidiedAtMs < tidyEveryMs) return;
          tidiedAtMs = clock.now().getTime();
          tidy(site, archive, signal).catch((error: unknown) => note(`${name}: ${String(error)}`));
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== told) note(`${name}: ${message}; it is tried again, at least once a minute`);
      told = message;
    }
    await clock.waitUntil(new Date(clock.now().getTime() + pauseMs), signal).catch(() => {});
    pauseMs = Math.min(2 * pauseMs, longestPauseMs);
  }
}

/** Where nothing else compresses the log it is done here; raw segments go once they lie compressed beside. */
async function tidy(site: Site, archive: Archive, signal: AbortSignal): Promise<void> {
  if (streamsLog(site))
    await compressStreams(site, { archive, mirror: undefined }, { signal, onProgress: silent });
  await dropArchivedStreams(archive);
}

/** A slot that the server gave up leaves a hole in the stream: a fact, and somebody must take a backup. */
async function recordGap(
  site: Site,
  { destination }: StreamPlace,
  { timeline, from, to }: { timeline: number; from: string; to: string },
  { clock, signal, note }: Tools,
): Promise<void> {
  const text = `the slot of the log stream to the ${destination} was lost: the stream has a gap from ${from} on timeline ${timeline} to ${to}`;
  note(text);
  try {
    await using opened = await openSite(site.file, signal);
    const payload = { destination, timeline, from, to };
    await opened.ledger.append({ kind: 'log.gap', run: null, key: null, payload }, clock.now());
  } catch (error) {
    note(`the gap is not recorded: ${error instanceof Error ? error.message : String(error)}`);
  }
  const at = clock.now().toISOString();
  await notify(
    site,
    { event: 'archiveFailed', site: site.name, at, text: `clona: ${text}`, details: null },
    note,
  );
}
