import { askCounts, takeOracleCounts } from '../../databases/oracle/counts.ts';
import type { OracleSession } from '../../databases/oracle/connect.ts';
import { takeOracleFingerprint } from '../../databases/oracle/fingerprint.ts';
import { flattenCounts } from '../../databases/postgres/prove/counts.ts';
import { readProgramVersion } from '../../kit/apply/version-file.ts';
import type { Site } from '../../site/site.ts';
import { withGuest, type MachineAccess } from '../machine/access.ts';
import type { Bearing, Observation, Step } from '../operations.ts';
import { bearingName } from './names.ts';
import { sysdbaOn, withSession, withTools } from './sessions.ts';
import { applicationSchemas } from './settings.ts';

/** Counts, schemas and program version of a machine as they are now. */
export async function observeMachine(
  site: Site,
  machine: MachineAccess,
  signal: AbortSignal,
): Promise<Observation> {
  return withSession(machine, signal, async (session) => {
    const counts = flattenCounts(await askCounts(session, site.database.businessCounts));
    const form = await readForm(site, machine, session, signal);
    return { at: new Date().toISOString(), counts, countsExact: true, ...form };
  });
}

/**
 * Names a point in LIVE's log and counts as of it. Schemas and version are read after the point; a change of theirs in
 * between would show as drift, which is the safe side.
 */
export async function takeBearing(
  site: Site,
  machine: MachineAccess,
  name: string,
  step: Step,
): Promise<Bearing> {
  const { signal } = step;
  return withTools(site, machine, step.key, signal, async (tools) =>
    withSession(machine, signal, async (session) => {
      const taken = await takeOracleCounts({
        session,
        sysdba: sysdbaOn(tools),
        counts: site.database.businessCounts,
        restorePoint: bearingName(name),
        now: () => new Date(),
      });
      const isExact = taken.counts.every(({ low, high }) =>
        Object.keys(low).every((column) => low[column] === high[column]),
      );
      return {
        at: taken.takenAt,
        counts: flattenCounts(taken.counts.map((one) => ({ name: one.name, values: one.low }))),
        countsExact: isExact,
        ...(await readForm(site, machine, session, signal)),
        position: taken.position,
        incarnation: taken.timeline,
        // Oracle numbers transactions by their undo, not in order: what came after is counted by SCN.
        nextTransaction: taken.position,
        taken,
      };
    }),
  );
}

async function readForm(
  site: Site,
  machine: MachineAccess,
  session: OracleSession,
  signal: AbortSignal,
): Promise<Pick<Observation, 'fingerprint' | 'programVersion'>> {
  const { hash } = await takeOracleFingerprint(session, applicationSchemas(site));
  const version = await withGuest(machine, signal, async (guest) =>
    readProgramVersion(guest, machine.facts.systemDisk, signal),
  );
  return { fingerprint: hash, programVersion: version ?? '' };
}
