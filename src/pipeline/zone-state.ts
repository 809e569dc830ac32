import type { Ledger } from '../control/ledger.ts';
import type { Zone, ZoneActionKind } from '../retention/zone.ts';

/** What the guard's own evidence says: it outlives every process. */
export interface ZoneState {
  /** The zone of the newest change. */
  zone: Zone;
  /** New refreshes wait. */
  held: boolean;
  /** What was done since the zone last changed. */
  done: Set<ZoneActionKind>;
  /** What failed since then. */
  failed: Set<ZoneActionKind>;
}

const kinds = [
  'zone.changed',
  'zone.hold-refreshes',
  'zone.release-refreshes',
  'zone.quiesced-backup',
  'zone.page-human',
  'zone.failed',
];

export async function readZoneState(ledger: Pick<Ledger, 'read'>): Promise<ZoneState> {
  const state: ZoneState = { zone: 'green', held: false, done: new Set(), failed: new Set() };
  for await (const { kind, payload } of ledger.read({ kinds })) {
    // The guard wrote it (zone-guard.ts).
    const { zone, action } = payload as { zone: Zone; action: ZoneActionKind | null };
    if (kind === 'zone.changed') {
      state.zone = zone;
      state.done.clear();
      state.failed.clear();
    }
    if (kind === 'zone.hold-refreshes') state.held = true;
    if (kind === 'zone.release-refreshes') state.held = false;
    if (action !== null) (kind === 'zone.failed' ? state.failed : state.done).add(action);
  }
  return state;
}
