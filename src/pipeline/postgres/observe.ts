import { connect } from '../../databases/postgres/connect.ts';
import { takeFingerprint } from '../../databases/postgres/fingerprint.ts';
import {
  flattenCounts,
  readBusinessCounts,
  takeBusinessCounts,
} from '../../databases/postgres/prove/counts.ts';
import { readProgramVersion } from '../../kit/apply/version-file.ts';
import type { Site } from '../../site/site.ts';
import type { Bearing, Observation } from '../operations.ts';
import { withGuest, type MachineAccess } from '../machine/access.ts';

/** Counts, schema and program version of a machine as they are now. */
export async function observeMachine(
  site: Site,
  machine: MachineAccess,
  signal: AbortSignal,
): Promise<Observation> {
  const { address } = machine;
  const counts = await readBusinessCounts({ address, counts: site.database.businessCounts, signal });
  return { at: new Date().toISOString(), counts, countsExact: true, ...(await readForm(machine, signal)) };
}

/**
 * Names a point in LIVE's log and counts there: exactly under a brief lock, else as bounds. Schema and version are
 * read after the point; a change of theirs in between would show as drift, which is the safe side.
 */
export async function takeBearing(
  site: Site,
  machine: MachineAccess,
  restorePointName: string,
  signal: AbortSignal,
): Promise<Bearing> {
  const { address } = machine;
  const { businessCounts, countsLock, countsLockTimeout } = site.database;
  const taken = await takeBusinessCounts({
    address,
    counts: businessCounts,
    lock: countsLock,
    lockTimeoutMs: countsLockTimeout,
    restorePointName: restorePointName.slice(0, 63),
    signal,
  });
  const isExact = taken.counts.every(({ low, high }) =>
    Object.keys(low).every((column) => low[column] === high[column]),
  );
  return {
    at: taken.takenAt,
    counts: flattenCounts(taken.counts.map(({ name, low }) => ({ name, values: low }))),
    countsExact: isExact,
    ...(await readForm(machine, signal)),
    position: taken.position,
    incarnation: taken.timeline,
    nextTransaction: await readNextTransaction(machine, signal),
    taken,
  };
}

async function readForm(
  machine: MachineAccess,
  signal: AbortSignal,
): Promise<Pick<Observation, 'fingerprint' | 'programVersion'>> {
  const { hash } = await takeFingerprint(machine.address, signal);
  const version = await withGuest(machine, signal, async (guest) =>
    readProgramVersion(guest, machine.facts.systemDisk, signal),
  );
  return { fingerprint: hash, programVersion: version ?? '' };
}

async function readNextTransaction({ address }: MachineAccess, signal: AbortSignal): Promise<string> {
  await using session = await connect(address, signal, { applicationName: 'clona counts' });
  const [row] = await session.query<{ next: string }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::text as next',
  );
  return row?.next ?? '0';
}
