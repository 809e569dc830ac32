import { describeLeftSlot, dropLeftSlots } from '../pipeline/left-slots.ts';
import type { Site } from '../site/site.ts';
import type { Clock } from './scheduler.ts';

const lookEveryMs = 60_000;

/** A receiver that was switched off leaves its slot behind: dropped once production answers, then there is nothing more to do. */
export async function dropSlotsOnce(
  site: Site,
  { clock, signal, note }: { clock: Clock; signal: AbortSignal; note: (line: string) => void },
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const slot of await dropLeftSlots(site, signal))
        note(`log stream: dropped: ${describeLeftSlot(slot)}`);
      return;
    } catch {
      // LIVE does not answer: the archiver and the receiver say so, and doctor names the slot.
      await clock.waitUntil(new Date(clock.now().getTime() + lookEveryMs), signal).catch(() => {});
    }
  }
}
