import type { LedgerRecord } from '../control/ledger-record.ts';
import type { Ledger } from '../control/ledger.ts';
import type { ReleaseFacts } from '../gate/facts.ts';

export interface RefreshState {
  id: string;
  startedAt: string;
  machine: string | null;
  outcome: 'running' | 'succeeded' | 'failed';
  grade: number | null;
  restoreSeconds: number | null;
  /** The machine it filled is gone (clona destroy): nothing can be installed there any more. */
  destroyed: boolean;
}

export interface ReleaseState {
  id: string;
  initiator: string;
  startedAt: string;
  /** Where the kit came from, as it was named. */
  source: string;
  kit: string;
  /** The kit was fetched and is in order: from here on the release may have changed its staging machine. */
  hasKit: boolean;
  refresh: string;
  machine: string;
  state: ReleaseFacts['state'];
  /** The newest promotion that was begun. */
  promotion: string | null;
}

export interface SiteState {
  refreshes: RefreshState[];
  releases: ReleaseState[];
  /** Staging machine → release that holds it (R19). */
  held: Map<string, string>;
}

const relevantKinds = [
  'refresh.started',
  'refresh.ended',
  'staging.restored',
  'staging.chosen',
  'staging.destroyed',
  'release.started',
  'release.kit',
  'release.ended',
  'promotion.started',
  'promotion.ended',
];

/** What runs and what is held, told by the ledger alone. */
export async function readSiteState(ledger: Ledger): Promise<SiteState> {
  const refreshes = new Map<string, RefreshState>();
  const releases = new Map<string, ReleaseState>();
  for await (const record of ledger.read({ kinds: relevantKinds })) {
    if (record.kind === 'staging.destroyed') markDestroyed(refreshes.values(), record);
    if (record.run === null) continue;
    applyToRefreshes(refreshes, record.run, record);
    applyToReleases(releases, record.run, record);
  }
  const held = new Map<string, string>();
  for (const { id, state, machine } of releases.values()) {
    if (state === 'open' || state === 'promoting') held.set(machine, id);
  }
  return { refreshes: [...refreshes.values()], releases: [...releases.values()], held };
}

function applyToRefreshes(refreshes: Map<string, RefreshState>, run: string, record: LedgerRecord): void {
  const payload = record.payload as Record<string, unknown>;
  if (record.kind === 'refresh.started') {
    refreshes.set(run, {
      id: run,
      startedAt: record.time,
      machine: null,
      outcome: 'running',
      grade: null,
      restoreSeconds: null,
      destroyed: false,
    });
  }
  const refresh = refreshes.get(run);
  if (refresh === undefined) return;
  if (record.kind === 'staging.chosen') refresh.machine = String(payload['machine']);
  if (record.kind === 'staging.restored') refresh.restoreSeconds = Number(payload['seconds']);
  if (record.kind === 'refresh.ended') {
    refresh.outcome = payload['outcome'] === 'succeeded' ? 'succeeded' : 'failed';
    refresh.grade = typeof payload['grade'] === 'number' ? payload['grade'] : null;
  }
}

/** Whatever was on that machine before this record. */
function markDestroyed(refreshes: Iterable<RefreshState>, { run, payload }: LedgerRecord): void {
  const { machine } = payload as Record<string, unknown>;
  for (const refresh of refreshes) {
    if (refresh.machine === machine && refresh.id !== run) refresh.destroyed = true;
  }
}

function applyToReleases(releases: Map<string, ReleaseState>, run: string, record: LedgerRecord): void {
  const payload = record.payload as Record<string, unknown>;
  if (record.kind === 'release.started') {
    releases.set(run, {
      id: run,
      initiator: String(payload['initiator']),
      startedAt: record.time,
      source: String(payload['source']),
      kit: String(payload['source']),
      hasKit: false,
      refresh: String(payload['refresh']),
      machine: String(payload['machine']),
      state: 'open',
      promotion: null,
    });
  }
  const release = releases.get(run) ?? releases.get(String(payload['release']));
  if (release === undefined) return;
  if (record.kind === 'release.kit') {
    release.kit = `${String(payload['name'])} ${String(payload['version'])}`;
    release.hasKit = true;
  }
  if (record.kind === 'promotion.started') {
    release.state = 'promoting';
    release.promotion = run;
  }
  if (record.kind === 'promotion.ended' || record.kind === 'release.ended') {
    // What wrote the record knows the words of ReleaseFacts.
    release.state = payload['state'] as ReleaseFacts['state'];
  }
}

/** The newest staging that was refreshed, is not used up by a kit, and that nobody holds. */
export function findFreeStaging(state: SiteState): RefreshState | null {
  const touching = state.releases.filter(({ state, hasKit }) => hasKit || state !== 'failed');
  const used = new Set(touching.map(({ refresh }) => refresh));
  const newestOnMachine = new Map<string, RefreshState>();
  for (const refresh of state.refreshes) {
    if (refresh.machine !== null) newestOnMachine.set(refresh.machine, refresh);
  }
  const free = [...newestOnMachine.values()].filter(
    ({ id, outcome, machine, destroyed }) =>
      outcome === 'succeeded' && !destroyed && !used.has(id) && machine !== null && !state.held.has(machine),
  );
  return free.at(-1) ?? null;
}
