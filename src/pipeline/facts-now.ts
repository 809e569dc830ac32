import type { LedgerRecord } from '../control/ledger-record.ts';
import { decideGate, type GateDecision } from '../gate/gate.ts';
import type { GateFacts } from '../gate/facts.ts';
import { ClonaError } from '../errors.ts';
import type { KitApplied, KitFound, Observation } from './operations.ts';
import { indexKinds, payloadOf } from './evidence-kinds.ts';
import { foldFacts } from './release-facts.ts';
import { createStep } from './step.ts';
import { readSiteState, type ReleaseState, type SiteState } from './site-state.ts';
import type { WorkerOptions } from './worker.ts';

/** What is needed to look at a release; a worker has it, and so has a verb that only reads. */
export type Viewer = Pick<WorkerOptions, 'ledger' | 'operations' | 'policy' | 'now' | 'onProgress'>;

export interface ReleaseView {
  state: ReleaseState;
  records: LedgerRecord[];
  facts: GateFacts;
  kit: KitFound | null;
  /** What staging recorded of it. */
  staged: KitApplied | null;
}

/**
 * Everything that decides about a release: its evidence, and LIVE, kit and tests looked at now. What cannot be
 * looked at stays unknown, and what is unknown closes the gate.
 */
export async function viewRelease(
  viewer: Viewer,
  release: string,
  promotion: string | null,
  signal: AbortSignal,
  knownLive?: Observation,
): Promise<ReleaseView> {
  const { ledger, operations } = viewer;
  const site = await readSiteState(ledger);
  const state = requireRelease(site, release);
  const runs = { release, refresh: state.refresh, promotion };
  const wanted = [runs.release, runs.refresh, ...(promotion === null ? [] : [promotion])];
  const records = await ledger.list({ runs: wanted });
  const own = indexKinds(records, release);
  const kit = payloadOf(own, 'release.kit');
  const staged = payloadOf(own, 'kit.staged');
  const hashes =
    kit === null ? { kit: null, procedure: null, checks: null } : await operations.readHashes(signal, kit);
  const live = knownLive ?? (await lookAtLive(viewer, signal));
  const look = { hashes, live, held: site.held, filledBy: filledBy(site), state: state.state };
  return { state, records, kit, staged, facts: foldFacts(records, runs, look) };
}

export function decide(viewer: Viewer, view: ReleaseView, due: 'promotion' | 'firstChange'): GateDecision {
  return decideGate(view.facts, viewer.policy, viewer.now(), due);
}

export function requireRelease(site: SiteState, release: string): ReleaseState {
  const found = site.releases.find(({ id }) => id === release);
  if (found !== undefined) return found;
  const known = site.releases.map(({ id }) => id);
  throw new ClonaError('usage', `there is no release ${release}`, {
    hint:
      known.length === 0 ? 'start one with: clona release --kit DIR' : `known: ${known.slice(-5).join(', ')}`,
  });
}

/** The release that is meant when none is named: the only one that is open. */
export function pickRelease(site: SiteState, named: string | undefined): ReleaseState {
  if (named !== undefined) return requireRelease(site, named);
  const open = site.releases.filter(({ state }) => state === 'open' || state === 'promoting');
  const [only] = open;
  if (only !== undefined && open.length === 1) return only;
  throw new ClonaError('usage', open.length === 0 ? 'no release is open' : 'more than one release is open', {
    hint:
      open.length === 0
        ? 'start one with: clona release --kit DIR'
        : `name one with --release: ${open.map(({ id }) => id).join(', ')}`,
  });
}

async function lookAtLive(viewer: Viewer, signal: AbortSignal): Promise<Observation | null> {
  const step = createStep({ ...viewer, onProgress: () => {} }, 'look', 'look', signal);
  try {
    return await viewer.operations.observe(step, 'live');
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  }
}

function filledBy(site: SiteState): Map<string, string> {
  const filled = new Map<string, string>();
  for (const { machine, id } of site.refreshes) if (machine !== null) filled.set(machine, id);
  return filled;
}
