import { accountName, openSite } from '../pipeline/open-site.ts';
import { guardZone, judgeZone } from '../pipeline/zone-guard.ts';
import { rememberAreas } from '../pipeline/zone-measure.ts';
import { silent } from '../progress.ts';
import type { Zone } from '../retention/zone.ts';
import type { Site } from '../site/site.ts';
import { notify } from './notify.ts';
import type { Clock } from './scheduler.ts';

const lookEveryMs = 60_000;

/**
 * Guards the zones (R12) until the signal is aborted: looks once a minute, and takes the site only where there is
 * something to do, which is seldom. While another run has the site nothing is done: a human is told
 * that, once for each zone, since that run may last.
 */
export async function keepZone(
  site: Site,
  { clock, signal, note }: { clock: Clock; signal: AbortSignal; note: (line: string) => void },
): Promise<void> {
  // An earlier process may have left refreshes held: the first look goes through the evidence.
  let calm = false;
  let told: string | undefined;
  // The zone of which somebody was told while another run had the site, or the guard failed.
  let waitedIn: Zone = 'green';
  while (!signal.aborted) {
    let zone: Zone = 'green';
    try {
      const now = clock.now();
      const { decision, areas } = await judgeZone(site, signal, now);
      zone = decision.zone;
      await rememberAreas(site, areas, now.getTime());
      if (decision.zone !== 'green' || !calm) calm = await guardOnce(site, clock, signal, note);
      told = undefined;
      waitedIn = 'green';
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (zone !== 'green' && zone !== waitedIn) {
        const text = `the ${zone} zone is reached and nothing is done about it: ${message}`;
        await page(site, zone, text, { clock, note });
      }
      waitedIn = zone;
      if (message !== told) note(`zone: ${message}; it is looked at again every ${lookEveryMs / 1000} s`);
      told = message;
    }
    await clock.waitUntil(new Date(clock.now().getTime() + lookEveryMs), signal).catch(() => {});
  }
}

async function page(
  site: Site,
  zone: Zone,
  text: string,
  { clock, note }: { clock: Clock; note: (line: string) => void },
): Promise<void> {
  const at = clock.now().toISOString();
  const event = zone === 'red' ? 'zoneRed' : 'zoneYellow';
  await notify(
    site,
    { event, site: site.name, at, text: `clona: ${site.name}: ${text}`, details: null },
    note,
  );
}

/** True when the zone is green and nothing is held. */
async function guardOnce(
  site: Site,
  clock: Clock,
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<boolean> {
  await using opened = await openSite(site.file, signal);
  const report = await guardZone(opened, {
    by: accountName(),
    signal,
    onProgress: silent,
    now: () => clock.now(),
    page: async (zone, text) => page(site, zone, text, { clock, note }),
  });
  for (const { at, zone, action, detail } of report.events)
    note(`${at} zone ${zone}: ${action ?? 'change'}: ${detail}`);
  return report.zone === 'green';
}
