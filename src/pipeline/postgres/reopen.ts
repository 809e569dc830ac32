import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { readRegular } from '../../archive/regular-file.ts';
import { largestHistoryBytes } from '../../databases/postgres/catalog-log.ts';
import { connect } from '../../databases/postgres/connect.ts';
import {
  forgetLastOptions,
  keepLastOptions,
  startGuestServer,
  stopGuestServer,
} from '../../databases/postgres/guest-server.ts';
import { formatTimeline } from '../../databases/postgres/lsn.ts';
import { parseTimelineHistory } from '../../databases/postgres/timeline.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import type { Step } from '../operations.ts';
import { withGuest, type MachineAccess } from '../machine/access.ts';
import { dataDirOf, withServer } from './server.ts';

const markName = '.clona-reopened';
const recoveryMinutes = 60;

/**
 * Starts a reverted server on a timeline that nobody has used (R20). It recovers from its own pg_wal alone: the
 * archive has segments of the abandoned future under the very names it would ask for. The archive's .history files
 * are laid beside its log, so that the new timeline gets a number above all of them; recovery_target_timeline =
 * current keeps it from following one. Archiving begins with the new timeline: the archiver of archive_mode = on
 * works only once recovery has ended (PostgreSQL manual, "Continuous Archiving in Standby").
 */
export async function reopenServer(
  machine: MachineAccess,
  archiveFolders: readonly string[],
  step: Step,
): Promise<{ incarnation: number; branchPosition: string }> {
  const dataDir = dataDirOf(machine);
  await withServer(machine, step.signal, async (guest, server) => {
    const mark = join(dataDir, markName);
    const marked = await readText(guest, mark, dataDir, step.signal);
    if (marked !== step.key) {
      await stopGuestServer(server, 'fast', step.signal);
      await keepLastOptions(server, step.signal);
      await layHistories(guest, dataDir, archiveFolders, step.signal);
      await guest.writeFile(join(dataDir, 'recovery.signal'), '', 0o600, step.signal);
      // Written after the signal: with the mark, the signal's absence says that recovery has ended.
      await guest.writeFile(mark, step.key, 0o600, step.signal);
    }
    const files = await guest.list(dataDir, step.signal);
    const recovers = files.includes('recovery.signal');
    await startGuestServer(server, {
      signal: step.signal,
      timeoutMs: recoveryMinutes * 60_000,
      settings: recovers
        ? {
            restore_command: 'false',
            recovery_target_timeline: 'current',
            recovery_target: '',
            hot_standby: 'off',
          }
        : undefined,
    });
    if (!recovers) return;
    await waitUntilOpen(machine, step.signal);
    // Once more with nothing but its own configuration, as it will be started from now on.
    await stopGuestServer(server, 'fast', step.signal);
    await startGuestServer(server, { signal: step.signal });
    await forgetLastOptions(server, step.signal);
  });
  return readBranch(machine, step.signal);
}

async function layHistories(
  guest: Guest,
  dataDir: string,
  archiveFolders: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const present = new Set(await guest.list(join(dataDir, 'pg_wal'), signal));
  const lay = async (name: string, content: Buffer | string): Promise<void> => {
    if (present.has(name)) return;
    await guest.writeFile(join(dataDir, 'pg_wal', name), content, 0o600, signal);
    present.add(name);
  };
  const names = await Promise.all(
    archiveFolders.map(async (folder) => readdir(join(folder, 'log')).catch((): string[] => [])),
  );
  for (const [index, folder] of archiveFolders.entries()) {
    for (const name of names[index] ?? []) {
      const [, timeline] = /^([0-9A-F]{8})\.history$/.exec(name) ?? [];
      const text = timeline === undefined ? null : await readWhole(join(folder, 'log', name), timeline);
      if (text !== null) await lay(name, text);
    }
  }
  // The server stops counting at the first number without a file: one whose file is lost or damaged is taken all the same.
  for (const name of names.flat()) {
    const [, timeline] = /^([0-9A-F]{8})(?:\.history)?$/.exec(name) ?? [];
    if (timeline !== undefined && Number.parseInt(timeline, 16) > 1)
      await lay(`${timeline}.history`, '# clona: this number is taken\n');
  }
}

/** Null: it is damaged, and the mirror may have it whole. */
async function readWhole(path: string, timeline: string): Promise<string | null> {
  try {
    const text = (await readRegular(path, { maxBytes: largestHistoryBytes })).toString('utf8');
    parseTimelineHistory(text, Number.parseInt(timeline, 16));
    return text;
  } catch {
    return null;
  }
}

/** Without hot standby the server counts as started while it still recovers, and turns sessions away (57P03). */
async function waitUntilOpen(machine: MachineAccess, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + recoveryMinutes * 60_000;
  for (;;) {
    if (await isOpen(machine, signal)) return;
    if (performance.now() > deadline) break;
    await wait(50, undefined, { signal });
  }
  throw new ClonaError('databaseFailed', 'the reverted server is still in recovery', {
    hint: `see server.log beside ${dataDirOf(machine)}`,
  });
}

async function isOpen(machine: MachineAccess, signal: AbortSignal): Promise<boolean> {
  try {
    await using session = await connect(machine.address, signal, { timeoutMs: 60_000 });
    const [row] = await session.query<{ recovers: boolean }>('select pg_is_in_recovery() as recovers');
    return row?.recovers === false;
  } catch (error) {
    if (error instanceof ClonaError && error.details?.['sqlState'] === '57P03') return false;
    throw error;
  }
}

/** Where the timeline in use began, as the server's own .history file says (R5). */
async function readBranch(
  machine: MachineAccess,
  signal: AbortSignal,
): Promise<{ incarnation: number; branchPosition: string }> {
  await using session = await connect(machine.address, signal, { timeoutMs: 60_000 });
  const [row] = await session.query<{ timeline: number }>(
    "select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline",
  );
  const timeline = row?.timeline ?? 0;
  const name = `${formatTimeline(timeline)}.history`;
  const text = await withGuest(machine, signal, async (guest) =>
    (await guest.readFile(join(dataDirOf(machine), 'pg_wal', name), signal)).toString('utf8'),
  );
  const last = parseTimelineHistory(text, timeline).ends.at(-1);
  return { incarnation: timeline, branchPosition: String(last?.switchPoint ?? 0) };
}

async function readText(
  guest: Guest,
  path: string,
  folder: string,
  signal: AbortSignal,
): Promise<string | null> {
  const names = await guest.list(folder, signal);
  if (!names.includes(path.slice(path.lastIndexOf('/') + 1))) return null;
  return (await guest.readFile(path, signal)).toString('utf8');
}
