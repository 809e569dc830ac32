import type { OnProgress } from '../progress.ts';
import type { RemovalStep } from '../retention/removal.ts';
import type { Area, Zone, ZoneActionKind, ZoneDecision, ZoneFacts } from '../retention/zone.ts';
import type { SiteAccess } from './machine/access.ts';
import type { OpenedSite } from './open-site.ts';
import type { ZoneState } from './zone-state.ts';

/** What an action is given. */
export interface Turn {
  opened: OpenedSite;
  options: GuardOptions;
  run: string;
  state: ZoneState;
  decision: ZoneDecision;
  view: ZoneView;
  events: ZoneEvent[];
}

/** An engine's part of the guard: `postgres/zone.ts`, `oracle/zone.ts`. What is decided, and in which order, is the same. */
export interface ZoneEngine {
  /** A server that does not answer hides its own areas, not the archive. */
  measure(signal: AbortSignal): Promise<Area[]>;
  /** What takes room or time of people's even where it fails: not tried again before the zone changes. */
  triedOnce: readonly ZoneActionKind[];
  /** What could go, and what a backup now would bring. `logIsFull`: the log area or the spool is above yellow. */
  view(signal: AbortSignal, logIsFull: boolean): Promise<ZoneView>;
}

export interface ZoneView {
  facts: Omit<ZoneFacts, 'areas' | 'refreshesHeld' | 'transactionsBlocked'>;
  /** What is obsolete now and can be removed by the guard, in the order in which it may go. */
  removal: RemovalStep[];
  lowWaterMarks: { incarnation: number; position: string | null }[];
  work: ZoneWork;
}

/** Every part may be repeated; what cannot be done throws, is recorded and paged. */
export interface ZoneWork {
  moveLogs(turn: Turn): Promise<ActionDone>;
  /** `onStep`: told after each thing that is gone. */
  removeObsolete(turn: Turn, onStep: (step: RemovalStep) => Promise<void>): Promise<void>;
  /** Gives its label. */
  backUp(turn: Turn): Promise<string>;
  /** Writers pause, a backup that is whole by itself, the log begins anew. */
  quiesce(turn: Turn): Promise<{ label: string; pauseMs: number | null; archivedTo: string }>;
}

export interface ActionDone {
  kind: ZoneActionKind;
  detail: string;
  facts: { [key: string]: string | number | null };
}

export interface GuardOptions {
  /** Who acts, for the lock and the evidence. */
  by: string;
  signal: AbortSignal;
  onProgress: OnProgress;
  now: () => Date;
  /** Pages a human. */
  page: (zone: Zone, text: string) => Promise<void>;
  /** Oracle: the site's machines; default: as the site file says. */
  access?: SiteAccess;
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
