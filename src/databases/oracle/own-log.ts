import type { ArchivedLog, Backup } from '../../recovery/catalog.ts';
import type { Position } from '../../recovery/position.ts';
import type { ControlFileRows } from './control-file.ts';
import type { BackupSet } from './file-backups.ts';

/**
 * R7: which backups carry their own log: sets in the very same place hold every thread from start to consistentFrom. Then
 * they serve even when the archived logs of the recovery area are gone. `inSets`: the logs inside of backup sets, one for
 * each row of V$BACKUP_REDOLOG; `logs`: all that are known, to know which threads there were.
 */
export function markOwnLogs(
  backups: readonly Backup[],
  logs: readonly ArchivedLog[],
  inSets: readonly ArchivedLog[],
  rows: ControlFileRows,
  sets: ReadonlyMap<string, BackupSet>,
): void {
  if (inSets.length === 0) return;
  const begins = findBeginnings(logs);
  const near = new Map<string, ArchivedLog[]>();
  for (const [index, { setStamp, setCount }] of rows.backupLogs.entries()) {
    const set = sets.get(`${setStamp ?? ''}.${setCount ?? ''}`);
    const log = inSets[index];
    if (set?.state !== 'available' || log === undefined) continue;
    const key = `${log.incarnation}/${log.thread}/${set.device}`;
    const list = near.get(key);
    if (list === undefined) near.set(key, [log]);
    else list.push(log);
  }
  for (const list of near.values()) list.sort((a, b) => (a.first < b.first ? -1 : 1));
  for (const backup of backups) {
    const { start, consistentFrom, kind, incarnation, device } = backup;
    if (kind !== 'managed' || start === null || consistentFrom === null || start === consistentFrom) continue;
    const needed = [...(begins.get(incarnation) ?? [])].filter(([, first]) => first < consistentFrom);
    backup.ownLog =
      needed.length > 0 &&
      needed.every(([thread]) =>
        holds(near.get(`${incarnation}/${thread}/${device ?? ''}`) ?? [], start, consistentFrom),
      );
  }
}

/** By incarnation and thread: where its log begins. */
function findBeginnings(logs: readonly ArchivedLog[]): ReadonlyMap<number, Map<number, Position>> {
  const begins = new Map<number, Map<number, Position>>();
  for (const { incarnation, thread, first } of logs) {
    let threads = begins.get(incarnation);
    if (threads === undefined) {
      threads = new Map();
      begins.set(incarnation, threads);
    }
    const known = threads.get(thread);
    if (known === undefined || first < known) threads.set(thread, first);
  }
  return begins;
}

/** Whether logs that rise by `first` hold [from, to) without a gap. */
function holds(rising: readonly ArchivedLog[], from: Position, to: Position): boolean {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rising[middle]!.next <= from) low = middle + 1;
    else high = middle;
  }
  let reached = from;
  for (let at = low; at < rising.length && reached < to; at += 1) {
    const { first, next } = rising[at]!; // below the length
    if (first > reached) return false;
    if (next > reached) reached = next;
  }
  return reached >= to;
}
