import { readStoppedNote } from '../databases/postgres/cold/stopped-note.ts';
import { withArchiver } from '../pipeline/postgres/live-archive.ts';
import { findProduction } from '../pipeline/production.ts';
import { silent } from '../progress.ts';
import type { Site } from '../site/site.ts';
import { notify } from './notify.ts';
import type { Clock } from './scheduler.ts';

const lookEveryMs = 30_000;

/**
 * Moves production's log from its spool into archive and mirror until the signal is aborted. Whatever fails, the
 * server, a disk, a slot, is tried again; it is told once, until it works again or something else fails.
 */
export async function keepArchiving(
  site: Site,
  { clock, signal, note }: { clock: Clock; signal: AbortSignal; note: (line: string) => void },
): Promise<void> {
  let told: string | undefined;
  const rest = async (): Promise<void> =>
    clock.waitUntil(new Date(clock.now().getTime() + lookEveryMs), signal).catch(() => {});
  while (!signal.aborted) {
    try {
      const address = await findProduction(site, signal);
      await withArchiver(site, address, { signal, onProgress: silent }, async (archiver) => {
        note('log archiving: runs');
        while (!signal.aborted) {
          const [problem] = (await archiver.drain()).problems;
          if (problem !== undefined) throw problem;
          told = undefined;
          await rest();
        }
      });
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== told) await tell(site, message, clock.now(), note);
      told = message;
      await rest();
    }
  }
}

async function tell(site: Site, message: string, now: Date, note: (line: string) => void): Promise<void> {
  if (await isStoppedForBackup(site)) {
    note('log archiving: waits for a cold backup, for which production is stopped');
    return;
  }
  note(`log archiving: ${message}; it is tried again every ${lookEveryMs / 1000} s`);
  const text = `clona: the log of ${site.name} is not archived: ${message}`;
  await notify(
    site,
    { event: 'archiveFailed', site: site.name, at: now.toISOString(), text, details: null },
    note,
  );
}

/** What a cold backup does on purpose wakes nobody; one that was killed is told of by `keepStarted`. */
async function isStoppedForBackup(site: Site): Promise<boolean> {
  return (await readStoppedNote(site.archive.location).catch(() => undefined))?.isWorking === true;
}
