import { acquireSiteLock } from '../control/lock.ts';
import { toClonaError } from '../errors.ts';
import {
  blockingKinds,
  decideZone,
  explainZone,
  nextAction,
  type Area,
  type Zone,
  type ZoneAction,
  type ZoneActionKind,
  type ZoneDecision,
  type ZoneFacts,
} from '../retention/zone.ts';
import type { Site } from '../site/site.ts';
import type { OpenedSite } from './open-site.ts';
import { findProduction } from './production.ts';
import { newRunId } from './run-id.ts';
import { performAction } from './zone-actions.ts';
import { measureOrLess, rememberAreas } from './zone-measure.ts';
import { readZoneState } from './zone-state.ts';
import type { GuardOptions, Turn, ZoneEngine, ZoneEvent } from './zone-turn.ts';

export interface GuardReport {
  zone: Zone;
  areas: string[];
  events: ZoneEvent[];
}

/** What the zone is without acting: for `doctor`, and to see whether there is anything to do. */
export async function judgeZone(
  site: Site,
  signal: AbortSignal,
  now: Date,
): Promise<{ decision: ZoneDecision; areas: Area[] }> {
  const address = await findProduction(site, signal).catch(() => undefined);
  const areas = await measureOrLess(site, address, signal);
  return { decision: decideZone({ ...nothing, areas }, settingsOf(site), now.getTime()), areas };
}

const nothing: Omit<ZoneFacts, 'areas'> = {
  obsoleteBytes: 0,
  movableLogBytes: 0,
  backupNow: { raisesMark: false, freesBytes: 0, needsBytes: 0 },
  refreshesHeld: false,
  transactionsBlocked: false,
};

/** Percentages of the site file to shares. */
function settingsOf({ archive }: Site): { yellow: number; red: number; blockAt: 'yellow' | 'red' } {
  const { yellow, red, blockAt } = archive.zone;
  return { yellow: yellow / 100, red: red / 100, blockAt };
}

/** More than one round needs only what an action made possible. */
const actionsAtMost = 12;

/**
 * One run of the guard of R12: measures, decides, does the first action, and measures again, until nothing is left to
 * do. Each action is a record of evidence. Throws `locked` when another run has the site; killed in an action, the next
 * run decides anew from what it finds, since every action may be repeated.
 */
export async function guardZone(opened: OpenedSite, options: GuardOptions): Promise<GuardReport> {
  const { site, control, ledger } = opened;
  await using lock = await acquireSiteLock(control, { who: options.by, what: 'zone' }, options.now());
  const signal = AbortSignal.any([options.signal, lock.lost]);
  const engine = await openEngine(site, { ...options, signal });
  const run = newRunId('zone', options.now());
  const state = await readZoneState(ledger);
  const events: ZoneEvent[] = [];
  const failed = withItsParts(state.failed);
  const inRun = new Set(engine.triedOnce.filter((kind) => failed.has(kind)));
  for (let count = 0; ; count += 1) {
    const areas = await engine.measure(signal);
    await rememberAreas(site, areas, options.now().getTime());
    const { yellow } = settingsOf(site);
    const logIsFull = areas.some(
      ({ name, usedBytes, totalBytes }) =>
        (name === 'log' || name === 'spool') && usedBytes >= yellow * totalBytes,
    );
    const view = await engine.view(signal, logIsFull);
    const facts = { ...view.facts, areas, refreshesHeld: state.held, transactionsBlocked: false };
    const decision = decideZone(facts, settingsOf(site), options.now().getTime());
    const turn: Turn = {
      opened,
      options: { ...options, signal },
      run,
      state,
      decision,
      view,
      events,
    };
    await noteChange(turn);
    const action = count < actionsAtMost ? nextAction(decision, inRun, state.done) : null;
    if (action === null) return { zone: decision.zone, areas: explainZone(decision), events };
    inRun.add(action.kind);
    const done = await carryOut(turn, action);
    if (done.length === 0) for (const kind of withItsParts([action.kind])) inRun.add(kind);
    // A backup makes other things obsolete.
    if (done.some((kind) => kind === 'force-backup' || kind === 'quiesced-backup'))
      inRun.delete('remove-obsolete');
  }
}

/** The red zone's four are one piece of work. */
function withItsParts(kinds: Iterable<ZoneActionKind>): Set<ZoneActionKind> {
  const all = new Set(kinds);
  if (blockingKinds.some((kind) => all.has(kind))) for (const kind of blockingKinds) all.add(kind);
  return all;
}

async function openEngine(site: Site, options: GuardOptions): Promise<ZoneEngine> {
  if (site.database.engine === 'oracle') {
    const { createOracleZone } = await import('./oracle/zone.ts');
    return createOracleZone(site, options.access);
  }
  const { createPostgresZone } = await import('./postgres/zone.ts');
  return createPostgresZone(site, options.signal);
}

async function noteChange(turn: Turn): Promise<void> {
  const { decision, state, options } = turn;
  if (decision.zone === state.zone) return;
  const said = `from ${state.zone} to ${decision.zone}`;
  await record(turn, 'zone.changed', null, said, { from: state.zone });
  state.zone = decision.zone;
  state.done.clear();
  state.failed.clear();
  if (decision.zone === 'green') return;
  const text = `the ${decision.zone} zone is reached: ${explainZone(decision).join('; ')}`;
  await options.page(decision.zone, text);
}

/** Does it and records it; what fails is recorded, too, and the next action has its turn. */
async function carryOut(turn: Turn, action: ZoneAction): Promise<ZoneActionKind[]> {
  const { state, options } = turn;
  try {
    const done = await performAction(turn, action);
    for (const { kind, detail, facts } of done) {
      await record(turn, `zone.${kind}`, kind, detail, { reason: reasonOf(turn, action, kind), ...facts });
      state.done.add(kind);
      if (kind === 'hold-refreshes') state.held = true;
      if (kind === 'release-refreshes') state.held = false;
    }
    return done.map(({ kind }) => kind);
  } catch (thrown) {
    options.signal.throwIfAborted();
    const { message } = toClonaError(thrown);
    await record(turn, 'zone.failed', action.kind, `failed: ${message}`, { reason: action.reason, message });
    await options.page(turn.decision.zone, `${action.kind} failed: ${message}`);
    return [];
  }
}

function reasonOf({ decision }: Turn, action: ZoneAction, kind: ZoneActionKind): string {
  return (decision.actions.find((one) => one.kind === kind) ?? action).reason;
}

async function record(
  { opened, options, run, decision, events }: Turn,
  kind: string,
  action: ZoneActionKind | null,
  detail: string,
  facts: { [key: string]: string | number | null },
): Promise<void> {
  const now = options.now();
  const areas = explainZone(decision);
  const payload = { zone: decision.zone, areas, action, detail, ...facts };
  await opened.ledger.append({ kind, run, key: null, payload }, now);
  events.push({ at: now.toISOString(), zone: decision.zone, areas, action, detail });
}
