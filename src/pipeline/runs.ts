import { DBOS } from '@dbos-inc/dbos-sdk';
import { ClonaError } from '../errors.ts';
import { becomeWorker, orEnded, type Context, type OpenedWorker } from './context.ts';
import { pickRelease } from './facts-now.ts';
import type { Bearing, Losses } from './operations.ts';
import type { PromoteResult } from './promote-result.ts';
import type { RefreshResult } from './refresh.ts';
import { noStaging } from './release.ts';
import type { ReleaseResult } from './release-result.ts';
import type { RollbackResult } from './rollback.ts';
import { newRunId } from './run-id.ts';
import { findFreeStaging, readSiteState, type ReleaseState, type SiteState } from './site-state.ts';
import { reviveError } from './step.ts';
import { wakeRelease } from './wake.ts';
import { workflows } from './workflows.ts';
import { readZoneState } from './zone-state.ts';

export interface RefreshOptions {
  by: string;
  /** Preferred name of the staging machine. */
  machine: string;
  freshBackup?: boolean | undefined;
}

/** Refreshes staging, or carries an interrupted refresh to its end and gives that. */
export async function runRefresh(context: Context, options: RefreshOptions): Promise<RefreshResult> {
  const opened = await becomeWorker(context, { who: options.by, what: 'refresh' });
  const left = adopt<RefreshResult>(opened, 'refresh', () => true);
  if (left !== undefined) return left;
  await refuseWhileHeld(context);
  const refresh = newRunId('refresh', context.now());
  const handle = await DBOS.startWorkflow(workflows.refresh, { workflowID: refresh })({
    refresh,
    by: options.by,
    startedAt: context.now().toISOString(),
    machine: options.machine,
    freshBackup: options.freshBackup ?? false,
    smoke: context.policy.minimumGrade >= 6,
  });
  return orEnded(opened.worker, handle.getResult());
}

/** R12: in the yellow zone new refreshes wait; one that was begun is carried to its end. */
async function refuseWhileHeld({ ledger }: Context): Promise<void> {
  const { held, zone } = await readZoneState(ledger);
  if (!held) return;
  throw new ClonaError('locked', `refreshes wait: the ${zone} zone of the archive or log area is reached`, {
    hint: 'clona serve lets them go on when it is green again; clona doctor says how full it is',
  });
}

export interface ReleaseStarted {
  release: string;
  /** null: it waits for the checklist or for the departments. */
  ended: ReleaseResult | null;
}

/**
 * A kit onto a fresh staging machine; returns when the release waits for people, or has failed. Called again for a
 * kit whose release was interrupted, or waits already, it gives that one.
 */
export async function startRelease(
  context: Context,
  options: { kit: string; hash?: string | undefined; by: string },
): Promise<ReleaseStarted> {
  const opened = await becomeWorker(context, { who: options.by, what: 'release' });
  const state = await readSiteState(context.ledger);
  const left = findSameRelease(state, opened, options.kit);
  if (left !== undefined) return left;
  if (findFreeStaging(state) === null) throw noStaging();
  const release = newRunId('release', context.now());
  const handle = await DBOS.startWorkflow(workflows.release, { workflowID: release })({
    release,
    initiator: options.by,
    kitSource: { source: options.kit, hash: options.hash ?? null },
    startedAt: context.now().toISOString(),
  });
  const ended = handle.getResult();
  const asked = opened.worker.waiting(release).promise.then(() => null);
  const result = await orEnded(opened.worker, Promise.race([ended, asked]));
  ended.catch(() => {});
  return { release, ended: result };
}

function findSameRelease(
  state: SiteState,
  { carriedOn }: OpenedWorker,
  source: string,
): ReleaseStarted | undefined {
  const release = state.releases.findLast((known) => known.source === source);
  if (release === undefined) return undefined;
  const carried = carriedOn.find(({ id }) => id === release.id);
  // What the workflow of a release returns; nothing while it waits.
  if (carried !== undefined) return { release: release.id, ended: (carried.result as ReleaseResult) ?? null };
  const waits = release.state === 'open' && findFreeStaging(state) === null;
  return waits ? { release: release.id, ended: null } : undefined;
}

/** Promotes an open release by R20, or carries an interrupted promotion of it to its end and gives that. */
export async function promoteRelease(
  context: Context,
  options: { release?: string | undefined; by: string },
): Promise<PromoteResult> {
  const opened = await becomeWorker(context, { who: options.by, what: 'promote' });
  const left = adopt<PromoteResult>(
    opened,
    'promote',
    ({ release }) => options.release === undefined || release === options.release,
  );
  const result = left ?? (await startPromotion(context, opened, options));
  if (result.outcome !== 'refused') await wakeRelease(context, result.release);
  return result;
}

async function startPromotion(
  context: Context,
  opened: OpenedWorker,
  options: { release?: string | undefined; by: string },
): Promise<PromoteResult> {
  const { id: release } = pickRelease(await readSiteState(context.ledger), options.release);
  const promotion = newRunId('promote', context.now());
  const startedAt = context.now().toISOString();
  const handle = await DBOS.startWorkflow(workflows.promote, { workflowID: promotion })({
    promotion,
    release,
    by: options.by,
    startedAt,
  });
  return orEnded(opened.worker, handle.getResult());
}

export interface RollbackOptions {
  release?: string | undefined;
  by: string;
  /** Position P whose later changes may be lost; has to be the promotion's own. */
  loseChangesSince?: string | undefined;
}

/** Takes LIVE back to P of a promoted release, or of one whose rollback failed; refuses to lose what is not named. */
export async function rollBackRelease(context: Context, options: RollbackOptions): Promise<RollbackResult> {
  const opened = await becomeWorker(context, { who: options.by, what: 'rollback' });
  const left = adopt<RollbackResult>(opened, 'rollback', () => true);
  if (left !== undefined) return left;
  const site = await readSiteState(context.ledger);
  const state = pickPromoted(site, options.release);
  if (state.promotion === null) throw new ClonaError('usage', `release ${state.id} was never promoted`);
  const bearing = await readBearing(context, state.promotion);
  const accepted =
    state.state === 'failed' ? null : await acceptLosses(context, bearing, options.loseChangesSince);
  await requireSnapshot(context, state.promotion);
  const rollback = newRunId('rollback', context.now());
  const handle = await DBOS.startWorkflow(workflows.rollback, { workflowID: rollback })({
    rollback,
    release: state.id,
    promotion: state.promotion,
    by: options.by,
    bearing,
    accepted,
    startedAt: context.now().toISOString(),
  });
  return orEnded(opened.worker, handle.getResult());
}

/**
 * Throws what a rollback would lose where nobody named it: that is an answer, and needs neither lock nor confirmation.
 * Returns where a rollback may begin without it: LIVE was never opened, or a run was interrupted.
 */
export async function refuseUnnamedLosses(context: Context, named: string | undefined): Promise<void> {
  const site = await readSiteState(context.ledger);
  if (site.releases.some(({ state }) => state === 'promoting')) return;
  const { state, promotion } = pickPromoted(site, named);
  if (state !== 'promoted' || promotion === null) return;
  const bearing = await readBearing(context, promotion);
  const losses = await context.operations.countLosses(context.signal, bearing).catch(() => null);
  context.signal.throwIfAborted();
  // A LIVE that cannot be asked may be one that an interrupted rollback has taken down.
  if (losses !== null) throw unnamedLosses(bearing, losses);
}

function pickPromoted(site: SiteState, named: string | undefined): ReleaseState {
  const changed = site.releases.filter(
    ({ state, promotion }) => promotion !== null && ['promoted', 'failed'].includes(state),
  );
  const newest = changed.at(-1);
  if (newest !== undefined && (named === undefined || newest.id === named)) return newest;
  throw new ClonaError(
    'usage',
    named === undefined ? 'no release was promoted' : `release ${named} is not the newest that changed LIVE`,
    {
      hint: newest === undefined ? 'see: clona status' : `only the newest can be taken back: ${newest.id}`,
    },
  );
}

async function readBearing(context: Context, promotion: string): Promise<Bearing> {
  const record = await context.ledger.find(`${promotion}/bearing`);
  if (record === null) throw new ClonaError('usage', `promotion ${promotion} never came to a position P`);
  return record.payload as unknown as Bearing;
}

/** Looked at before LIVE is closed: what cannot be gone back to is not begun. */
async function requireSnapshot(context: Context, promotion: string): Promise<void> {
  const names = await context.operations.listSnapshots(context.signal, 'live');
  if (names.includes(promotion)) return;
  throw new ClonaError('machineFailed', `the snapshot of LIVE taken by ${promotion} is gone`, {
    hint: 'the guard backup and the archive hold everything up to P: clona restore --until position:P',
  });
}

async function acceptLosses(context: Context, bearing: Bearing, since: string | undefined): Promise<Losses> {
  const losses = await context.operations.countLosses(context.signal, bearing);
  if (since === bearing.position) return losses;
  throw unnamedLosses(bearing, losses);
}

function unnamedLosses(bearing: Bearing, losses: Losses): ClonaError {
  const said = Object.entries(losses.counts).map(([name, count]) => `${name} ${count}`);
  return new ClonaError(
    'gateClosed',
    `LIVE was opened after P = ${bearing.position}: taking it back loses ${losses.transactions} transactions (${said.join(', ') || `${losses.logBytes} bytes of log`})`,
    {
      hint: `if that may be lost: clona rollback --lose-changes-since ${bearing.position}`,
      details: { position: bearing.position, losses },
    },
  );
}

function adopt<Result extends { outcome: string }>(
  { carriedOn }: OpenedWorker,
  name: string,
  fits: (result: Result & { release?: string }) => boolean,
): Result | undefined {
  // What the workflow of this name returns.
  const results = carriedOn.filter((run) => run.name === name).map((run) => run.result as Result);
  return results.findLast(fits);
}

/** Throws the error that ended a run, for callers that want it thrown. */
export function throwIfFailed(result: { error: Parameters<typeof reviveError>[0] | null }): void {
  if (result.error !== null) throw reviveError(result.error);
}
