import { ClonaError } from '../../../errors.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import { makeFolder, runSqlPlus, type OracleTools } from '../guest-tools.ts';
import { asPosition, type Position } from '../../../recovery/position.ts';
import {
  areFilesWhole,
  isBackAt,
  resetMounted,
  writeAfterRevert,
  writeFlashback,
  writeRecoverMounted,
  type RevertedLive,
} from '../way-back.ts';
import { decideFlashBack, decideReopen, type BackDecision, type LiveGuard } from './decide.ts';
import { runChecked, runProgram } from './guard.ts';
import { judgeLive } from './judge.ts';
import { readLiveState, type LiveIncarnation, type LiveState } from './state.ts';

/** LIVE is back: on a new incarnation, open for administrators only. */
export interface BackReport {
  way: 'flashback' | 'revert';
  /** false: an earlier call had done it. */
  did: boolean;
  incarnation: number;
  branchPosition: Position;
  /** RESETLOGS_CHANGE# of the incarnation that LIVE came from. */
  parent: string;
  /** The new incarnation begins exactly where the redo of the snapshot, or of the restore point, ends. false, or not known: back up at once. */
  exact: boolean;
  /** Where the reverted server put what it archived before it had its new incarnation; null: nowhere. */
  quarantine: string | null;
}

/**
 * LIVE back to its guaranteed restore point: FLASHBACK DATABASE, OPEN RESETLOGS in a restricted session, verified against the
 * guard. From any state (open, mounted, down) and after a kill at any moment it may be called again. Counts, version and fingerprint
 * are for the caller to prove before `restrictLive(false)` and `releaseGuard`.
 */
export async function flashBackLive(
  tools: OracleTools,
  guard: LiveGuard,
  onProgress: OnProgress,
): Promise<BackReport> {
  const state = await mountedState(tools, guard);
  const decision = decideFlashBack(state, guard);
  requireAllowed(decision, 'FLASHBACK DATABASE');
  if (decision.do === 'nothing') return report('flashback', false, decision.incarnation, null);
  await withProgress(onProgress, `flash LIVE back to ${guard.name}`, async () =>
    runProgram(tools, 'flashback', writeFlashback(guard.name, state.instance)),
  );
  const after = await readLiveState(tools);
  const current = requireReopened(after, guard);
  if (!isBackAt(asPosition(BigInt(current.resetlogs)), asPosition(BigInt(guard.scn)))) {
    throw new ClonaError(
      'recoveryFailed',
      `LIVE came back at ${current.resetlogs}, and its restore point was at ${guard.scn}`,
      { hint: 'nobody was let in: revert the machine to its snapshot', details: { current } },
    );
  }
  return report('flashback', true, current, null);
}

/** A database that is not mounted tells nothing: what it is, is read before it is decided. */
async function mountedState(tools: OracleTools, { kind }: LiveGuard): Promise<LiveState> {
  const state = await readLiveState(tools);
  if (kind === 'snapshot' || state.current !== null) return state;
  const statements = state.instance === 'down' ? ['STARTUP RESTRICT MOUNT'] : ['ALTER DATABASE MOUNT;'];
  await runChecked(tools, 'mount', statements);
  return readLiveState(tools);
}

export interface ReopenOptions {
  tools: OracleTools;
  guard: Pick<LiveGuard, 'resetlogs'>;
  /** A folder of the guest, outside of the archive, made when it is not there: what is archived on the way lies in it. */
  quarantineDir: string;
  onProgress: OnProgress;
}

/**
 * R20: after the machine of LIVE was reverted to its snapshot. Nothing reaches the archive before LIVE has a new incarnation: what was
 * started by the machine itself is aborted, all destinations are put aside, its own online log is applied in the mounted state (where that
 * does not do: one open and a clean shutdown), then RECOVER UNTIL CANCEL, OPEN RESETLOGS, and a restart that brings the site's own destinations back, and archives one log by them. May be called again after a kill.
 */
export async function reopenAfterRevert(options: ReopenOptions): Promise<BackReport> {
  const { tools, guard, quarantineDir, onProgress } = options;
  let state = await readLiveState(tools);
  // Which incarnation it has is in the control file alone. The destinations are as the site has them, and mounted nothing is archived.
  if (state.current === null) {
    await runChecked(
      tools,
      'mount',
      state.instance === 'down' ? ['STARTUP RESTRICT MOUNT'] : ['ALTER DATABASE MOUNT;'],
    );
    state = await readLiveState(tools);
  }
  const decision = decideReopen(state, guard);
  requireAllowed(decision, 'a new incarnation');
  if (decision.do === 'nothing') {
    await bringBackDestinations(tools, state, quarantineDir);
    return report('revert', false, decision.incarnation, quarantineDir);
  }
  await makeFolder(tools.guest, quarantineDir, tools.signal);
  const exact = await withProgress(onProgress, 'give LIVE a new incarnation', async () =>
    giveIncarnation(tools, guard, { ...state, quarantineDir }, isNew(state, guard)),
  );
  const after = await readLiveState(tools);
  const current = requireReopened(after, guard);
  await bringBackDestinations(tools, after, quarantineDir);
  return { ...report('revert', true, current, quarantineDir), exact };
}

function isNew({ current }: LiveState, { resetlogs }: Pick<LiveGuard, 'resetlogs'>): boolean {
  return current !== null && current.prior === resetlogs;
}

/** true: it begins exactly where the snapshot's redo ends. */
async function giveIncarnation(
  tools: OracleTools,
  guard: Pick<LiveGuard, 'resetlogs'>,
  live: RevertedLive,
  already: boolean,
): Promise<boolean> {
  const start = async (): Promise<string> =>
    runChecked(tools, 'start', ['SHUTDOWN ABORT', 'STARTUP RESTRICT']);
  if (already) {
    // Killed after RESETLOGS: what is left to do is to start.
    await start();
    return false;
  }
  const { text } = await runSqlPlus(tools, 'recover-mounted', writeRecoverMounted(live));
  const wasOpen = live.instance === 'open';
  if (areFilesWhole(text)) {
    const { text: said, exitCode } = await runSqlPlus(tools, 'reset-mounted', resetMounted);
    if (judgeLive(said, exitCode) === null) return !wasOpen;
    // It may have ended before RESETLOGS, or after it: a second one would leave another incarnation behind.
    if (isNew(await readLiveState(tools), guard)) {
      await start();
      return !wasOpen;
    }
  }
  const { instance } = await readLiveState(tools);
  await runProgram(tools, 'after-revert', writeAfterRevert({ ...live, instance }));
  return false;
}

/** A run that was killed may have left the destinations put aside: they are of memory only, so a restart brings the site's own. */
async function bringBackDestinations(
  tools: OracleTools,
  state: LiveState,
  quarantineDir: string,
): Promise<void> {
  const aside = state.destinations.some(({ place }) => place === quarantineDir);
  if (aside) await runChecked(tools, 'restart', ['SHUTDOWN IMMEDIATE', 'STARTUP RESTRICT']);
  if (state.logMode !== 'ARCHIVELOG') return;
  // It must go on archiving by itself, and now is when somebody is looking.
  await runChecked(tools, 'archive', ['ALTER SYSTEM ARCHIVE LOG CURRENT;']);
}

function requireAllowed(decision: BackDecision, what: string): void {
  if (decision.do !== 'refuse') return;
  throw new ClonaError('recoveryFailed', `${what} is refused: ${decision.why}`, {
    hint: "the machine's snapshot is the other way back; clona incarnations shows the branches",
  });
}

function requireReopened(
  { current, openMode, instance }: LiveState,
  guard: Pick<LiveGuard, 'resetlogs'>,
): LiveIncarnation {
  if (current !== null && openMode === 'READ WRITE' && current.prior === guard.resetlogs) return current;
  throw new ClonaError(
    'recoveryFailed',
    `LIVE is ${openMode ?? instance} on incarnation ${current?.key ?? '?'}: it did not reopen on a new one`,
    { hint: 'nothing was let in; its alert log says why', details: { current, openMode } },
  );
}

function report(
  way: BackReport['way'],
  did: boolean,
  { key, resetlogs, prior }: LiveIncarnation,
  quarantine: string | null,
): BackReport {
  return {
    way,
    did,
    incarnation: key,
    branchPosition: asPosition(BigInt(resetlogs)),
    parent: prior ?? '',
    exact: way === 'flashback',
    quarantine,
  };
}
