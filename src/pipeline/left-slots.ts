import { connect } from '../databases/postgres/connect.ts';
import { dropSlot, readSlots, type LeftSlot } from '../databases/postgres/left-slots.ts';
import { ClonaError } from '../errors.ts';
import type { Site } from '../site/site.ts';
import { listStreamPlaces, receivesLog, slotName, streamSlots } from './log-streams.ts';
import { findProduction } from './production.ts';

/** Slots of receivers that the site wants no more: switched off, or their destination is gone. They still keep log. */
export async function findLeftSlots(site: Site, signal: AbortSignal): Promise<LeftSlot[]> {
  const wanted = new Set(receivesLog(site) ? listStreamPlaces(site).map(({ slot }) => slot) : []);
  const names = streamSlots(site).filter((name) => !wanted.has(name));
  await using session = await connect(await findProduction(site, signal), signal, {
    applicationName: 'clona slots',
    timeoutMs: 5000,
  });
  return (await readSlots(session, names)).filter(({ isActive }) => !isActive);
}

/** Drops them; gives those that are gone now. */
export async function dropLeftSlots(site: Site, signal: AbortSignal): Promise<LeftSlot[]> {
  const left = await findLeftSlots(site, signal);
  if (left.length > 0) await dropThese(site, left, signal);
  return left;
}

/** Every slot of this site on production, the archiver's too: for the day when clona goes. Throws `locked` where one is read. */
export async function dropAllSlots(site: Site, signal: AbortSignal): Promise<LeftSlot[]> {
  const names = [slotName(site), ...streamSlots(site)];
  await using session = await connect(await findProduction(site, signal), signal);
  const found = await readSlots(session, names);
  const busy = found.find(({ isActive }) => isActive);
  if (busy !== undefined) {
    throw new ClonaError('locked', `the slot ${busy.name} is being read`, {
      hint: 'by clona serve, most likely: end it first',
    });
  }
  for (const { name } of found) await dropSlot(session, name);
  return found;
}

async function dropThese(site: Site, slots: readonly LeftSlot[], signal: AbortSignal): Promise<void> {
  await using session = await connect(await findProduction(site, signal), signal);
  for (const { name } of slots) await dropSlot(session, name);
}

/** `clona_erp_stream_mirror keeps 12 MiB of log on production` */
export function describeLeftSlot({ name, keptBytes }: LeftSlot): string {
  return keptBytes === null
    ? `the slot ${name} is left on production, which has given it up`
    : `the slot ${name} keeps ${(keptBytes / 2 ** 20).toFixed(0)} MiB of log on production, and nobody reads it`;
}
