import { acquireSiteLock } from '../control/lock.ts';
import { readStoppedNote } from '../databases/postgres/cold/stopped-note.ts';
import { restartProduction } from '../pipeline/cold-cluster.ts';
import { accountName, openSite } from '../pipeline/open-site.ts';
import type { Site } from '../site/site.ts';
import { notify } from './notify.ts';
import type { Clock } from './scheduler.ts';

const lookEveryMs = 5_000;

/** Starts production again where a cold backup was killed while it was stopped: nobody should have to notice first. */
export async function keepStarted(
  site: Site,
  { clock, signal, note }: { clock: Clock; signal: AbortSignal; note: (line: string) => void },
): Promise<void> {
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      const said = await restartLeft(site, signal);
      if (said !== null) {
        note(`database: ${said}`);
        const at = clock.now().toISOString();
        const text = `clona: ${site.name}: ${said}`;
        await notify(site, { event: 'backupFailed', site: site.name, at, text, details: null }, note);
      }
      told = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== told) note(`database: ${message}; it is tried again every ${lookEveryMs / 1000} s`);
      told = message;
    }
    await clock.waitUntil(new Date(clock.now().getTime() + lookEveryMs), signal).catch(() => {});
  }
}

/** A look costs one file; the site is taken only where there is something to do. */
async function restartLeft(site: Site, signal: AbortSignal): Promise<string | null> {
  const found = await readStoppedNote(site.archive.location);
  if (found === undefined || found.isWorking) return null;
  await using opened = await openSite(site.file, signal);
  const who = { who: accountName(), what: 'starting the database again' };
  await using _lock = await acquireSiteLock(opened.control, who, new Date());
  return await restartProduction(site, signal);
}
