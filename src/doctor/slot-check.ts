import { failed, ok, type Finding, type Patient } from './check.ts';

/** A slot without a reader fills production's disk up to max_slot_wal_keep_size: none is left of a receiver switched off. */
export async function leftSlots({ site, signal, production }: Patient): Promise<Finding[]> {
  if (site.database.engine !== 'postgres') return [];
  // Whoever cannot be reached has a finding of his own.
  if ((await production().catch(() => undefined)) === undefined) return [];
  const { describeLeftSlot, findLeftSlots } = await import('../pipeline/left-slots.ts');
  const found = await findLeftSlots(site, signal).catch(() => undefined);
  signal.throwIfAborted();
  if (found === undefined) return [];
  if (found.length === 0) return [ok('no slot was left behind on production')];
  return found.map((slot) => failed(describeLeftSlot(slot), 'clona serve --drop-slots', 6));
}
