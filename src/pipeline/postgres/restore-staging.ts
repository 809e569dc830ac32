import { readArchive } from '../../databases/postgres/catalog.ts';
import { defaultWorkers } from '../../databases/postgres/restore/default-workers.ts';
import { discardRestore } from '../../databases/postgres/restore/discard.ts';
import { mebibytes } from '../../databases/postgres/restore/estimate.ts';
import { restore } from '../../databases/postgres/restore/restore.ts';
import { openGuestPlace } from '../../databases/postgres/restore/place/guest-place.ts';
import type { RestoreOptions, RestoreUntil } from '../../databases/postgres/restore/context.ts';
import type { RestoreReport } from '../../databases/postgres/restore/report.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { openGuest } from '../../guest/open.ts';
import { planRecovery } from '../../recovery/plan.ts';
import { parsePosition } from '../../recovery/position.ts';
import type { Bearing, RestorePlan, Restored, Step } from '../operations.ts';
import { nameOf, withMachine, type MachineAccess, type SiteAccess } from '../machine/access.ts';
import { postgresDoor } from './server.ts';

/** Space, time and steps before the first byte. The staging machine need not be there yet. */
export async function planStagingRestore(
  access: SiteAccess,
  until: Bearing | null,
  measured: Restored | null,
  step: Step,
): Promise<RestorePlan> {
  const report = await withMachine(access, 'live', step.signal, async (live) =>
    planWithoutStaging(access, live, until, measured, step),
  );
  const { neededBytes, freeBytes, backupBytes, seconds } = report.estimate;
  // The proof makes a second copy of the database beside the restored one and fills it row by row (grade 4).
  const bytesNeeded = neededBytes + backupBytes;
  const plan = {
    backup: report.label,
    bytesNeeded,
    bytesFree: freeBytes,
    secondsExpected: seconds,
    steps: stepsOf(report),
  };
  if (until !== null && bytesNeeded > freeBytes) {
    throw new ClonaError(
      'diskFull',
      `the restore and the copy that proves it need ${mebibytes(bytesNeeded)} MiB, and ${mebibytes(freeBytes)} MiB are free`,
      {
        hint: 'free space where the machines are, and refresh again',
        details: { neededBytes: bytesNeeded, freeBytes },
      },
    );
  }
  return plan;
}

function stepsOf({ plan }: RestoreReport): string[] {
  const { steps } = plan;
  return Array.isArray(steps) ? steps.map(String) : [];
}

/** Restores into the machine's data disk, exactly up to the bearing; the server is left stopped. */
export async function restoreStaging(
  access: SiteAccess,
  name: string,
  until: Bearing,
  step: Step,
): Promise<Restored> {
  await access.platform.start(nameOf(access, name), step);
  const report = await withMachine(access, name, step.signal, async (machine) =>
    restoreIntoGuest(access, machine, until, step),
  );
  const { label, positionReached, lost, bytes, logBytes, seconds, unpackSeconds, redoSeconds } = report;
  return {
    backup: label,
    reached: positionReached ?? until.position,
    // Restored exactly to the point: it holds what LIVE held then, however long before the last change was.
    coversUntil: until.at,
    // What came to LIVE after the point is not missing: the point is what was asked for.
    lost:
      positionReached === null || BigInt(positionReached) >= BigInt(until.position)
        ? ''
        : `${lost.positions} bytes of log`,
    bytes,
    logBytes,
    seconds,
    unpackSeconds,
    redoSeconds,
  };
}

/** Over SSH into the machine, several streams at once: nothing of the clone runs outside of it. */
async function restoreIntoGuest(
  access: SiteAccess,
  machine: MachineAccess,
  until: Bearing,
  step: Step,
): Promise<RestoreReport> {
  const { signal } = step;
  const workers = workersOf(access);
  const { facts, door } = machine;
  await using lanes = new AsyncDisposableStack();
  const guest = door.guest ?? lanes.use(await openGuest(facts.guest, signal));
  await door.verify(guest, signal);
  await access.platform.clearForRestore(facts, door, guest, step.key, signal);
  const further: Guest[] = [];
  for (let lane = 1; lane < workers; lane += 1) {
    further.push(lanes.use(await openGuest(facts.guest, signal)));
  }
  const { binaries } = postgresDoor(door).server;
  await using place = openGuestPlace({ guest, lanes: further, binaries, workers, signal });
  const options = restoreOptions(access, machine, until, step);
  try {
    // A step that was killed goes on with what is right already.
    return await restore({ ...options, place, replace: true });
  } catch (error) {
    // Others may need the room to end in order: the control database, the engine's state, LIVE.
    if (error instanceof ClonaError && error.kind === 'diskFull') {
      await discardRestore(place, options.target).catch(() => {});
    }
    throw error;
  }
}

/** The staging machine may not be there yet. */
async function planWithoutStaging(
  access: SiteAccess,
  live: MachineAccess,
  until: Bearing | null,
  measured: Restored | null,
  step: Step,
): Promise<RestoreReport> {
  await using planned = await postgresDoor(live.door).openPlanned(workersOf(access), step.signal);
  const { place, target, replace } = planned;
  return await restore({
    ...restoreOptions(access, live, until, step),
    place,
    target,
    replace,
    speed: measured === null ? undefined : speedOf(measured),
    dryRun: true,
  });
}

function restoreOptions(
  access: SiteAccess,
  { door, address }: MachineAccess,
  until: Bearing | null,
  step: Step,
): Omit<RestoreOptions, 'place'> {
  const { location, mirror } = access.site.archive;
  const { binaries, dataDir } = postgresDoor(door).server;
  return {
    archiveDir: location,
    mirrorDir: mirror,
    until: targetOf(until),
    target: dataDir,
    binaries,
    workers: workersOf(access),
    users: [address.user],
    signal: step.signal,
    onProgress: step.onProgress,
  };
}

function workersOf({ site }: SiteAccess): number {
  return Math.min(site.archive.workers, defaultWorkers());
}

function targetOf(until: Bearing | null): RestoreUntil {
  if (until === null) return { kind: 'latest' };
  const position = parsePosition(until.position, 'the restore point');
  return { kind: 'incarnation', incarnation: until.incarnation, position };
}

function speedOf({ bytes, logBytes, unpackSeconds, redoSeconds }: Restored): {
  unpack: number;
  redo: number;
} {
  return {
    unpack: bytes / Math.max(0.1, unpackSeconds),
    redo: Math.max(logBytes, 2 ** 24) / Math.max(0.1, redoSeconds),
  };
}

/** Can the archive alone bring LIVE back to the end of its archived log? */
export async function isArchiveWhole({ site }: SiteAccess, signal: AbortSignal): Promise<boolean> {
  const { location, mirror } = site.archive;
  try {
    const { catalog } = await readArchive({ archiveDir: location, mirrorDir: mirror }, signal);
    return planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' }).reachable;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ClonaError) return false;
    throw error;
  }
}
