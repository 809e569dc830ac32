import { readdir } from 'node:fs/promises';
import type { MachineFacts, Machines } from '../machines.ts';
import { describeMachine } from './describe.ts';
import { machinePaths, readRecord, requireRecord } from './layout.ts';
import { withFileLock } from './lock.ts';
import { powerOffMachine, powerOnMachine } from './power.ts';
import { probeFromInside } from './probe.ts';
import { chooseMachinesRoot } from './reach.ts';
import { beginRevert, createSnapshot, finishRevert, listSnapshots, removeSnapshot } from './snapshots.ts';

/** The machines in one folder of this host. */
export function openLocalMachines({ root }: { root: string }): Machines {
  const at = (name: string): ReturnType<typeof machinePaths> => machinePaths(root, name);
  const locked = async <Result>(
    name: string,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result> => {
    // First of all: without the machine there is no folder for the lock either.
    await requireRecord(at(name), name);
    return withFileLock(at(name).lock, signal, work);
  };
  return {
    platform: 'local',
    describe: async (name) => describeMachine(at(name), name),
    powerOn: async (name, signal) => locked(name, signal, async () => powerOnMachine(at(name), name, signal)),
    powerOff: async (name, graceMs, signal) =>
      locked(name, signal, async () =>
        powerOffMachine(at(name), await requireRecord(at(name), name), graceMs, signal),
      ),
    createSnapshot: async (name, snapshot, signal) =>
      locked(name, signal, async () =>
        createSnapshot(at(name), await requireRecord(at(name), name), snapshot, signal),
      ),
    revertSnapshot: async (name, snapshot, signal) =>
      locked(name, signal, async () => {
        const record = await requireRecord(at(name), name);
        const reverting = await beginRevert(at(name), record, snapshot);
        await powerOffMachine(at(name), reverting, 0, signal);
        await finishRevert(at(name), reverting, signal);
      }),
    removeSnapshot: async (name, snapshot, signal) =>
      locked(name, signal, async () => removeSnapshot(at(name), snapshot)),
    listSnapshots: async (name) => {
      await requireRecord(at(name), name);
      return listSnapshots(at(name));
    },
    probeIsolation: async (name, signal) => probeFromInside(at(name), name, signal),
  };
}

/** Every whole machine in the folder, by name. */
export async function listLocalMachines({ root }: { root: string }): Promise<MachineFacts[]> {
  const found: MachineFacts[] = [];
  for (const name of (await readdir(chooseMachinesRoot(root).root).catch(() => [])).sort((left, right) =>
    left.localeCompare(right),
  )) {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) continue;
    const paths = machinePaths(root, name);
    const record = await readRecord(paths).catch(() => undefined);
    if (record?.complete === true) found.push(await describeMachine(paths, name));
  }
  return found;
}
