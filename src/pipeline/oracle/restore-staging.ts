import type { OracleCatalog } from '../../databases/oracle/site-catalog.ts';
import { joinGuest } from '../../databases/oracle/rman-text.ts';
import { readLiveState } from '../../databases/oracle/live/state.ts';
import type { OracleTools } from '../../databases/oracle/guest-tools.ts';
import { readKept } from '../../databases/oracle/place-kept-files.ts';
import { restoreOracle } from '../../databases/oracle/restore.ts';
import type { OracleRestoreOptions } from '../../databases/oracle/restore-options.ts';
import { ClonaError } from '../../errors.ts';
import { quotePowerShell } from '../../guest/powershell.ts';
import { quoteSh } from '../../guest/quote.ts';
import type { Guest } from '../../guest/guest.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import { planRecovery } from '../../recovery/plan.ts';
import { parsePosition } from '../../recovery/position.ts';
import { nameOf, withGuest, withMachine, type MachineAccess, type SiteAccess } from '../machine/access.ts';
import type { Bearing, RestorePlan, Restored, Step } from '../operations.ts';
import { resolveSecret } from '../../site/secret.ts';
import type { Site } from '../../site/site.ts';
import { keepSettingsOf } from '../oracle-keep.ts';
import { readAndRemember } from './places.ts';
import { withTools } from './sessions.ts';
import { oracleSection, restoreTarget } from './settings.ts';

/** Way, room and time before the first byte. The staging machine need not be there yet: it will have LIVE's disks. */
export async function planStagingRestore(
  access: SiteAccess,
  until: Bearing | null,
  measured: Restored | null,
  step: Step,
): Promise<RestorePlan> {
  const { site } = access;
  return withMachine(access, 'live', step.signal, async (live) => {
    const found = await readAndRemember(site, live, step.signal);
    const plan = planFor(found, until);
    const bytesNeeded = databaseBytes(found);
    const bytesFree = await measureRoom(access, live, found, step.signal);
    if (until !== null && bytesNeeded > bytesFree) throw noRoom(bytesNeeded, bytesFree);
    const speed = measured === null ? null : measured.bytes / Math.max(0.1, measured.seconds);
    return {
      backup: plan.backup ?? '',
      bytesNeeded,
      bytesFree,
      secondsExpected: speed === null ? null : bytesNeeded / Math.max(1, speed),
      steps: plan.steps,
    };
  });
}

/** A clone has no online log of production's: only what was archived counts. */
function planFor({ catalog }: OracleCatalog, until: Bearing | null): PlanAnswer {
  const target =
    until === null
      ? ({ kind: 'latest' } as const)
      : ({
          kind: 'incarnation',
          incarnation: until.incarnation,
          position: parsePosition(until.position, 'the restore point'),
        } as const);
  const plan = planRecovery(catalog, { until: target, lost: 'online-log' });
  if (plan.reachable && plan.backup !== null && plan.redoTo !== null) return plan;
  const reasons = plan.rejected.flatMap(({ backup, reasons }) => reasons.map((why) => `${backup}: ${why}`));
  throw new ClonaError('targetUnreachable', `no backup leads to ${until?.position ?? 'the end of the log'}`, {
    hint: reasons.slice(0, 3).join('; ') || 'there is no backup: clona backup',
    details: { reasons: reasons.slice(0, 20) },
  });
}

/** Datafiles as they are restored, and online logs of the clone's own. */
function databaseBytes({ facts }: OracleCatalog): number {
  return [...facts.datafiles, ...facts.onlineLogs].reduce((sum, { bytes }) => sum + bytes, 0);
}

/** On LIVE's data disk, which the clone will have a copy of; what the site lets be emptied there makes way. */
async function measureRoom(
  { site }: SiteAccess,
  live: MachineAccess,
  { facts }: OracleCatalog,
  signal: AbortSignal,
): Promise<number> {
  const { clear } = oracleSection(site).staging;
  const free = await withGuest(live, signal, async (guest) => readFree(guest, live.facts.dataDisk, signal));
  const makesWay = facts.datafiles
    .filter(({ name }) => clear.some((folder) => name.startsWith(folder)))
    .reduce((sum, { bytes }) => sum + bytes, 0);
  return free + makesWay;
}

async function readFree(guest: Guest, folder: string, signal: AbortSignal): Promise<number> {
  const script =
    guest.platform === 'windows'
      ? `[System.IO.DriveInfo]::new([System.IO.Path]::GetPathRoot(${quotePowerShell(folder)})).AvailableFreeSpace`
      : `df -Pk ${quoteSh(folder)} | awk 'NR == 2 { printf "%.0f", $4 * 1024 }'`;
  const { stdout, stderr, exitCode } = await guest.runShell(script, { signal });
  const bytes = Number(stdout.trim());
  if (exitCode === 0 && Number.isFinite(bytes) && stdout.trim() !== '') return bytes;
  throw new ClonaError('guestFailed', `the room on ${folder} cannot be seen`, {
    cause: new Error(stderr.trim().slice(-300)),
  });
}

function noRoom(needed: number, free: number): ClonaError {
  const mebibytes = (bytes: number): number => Math.ceil(bytes / 1024 ** 2);
  return new ClonaError(
    'diskFull',
    `the restore needs ${mebibytes(needed)} MiB, and ${mebibytes(free)} MiB are free on the data disk`,
    {
      hint: 'give the clones a larger disk, or name the folders that may be emptied there: database.oracle.staging.clear',
      details: { neededBytes: needed, freeBytes: free },
    },
  );
}

/**
 * Restores into the machine, exactly up to the bearing; the clone is left open for administrators alone, until its fence
 * stands. One that was killed goes on where that can be known (restore-mark.ts); one that was done is found.
 */
export async function restoreStaging(
  access: SiteAccess,
  name: string,
  until: Bearing,
  step: Step,
): Promise<Restored> {
  const { site, platform } = access;
  const { signal, onProgress } = step;
  await platform.start(nameOf(access, name), step);
  const found = await withMachine(access, 'live', signal, async (live) =>
    readAndRemember(site, live, signal),
  );
  const plan = planFor(found, until);
  return withMachine(access, name, signal, async (machine) =>
    withTools(site, machine, step.key, signal, async (tools) => {
      const target = restoreTarget(site, machine.facts);
      const mark = joinGuest(target.platform, tools.workDir, 'restored.json');
      const done = await readMark(tools.guest, mark, signal);
      if (done !== null && (await readLiveState(tools)).openMode === 'READ WRITE') return done;
      const started = performance.now();
      // Once: what is there afterwards is this restore's own, and says how far it came.
      const cleared = joinGuest(target.platform, tools.workDir, 'cleared');
      if ((await readText(tools.guest, cleared, signal)) === null) {
        await platform.clearForRestore(machine.facts, machine.door, tools.guest, step.key, signal);
        await tools.guest.writeFile(cleared, '', 0o600, signal);
      }
      const scn = parsePosition(until.position, 'the restore point');
      const restored = await restoreOracle({
        ...found,
        plan,
        target,
        tools,
        until: { kind: 'scn', scn },
        onProgress,
        ...(await readKeep(site, tools, found, plan)),
      });
      for (const detail of restored.warnings) onProgress({ step: 'restore', state: 'running', detail });
      const reached = restored.branchPosition < scn ? restored.branchPosition : scn;
      const result = describe(plan, until, found, reached, (performance.now() - started) / 1000);
      await tools.guest.writeFile(mark, JSON.stringify(result), 0o600, signal);
      return result;
    }),
  );
}

async function readMark(guest: Guest, path: string, signal: AbortSignal): Promise<Restored | null> {
  const text = await readText(guest, path, signal);
  // Written above, by this very step.
  return text === null ? null : (JSON.parse(text) as Restored);
}

async function readText(guest: Guest, path: string, signal: AbortSignal): Promise<string | null> {
  try {
    return (await guest.readFile(path, signal)).toString('utf8');
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/** What the site keeps beside the backup: parameters, password file, wallet, keystore. */
async function readKeep(
  site: Site,
  tools: OracleTools,
  { catalog }: OracleCatalog,
  plan: PlanAnswer,
): Promise<Pick<OracleRestoreOptions, 'kept' | 'keystorePassword'>> {
  const keep = keepSettingsOf(site);
  const backup = catalog.backups.find(({ label }) => label === plan.backup);
  if (keep === undefined || backup === undefined) return {};
  const password = site.database.oracle?.keep?.keystorePassword;
  return {
    kept: await readKept(tools, keep, backup),
    keystorePassword: password === undefined ? undefined : await resolveSecret(password),
  };
}

function describe(
  { backup }: PlanAnswer,
  until: Bearing,
  found: OracleCatalog,
  reached: bigint,
  seconds: number,
): Restored {
  return {
    backup: backup ?? '',
    reached: reached.toString(),
    // Restored exactly to the point: it holds what LIVE held then.
    coversUntil: until.at,
    lost: reached >= BigInt(until.position) ? '' : `${BigInt(until.position) - reached} positions of log`,
    bytes: databaseBytes(found),
    // RMAN restores and recovers in one program: what of it was redo is not told.
    logBytes: 0,
    seconds,
    unpackSeconds: seconds,
    redoSeconds: 0,
  };
}
