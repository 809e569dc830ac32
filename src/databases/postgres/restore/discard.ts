import { layoutOf } from './layout.ts';
import type { RestorePlace } from './place/place.ts';

/** Removes what a restore that will not be carried on has left at its target: its room is needed by others. */
export async function discardRestore(place: RestorePlace, target: string): Promise<void> {
  const { partial, tablespaces, work } = layoutOf(target);
  for (const folder of [partial, tablespaces, work]) await place.remove(folder);
}
