import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { databasePort, requireRecord, writeRecord, type MachinePaths, type MachineRecord } from './layout.ts';
import { killProcesses, listProcesses, sendSignal, type ProcessOwner } from './processes.ts';
import { finishRevert } from './snapshots.ts';
import { findServer, startServer } from './ssh-process.ts';
import { keepUid } from './users.ts';

export function ownerOf(paths: MachinePaths, record: MachineRecord): ProcessOwner {
  return { folder: paths.folder, uid: record.uid };
}

/** Powers a machine on; the caller holds its lock. On already: nothing happens. */
export async function powerOnMachine(paths: MachinePaths, name: string, signal: AbortSignal): Promise<void> {
  if ((await findServer(paths)) !== undefined) return;
  let record = await requireRecord(paths, name);
  await keepUid(record.uid, paths.folder, signal);
  // Without its server the machine is off, and nothing of it may still run.
  await killProcesses(ownerOf(paths, record), signal);
  record = await finishRevert(paths, record, signal);
  await removeStalePid(paths);
  const { port } = await startWherePossible(paths, record, signal);
  if (port !== null && port !== record.sshPort) await writeRecord(paths, { ...record, sshPort: port });
}

/** The port of last time, so that addresses stay; any other where somebody else has taken it. */
async function startWherePossible(
  paths: MachinePaths,
  record: MachineRecord,
  signal: AbortSignal,
): Promise<{ port: number | null }> {
  try {
    return await startServer(paths, record, signal);
  } catch (error) {
    const taken = error instanceof Error && error.message.includes('EADDRINUSE');
    if (!taken || record.sshPort === null || record.sshPort === 0) throw error;
    return startServer(paths, { ...record, sshPort: 0 }, signal);
  }
}

/**
 * After a power cut PostgreSQL's postmaster.pid names a process of the past, whose number another one of this
 * machine's user may get; nothing of the machine runs here, so it can name nobody.
 */
async function removeStalePid(paths: MachinePaths): Promise<void> {
  await rm(join(paths.data, 'pg', 'postmaster.pid'), { force: true });
  // The same for its socket: on a host whose first process buries no orphans the number stays taken.
  for (const name of [`.s.PGSQL.${databasePort}`, `.s.PGSQL.${databasePort}.lock`]) {
    await rm(join(paths.run, name), { force: true });
  }
}

/**
 * Shuts a machine down as an operating system does: the database by a fast shutdown, every other service by TERM,
 * and what is left after `graceMs` loses its power. The caller holds the lock. Off already: nothing happens.
 */
export async function powerOffMachine(
  paths: MachinePaths,
  record: MachineRecord,
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const owner = ownerOf(paths, record);
  const server = await findServer(paths);
  if (graceMs > 0) {
    await askToEnd(paths, owner, server?.pid);
    const deadline = Date.now() + graceMs;
    while (Date.now() < deadline) {
      const running = await listProcesses(owner);
      if (running.every(({ pid }) => pid === server?.pid)) break;
      await wait(20, undefined, { signal });
    }
  }
  await killProcesses(owner, signal);
}

async function askToEnd(paths: MachinePaths, owner: ProcessOwner, server: number | undefined): Promise<void> {
  const running = await listProcesses(owner);
  const own = new Set(running.map(({ pid }) => pid));
  const text = await readFile(join(paths.data, 'pg', 'postmaster.pid'), 'utf8').catch(() => '');
  const postmaster = Number.parseInt(text, 10);
  for (const { pid, parent } of running) {
    if (pid === server) continue;
    // Parents end their children themselves, in their own order.
    if (pid === postmaster) sendSignal(pid, 'SIGINT');
    else if (!own.has(parent) || parent === server) sendSignal(pid, 'SIGTERM');
  }
}
