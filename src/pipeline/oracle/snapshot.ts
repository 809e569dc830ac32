import { guardLive, releaseGuard, runChecked } from '../../databases/oracle/live/guard.ts';
import { foretellReset, type LiveGuard } from '../../databases/oracle/live/decide.ts';
import { readLiveState } from '../../databases/oracle/live/state.ts';
import { flashBackLive, reopenAfterRevert } from '../../databases/oracle/live/take-back.ts';
import type { OracleTools } from '../../databases/oracle/guest-tools.ts';
import { asPosition } from '../../recovery/position.ts';
import { readAndRemember } from './places.ts';
import { joinGuest } from '../../databases/oracle/rman-text.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import { nameOf, requireDatabaseHere, withMachine, type SiteAccess } from '../machine/access.ts';
import type { SnapshotTaken, Step } from '../operations.ts';
import { fenceMachine } from './fence.ts';
import { guardName } from './names.ts';
import { withTools } from './sessions.ts';

/**
 * A snapshot of the machine, checkpointed, with a note in it of the incarnation that it holds: by that a reverted server is known (R20).
 * On LIVE a guaranteed restore point stands beside it, where the edition has it.
 */
export async function takeSnapshot(
  access: SiteAccess,
  name: string,
  snapshot: string,
  step: Step,
): Promise<SnapshotTaken> {
  const { site, machines, platform } = access;
  const { signal } = step;
  await platform.requireWholeSnapshot(nameOf(access, name), signal);
  return withMachine(access, name, signal, async (machine) => {
    requireDatabaseHere(machine);
    return withTools(site, machine, step.key, signal, async (tools) => {
      const guard = await noteGuard(tools, machine.facts, snapshot);
      await writeGuard(tools.guest, machine.facts, guard, signal);
      await runChecked(tools, 'checkpoint', ['ALTER SYSTEM CHECKPOINT;']);
      const taken = await machines.createSnapshot(nameOf(access, name), snapshot, signal);
      return machine.facts.role === 'live'
        ? { ...taken, wayBack: await foretell(access, guard, machine, signal) }
        : taken;
    });
  });
}

/** What a way back would do, by LIVE's own control file and what is remembered of it. */
async function foretell(
  { site }: SiteAccess,
  guard: LiveGuard,
  machine: Parameters<typeof readAndRemember>[1],
  signal: AbortSignal,
): Promise<string[]> {
  const { catalog } = await readAndRemember(site, machine, signal);
  const [resetlogs, at] = [guard.resetlogs, guard.scn].map((text) => asPosition(BigInt(text)));
  if (resetlogs === undefined || at === undefined) return guard.reasons;
  // The way comes first; what it does to history is said by the catalog, which knows backups and logs by name.
  return [guard.reasons[0] ?? '', ...foretellReset(catalog, resetlogs, at).sentences];
}

async function noteGuard(tools: OracleTools, { role }: MachineFacts, snapshot: string): Promise<LiveGuard> {
  const name = guardName(snapshot);
  if (role === 'live') return guardLive(tools, name);
  const { current, scn } = await readLiveState(tools);
  if (current === null) throw new ClonaError('databaseFailed', 'the database of the clone is not open');
  return { kind: 'snapshot', name, scn, resetlogs: current.resetlogs, reasons: [] };
}

const guardFile = 'clona-guard.json';

function guardPath(guest: Guest, { dataDisk }: MachineFacts): string {
  return joinGuest(guest.platform, dataDisk, guardFile);
}

/** On the disk of the machine, and so in the snapshot: after a revert it is the note of the very snapshot that came back. */
async function writeGuard(
  guest: Guest,
  facts: MachineFacts,
  guard: LiveGuard,
  signal: AbortSignal,
): Promise<void> {
  const path = guardPath(guest, facts);
  await guest.writeFile(path, JSON.stringify(guard), 0o640, signal);
  if (guest.platform === 'linux') await guest.run(['sync', '-f', path], { signal });
}

async function readGuard(guest: Guest, facts: MachineFacts, signal: AbortSignal): Promise<LiveGuard> {
  const path = guardPath(guest, facts);
  try {
    // Written above.
    return JSON.parse((await guest.readFile(path, signal)).toString('utf8')) as LiveGuard;
  } catch (cause) {
    signal.throwIfAborted();
    throw new ClonaError(
      'recoveryFailed',
      `${facts.name} does not say which incarnation its snapshot holds`,
      {
        cause,
        hint: `${path} is written with every snapshot: this one is not clona's, its database stays closed`,
      },
    );
  }
}

/**
 * Back to the snapshot of the machine, program files and database together. Where the machine has that snapshot no more, LIVE's
 * database alone goes back by its guaranteed restore point; what that does not bring back is seen when it is proven.
 */
export async function revertMachine(
  access: SiteAccess,
  name: string,
  snapshot: string,
  step: Step,
): Promise<void> {
  const { site, machines } = access;
  const { signal, onProgress } = step;
  const machine = nameOf(access, name);
  const there = (await machines.listSnapshots(machine, signal)).some((one) => one.name === snapshot);
  if (there || name !== 'live') return machines.revertSnapshot(machine, snapshot, signal);
  await withMachine(access, name, signal, async (live) =>
    withTools(site, live, step.key, signal, async (tools) => {
      const guard = await readGuard(tools.guest, live.facts, signal);
      if (guard.kind !== 'flashback' || guard.name !== guardName(snapshot)) {
        throw new ClonaError('machineFailed', `the machine ${machine} has no snapshot ${snapshot}`, {
          hint: 'the guard backup and the archive hold everything up to P: clona restore',
        });
      }
      await flashBackLive(tools, guard, onProgress);
    }),
  );
}

/** With the snapshot goes the restore point beside it. */
export async function removeSnapshot(
  access: SiteAccess,
  name: string,
  snapshot: string,
  step: Step,
): Promise<void> {
  const { site, machines } = access;
  await machines.removeSnapshot(nameOf(access, name), snapshot, step.signal);
  if (name !== 'live') return;
  await withMachine(access, name, step.signal, async (live) =>
    withTools(site, live, step.key, step.signal, async (tools) => releaseGuard(tools, guardName(snapshot))),
  );
}

/**
 * A reverted machine's database on a new incarnation, before anything of it reaches its archive (R20). LIVE stays restricted until it
 * is opened for its users; staging is let go once its fence is seen to stand.
 */
export async function reopenMachine(
  access: SiteAccess,
  name: string,
  step: Step,
): Promise<{ incarnation: number; branchPosition: string }> {
  const { site, platform } = access;
  const { signal, onProgress } = step;
  await platform.start(nameOf(access, name), step);
  const report = await withMachine(access, name, signal, async (machine) =>
    withTools(site, machine, step.key, signal, async (tools) => {
      const guard = await readGuard(tools.guest, machine.facts, signal);
      const quarantineDir = joinGuest(tools.guest.platform, machine.facts.dataDisk, 'clona-quarantine');
      return reopenAfterRevert({ tools, guard, quarantineDir, onProgress });
    }),
  );
  if (name !== 'live') await fenceMachine(access, name, { ...step, key: `${step.key}/fence` });
  return { incarnation: report.incarnation, branchPosition: report.branchPosition.toString() };
}
