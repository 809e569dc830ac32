import type { DatabaseAddress } from '../databases/database.ts';
import type { OpenedSite } from './open-site.ts';
import type { ZoneView } from './zone-facts.ts';
import type { ZoneState } from './zone-state.ts';
import type { Zone, ZoneActionKind, ZoneDecision } from '../retention/zone.ts';
import type { OnProgress } from '../progress.ts';

/** What an action is given. */
export interface Turn {
  opened: OpenedSite;
  options: GuardOptions;
  run: string;
  address: DatabaseAddress;
  state: ZoneState;
  decision: ZoneDecision;
  view: ZoneView;
  events: ZoneEvent[];
}

export interface GuardOptions {
  /** Who acts, for the lock and the evidence. */
  by: string;
  signal: AbortSignal;
  onProgress: OnProgress;
  now: () => Date;
  /** Pages a human. */
  page: (zone: Zone, text: string) => Promise<void>;
}

/** One line of the timeline that a run of the guard leaves. */
export interface ZoneEvent {
  at: string;
  zone: Zone;
  /** `archive 83 % (yellow), red in 3 h 10 min` */
  areas: string[];
  /** What was done at that moment; null: it was looked at. */
  action: ZoneActionKind | null;
  detail: string;
}
