import type { ArchivedLog, OnlineLog, RecordState } from '../../recovery/catalog.ts';
import { asPosition, type Position } from '../../recovery/position.ts';
import type { ServerClock } from './clock.ts';
import type { ControlFileRows, RowOf } from './control-file.ts';
import type { IncarnationTree } from './incarnations.ts';
import { after, readEnd, readNumber, readScn, readScnOrNull } from './values.ts';

/** Of V$BACKUP_SET and its pieces: whether a set can be read. By `SET_STAMP.SET_COUNT`. */
export type SetStates = ReadonlyMap<string, RecordState>;

interface LogContext {
  rows: ControlFileRows;
  tree: IncarnationTree;
  clock: ServerClock;
  sets: SetStates;
}

type LogRow = Pick<
  RowOf<'archivedLogs'>,
  'thread' | 'sequence' | 'resetlogs' | 'resetlogsTime' | 'first' | 'firstTime' | 'next' | 'nextTime'
>;

/**
 * Archived logs of all threads and destinations, and those inside backup sets: each record a copy of its (incarnation,
 * thread, sequence). Known ones that are gone stay in the list, as missing: a plan must not leave their changes out unseen.
 */
export function readLogs({ rows, tree, clock, sets }: LogContext): {
  logs: ArchivedLog[];
  warnings: string[];
} {
  const branches = listBranches(tree);
  const logs: ArchivedLog[] = [];
  const add = (row: LogRow, state: RecordState, where: string): void => {
    const incarnation = tree.idOf(row);
    const first = readScn(row.first, `${where}.FIRST_CHANGE#`);
    logs.push({
      incarnation,
      thread: readNumber(row.thread, `${where}.THREAD#`),
      sequence: readNumber(row.sequence, `${where}.SEQUENCE#`),
      first,
      next: readEnd(row.next) ?? knownEnd(branches.get(incarnation), first),
      firstTime: clock.toInstant(row.firstTime),
      nextTime: readEnd(row.next) === null ? null : clock.toInstant(row.nextTime),
      state,
    });
  };
  let nameless = 0;
  for (const row of rows.archivedLogs) {
    if (isNamed(row)) add(row, stateOfFile(row), 'V$ARCHIVED_LOG');
    else nameless += 1;
  }
  for (const row of rows.backupLogs) {
    add(row, sets.get(`${row.setStamp ?? ''}.${row.setCount ?? ''}`) ?? 'missing', 'V$BACKUP_REDOLOG');
  }
  return { logs, warnings: [...marryCopies(logs), ...warnNameless(nameless)] };
}

/** A transfer that is still running, on a standby above all, has a record before it has a content. */
function isNamed({ thread, sequence, first, resetlogs }: LogRow): boolean {
  return thread !== null && sequence !== null && first !== null && resetlogs !== null;
}

function warnNameless(count: number): string[] {
  return count === 0
    ? []
    : [`${count} records of V$ARCHIVED_LOG say neither thread nor sequence nor SCN: left out`];
}

/** Only the file on the server's own disks counts: what a standby got is that machine's, and NAME is null for a cleared log. */
function stateOfFile({ name, status, deleted, standby, archived }: RowOf<'archivedLogs'>): RecordState {
  if (name === null || deleted === 'YES' || standby === 'YES' || archived === 'NO') return 'missing';
  if (status === 'A') return 'available';
  return status === 'X' ? 'expired' : 'missing';
}

/**
 * OPEN RESETLOGS archives the online log with an open end. It surely reaches to where the new incarnation branched off:
 * recovery had to read it up to there.
 */
function knownEnd(branches: readonly Position[] | undefined, first: Position): Position {
  return (branches ?? []).reduce((end, branch) => (branch > end ? branch : end), first);
}

function listBranches({ incarnations }: IncarnationTree): ReadonlyMap<number, Position[]> {
  const branches = new Map<number, Position[]>();
  for (const { parent, branchPosition } of incarnations) {
    if (parent !== null) branches.set(parent, [...(branches.get(parent) ?? []), branchPosition]);
  }
  return branches;
}

/**
 * Records of one name are copies of one log (A21): a copy with an open end takes the end of one that was closed. Two that
 * begin at different positions cannot both be that log: neither is trusted.
 */
function marryCopies(logs: ArchivedLog[]): string[] {
  const firstOf = new Map<string, ArchivedLog>();
  const warnings: string[] = [];
  for (const log of logs) {
    const key = `${log.incarnation}/${log.thread}/${log.sequence}`;
    const other = firstOf.get(key);
    if (other === undefined) {
      firstOf.set(key, log);
      continue;
    }
    if (other.first !== log.first) {
      other.state = 'damaged';
      log.state = 'damaged';
      warnings.push(
        `log ${key} (incarnation/thread/sequence) is recorded from ${other.first} and from ${log.first}: one name, two contents, neither is used`,
      );
    } else if (other.nextTime === null && log.nextTime !== null) {
      other.next = log.next;
      other.nextTime = log.nextTime;
    } else if (log.nextTime === null && other.nextTime !== null) {
      log.next = other.next;
      log.nextTime = other.nextTime;
    }
  }
  return warnings;
}

/** The online log of every thread; its groups that are archived already are copies. Groups nobody can read are left out. */
export function readOnlineLogs({ rows, tree, clock }: Omit<LogContext, 'sets'>): {
  onlineLogs: OnlineLog[];
  warnings: string[];
} {
  const broken = findBrokenGroups(rows);
  const warnings = [...broken].map(
    (group) => `no member of online log group ${group} can be read (V$LOGFILE): it counts as lost`,
  );
  const onlineLogs = rows.onlineLogs.flatMap((row): OnlineLog[] => {
    const first = readScnOrNull(row.first);
    const unused = row.status === 'UNUSED' || row.status?.startsWith('CLEARING') === true;
    if (unused || first === null || first === 0n || broken.has(row.group ?? '')) return [];
    const closed = readEnd(row.next);
    const end = closed ?? endOfRedo(rows, row.thread, first);
    const endTime = closed === null ? new Date(clock.nowMs).toISOString() : clock.toInstant(row.nextTime);
    if (end <= first) return [];
    const thread = readNumber(row.thread, 'V$LOG.THREAD#');
    return [
      { incarnation: tree.current, thread, first, end, firstTime: clock.toInstant(row.firstTime), endTime },
    ];
  });
  return { onlineLogs, warnings };
}

function findBrokenGroups({ logMembers }: ControlFileRows): Set<string> {
  const online = logMembers.filter(({ type }) => type !== 'STANDBY');
  const good = new Set(online.filter(({ status }) => status !== 'INVALID').map(({ group }) => group ?? ''));
  return new Set(online.map(({ group }) => group ?? '').filter((group) => !good.has(group)));
}

/**
 * Exclusive end of what the current group of a thread holds. Open: the database's SCN now. A thread that is closed or
 * disabled wrote nothing since, so its log holds everything up to there, too. Not open: as far as the control file knows.
 */
function endOfRedo(rows: ControlFileRows, thread: string | null, first: Position): Position {
  const [database] = rows.database;
  const known = [
    readScnOrNull(database?.currentScn ?? null),
    readScnOrNull(database?.checkpoint ?? null),
    ...rows.threads.flatMap((row) => [readScnOrNull(row.lastRedo), readScnOrNull(row.checkpoint)]),
  ].filter((scn) => scn !== null);
  const own = rows.threads.find((row) => row.thread === thread);
  const crashed = database?.openMode === 'MOUNTED' && own?.status === 'OPEN';
  // After a crash a thread is known only as far as its own last redo was noted in the control file.
  const candidates = crashed
    ? [readScnOrNull(own.lastRedo), readScnOrNull(own.checkpoint)].filter((scn) => scn !== null)
    : known;
  const highest = candidates.reduce<bigint>((high, scn) => (scn > high ? scn : high), 0n);
  return after(highest < first ? first : asPosition(highest));
}
