import type { Lost } from '../../src/recovery/question.ts';
import { pathTo, type BackupRecord, type Simulation } from './simulation.ts';

/**
 * Whether anybody could restore (path of `id`, `until`) from what is left: tries every backup there is, with all
 * logs there are (fewer logs never help), walking each thread from log to log as a recovery does. Shares no code
 * with the planner.
 */
export function findWay(sim: Simulation, id: number, until: number, lost: Lost): BackupRecord | null {
  return sim.backups.find((backup) => leadsTo(sim, backup, id, until, lost)) ?? null;
}

function leadsTo(sim: Simulation, backup: BackupRecord, id: number, until: number, lost: Lost): boolean {
  const path = pathTo(sim, id);
  const depth = path.findIndex((one) => one.id === backup.incarnation);
  const stored = sim.vault.backups.get(backup.label);
  if (depth < 0 || stored === undefined || stored.rows !== null || backup.consistentFrom === null)
    return false;
  const leftAt = path[depth + 1]?.branch ?? Infinity;
  if (backup.consistentFrom > until || backup.consistentFrom > leftAt) return false;
  const low = backup.ownLog ? backup.consistentFrom : backup.start;
  if (low === until) return true;
  const pieces = listPieces(sim, id, lost).filter(({ first, end }) => first < end);
  const threads = new Set(pieces.filter(({ first }) => first < until).map(({ thread }) => thread));
  return (
    threads.size > 0 &&
    [...threads].every((thread) => walks(pieces.filter((one) => one.thread === thread && one.here)))
  );

  function walks(own: { first: number; end: number }[]): boolean {
    let at = low;
    while (at < until) {
      const next = own.find(({ first, end }) => first <= at && at < end);
      if (next === undefined) return false;
      at = next.end;
    }
    return true;
  }
}

function listPieces(
  sim: Simulation,
  id: number,
  lost: Lost,
): { thread: number; first: number; end: number; here: boolean }[] {
  const path = pathTo(sim, id);
  const leftAt = (incarnation: number): number => {
    const depth = path.findIndex((one) => one.id === incarnation);
    return depth < 0 ? -Infinity : (path[depth + 1]?.branch ?? Infinity);
  };
  const archivedHere = lost === 'database' || lost === 'online-log';
  return [
    ...sim.logs.map((log) => ({
      thread: log.thread,
      first: log.first,
      end: Math.min(log.next, leftAt(log.incarnation)),
      here: archivedHere && log.state === 'available',
    })),
    ...[...sim.online].map(([thread, { first }]) => ({
      thread,
      first,
      end: Math.min(sim.nextPosition, leftAt(sim.current)),
      here: lost === 'database',
    })),
  ];
}
