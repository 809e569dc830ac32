import { connectOracle } from '../../databases/oracle/connect.ts';
import { endLeftBackupMode } from '../../databases/oracle/cure-left.ts';
import { keepLogs } from '../../databases/oracle/keep-logs.ts';
import { findIncarnation } from '../../databases/oracle/kept-logs.ts';
import { proveCopies } from '../../databases/oracle/prove-copies.ts';
import { readServerLogs, removeByRman } from '../../databases/oracle/remove-by-rman.ts';
import { writeRemovalProgram, type ServerLog } from '../../databases/oracle/rman-removal.ts';
import { rememberFacts, rememberGrade, type OracleCatalog } from '../../databases/oracle/site-catalog.ts';
import { takeCopies, type TakenCopies } from '../../databases/oracle/take-copies.ts';
import { readWallClock } from '../../databases/oracle/clock.ts';
import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import type { RemovalStep } from '../../retention/removal.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import type { Step } from '../operations.ts';
import { createStep } from '../step.ts';
import type { ActionDone, Turn, ZoneWork } from '../zone-turn.ts';
import { archiveLogTo } from './archive-log.ts';
import { backUpLive } from './back-up.ts';
import { compareDisks } from './disks-apart.ts';
import { removeOldWork } from './left-programs.ts';
import { placesOf, readAndRemember } from './places.ts';
import type { OnLive } from './reach-live.ts';
import { addressOf, withTools } from './sessions.ts';

/** Running transactions have so long to end before the quiesced backup gives up. */
const quietLimitMs = 30_000;

/** The guard's actions on LIVE. `found`: what it was decided by; undefined: LIVE did not answer. */
export function zoneWork(site: Site, onLive: OnLive, found: OracleCatalog | undefined): ZoneWork {
  const requireFound = (): OracleCatalog => {
    if (found !== undefined) return found;
    throw new ClonaError('databaseFailed', 'LIVE does not answer: nothing can be removed or moved');
  };
  return {
    moveLogs: async ({ options: { signal } }) =>
      onLive(signal, async (live) => moveLogs(site, live, requireFound(), signal)),
    removeObsolete: async (turn, onStep) =>
      onLive(turn.options.signal, async (live) =>
        removeObsolete({ site, live, turn, found: requireFound(), onStep }),
      ),
    backUp: async (turn) =>
      onLive(
        turn.options.signal,
        async (live) => (await backUpLive(site, live, stepOf(turn, 'backup'))).label,
      ),
    quiesce: async (turn) => onLive(turn.options.signal, async (live) => quiesce(site, live, turn)),
  };
}

/** Of a key of its own for each turn: a second backup in one run is no repetition of the first. */
function stepOf({ opened, options, run, events }: Turn, name: string): Step {
  const key = `${run}/${name}-${events.length}`;
  return createStep({ ledger: opened.ledger, ...options }, run, key, options.signal);
}

/**
 * RMAN runs the program that `clona retention` prints. A thing is recorded as removed only when the control file says so
 * afterwards, whatever came of the program; throws where something is left.
 */
async function removeObsolete(task: {
  site: Site;
  live: MachineAccess;
  turn: Turn;
  found: OracleCatalog;
  onStep: (step: RemovalStep) => Promise<void>;
}): Promise<void> {
  const { site, live, turn, found, onStep } = task;
  const { removal } = turn.view;
  const { signal } = turn.options;
  // Kept logs and copies are no business of RMAN's: they stand in it as comments only.
  const program = writeRemovalProgram(removal, found.catalog, found.facts);
  const problem = await withTools(site, live, stepOf(turn, 'remove').key, signal, async (tools) =>
    removeByRman(tools, program),
  );
  const { catalog } = await readAndRemember(site, live, signal);
  await using session = await connectOracle(addressOf(live), signal, { module: 'clona zone' });
  const logs = new Set(
    (await readServerLogs(session)).map(({ thread, sequence }) => `${thread}/${sequence}`),
  );
  const states = new Map(catalog.backups.map(({ label, state }) => [label, state]));
  let left = 0;
  for (const step of removal) {
    const isGone =
      step.kind === 'backup'
        ? (states.get(step.label) ?? 'missing') === 'missing'
        : !logs.has(`${step.log.thread}/${step.log.sequence}`);
    if (isGone) await onStep(step);
    else left += 1;
  }
  if (problem !== null) throw problem;
  if (left === 0) return;
  throw new ClonaError(
    'databaseFailed',
    `RMAN left ${left} of ${removal.length} obsolete things where they are`,
    {
      hint: 'its own rules may hold them (KEEP, standbys, CONFIGURE ARCHIVELOG DELETION POLICY): run the program of clona retention by hand',
    },
  );
}

/** Logs that a hot or quiesced backup needs, and that the archive does not keep yet. Pure. */
export function findMovable(
  { catalog, facts: { keptLogs = {} } }: OracleCatalog,
  serverLogs: readonly ServerLog[],
): ServerLog[] {
  const from = lowestCopied({ catalog });
  if (from === null) return [];
  const kept = new Set(
    Object.values(keptLogs)
      .filter(
        ({ state, branch }) =>
          state === 'available' && findIncarnation(branch, catalog) === catalog.currentIncarnation,
      )
      .map(({ thread, sequence }) => `${thread}/${sequence}`),
  );
  return serverLogs.filter(({ thread, sequence, next }) => next > from && !kept.has(`${thread}/${sequence}`));
}

/** Where the oldest backup that RMAN did not make begins; null: there is none. */
function lowestCopied({ catalog }: Pick<OracleCatalog, 'catalog'>): Position | null {
  return catalog.backups.reduce<Position | null>((low, { kind, start, state }) => {
    if ((kind !== 'hot' && kind !== 'quiesced') || start === null || state !== 'available') return low;
    return low === null || start < low ? start : low;
  }, null);
}

/** Into archive and mirror, compressed (R13). What may go of the server's own then goes through RMAN. */
async function moveLogs(
  site: Site,
  live: MachineAccess,
  found: OracleCatalog,
  signal: AbortSignal,
): Promise<ActionDone> {
  const { archiveDir, mirrorDir } = placesOf(site);
  const from = lowestCopied(found);
  const kept =
    from === null
      ? []
      : await withTools(site, live, 'zone/keep-logs', signal, async ({ guest }) => {
          await using session = await connectOracle(addressOf(live), signal, { module: 'clona zone' });
          const { keptLogs = {}, zone } = found.facts;
          const toInstant = readWallClock(zone);
          return await keepLogs({
            session,
            guest,
            archiveDir,
            mirrorDir,
            from,
            kept: keptLogs,
            toInstant,
            signal,
          });
        });
  await rememberFacts(placesOf(site), { keptLogs: Object.fromEntries(kept.map((log) => [log.path, log])) });
  const detail = `${kept.length} archived logs compressed into archive and mirror`;
  return { kind: 'compress-and-move-logs', detail, facts: { archived: kept.length } };
}

/** Copies in backup mode, a moment without transactions, proven by their checksums; then the log begins anew. */
async function quiesce(site: Site, live: MachineAccess, turn: Turn): ReturnType<ZoneWork['quiesce']> {
  const step = stepOf(turn, 'quiesced');
  const { backup, quiet } = await takeQuiesced(site, live, turn, step);
  const places = placesOf(site);
  const { catalog, facts } = await readAndRemember(site, live, step.signal);
  const proof = await proveCopies(catalog, facts, backup.label, step.signal);
  if (!proof.passed) {
    throw new ClonaError(
      'proofFailed',
      `backup ${backup.label} reads back damaged: ${proof.reasons.join('; ')}`,
    );
  }
  await rememberGrade(places, backup.label, proof.grade, step.signal);
  const { archivedTo } = await archiveLogTo(
    site,
    live,
    String(backup.consistentFrom),
    stepOf(turn, 'restart-log'),
  );
  return { label: backup.label, pauseMs: quiet?.pauseMs ?? null, archivedTo };
}

async function takeQuiesced(
  site: Site,
  live: MachineAccess,
  { run, events, options }: Turn,
  step: Step,
): Promise<TakenCopies> {
  const address = addressOf(live);
  return withTools(site, live, step.key, step.signal, async (tools) => {
    await compareDisks(site, address, tools);
    for (const detail of await endLeftBackupMode(address, tools, site.archive.location))
      step.onProgress({ step: 'quiesced backup', state: 'running', detail });
    await removeOldWork(tools);
    return takeCopies({
      kind: 'quiesced',
      address,
      tools,
      places: placesOf(site),
      label: `quiesced-${run.replaceAll(/[^\w.-]/g, '')}-${events.length}`.slice(0, 60),
      limitMs: quietLimitMs,
      onProgress: options.onProgress,
      now: options.now,
    });
  });
}
