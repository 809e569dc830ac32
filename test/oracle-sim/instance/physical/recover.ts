import { existsSync } from 'node:fs';
import { OraError } from '../../wire/values.ts';
import { currentIncarnation, mounted, saveControl, type Database } from './database.ts';
import { readOnlineLogs } from './checkpoint.ts';
import { readRedoLog, writeDataFile } from './files.ts';
import { findFuzzy } from './consistency.ts';
import { loadAll } from './lifecycle.ts';
import { applyRedo } from './pages.ts';
import type { ArchivedLog, ControlFile, DataFile, Incarnation, RedoLog } from './types.ts';

/** Where recovery stops, exclusive; null: at the end of the redo. */
export type Until = { scn: bigint } | { at: number } | { cancel: true } | null;

export interface LogName {
  thread: number;
  sequence: number;
  /** SCN from which it is needed, and the incarnation whose log it would be. */
  from: bigint;
  incarnation: Incarnation;
}

export interface Recovery {
  /** Logs that were applied, in order. */
  applied: RedoLog[];
  /** The log that was missing: recovery ended there. */
  missing: LogName | null;
  reached: bigint;
}

/** Root … current, each with the SCN at which its child leaves it. */
export function pathOf({
  incarnations,
  current,
}: ControlFile): { incarnation: Incarnation; cut: bigint | null }[] {
  const path: { incarnation: Incarnation; cut: bigint | null }[] = [];
  let child: Incarnation | null = null;
  for (let number: number | null = current; number !== null;) {
    const here: number = number;
    const incarnation: Incarnation = incarnations.find((one) => one.number === here)!;
    path.unshift({ incarnation, cut: child?.resetlogsScn ?? null });
    child = incarnation;
    number = incarnation.parent;
  }
  return path;
}

/** Which incarnation's redo holds this SCN on the way to the current one. */
function incarnationAt(control: ControlFile, scn: bigint): { incarnation: Incarnation; cut: bigint | null } {
  return pathOf(control).find(({ cut }) => cut === null || scn < cut)!;
}

/** A log in any of its destinations. */
export function lyingCopy({ name, copies = [] }: ArchivedLog): string | undefined {
  return [name, ...copies.map((copy) => copy.name)].find((path) => existsSync(path));
}

export interface LogSource {
  /** Reads the log that holds this SCN of this incarnation, or says that there is none. */
  find(incarnation: Incarnation, thread: number, scn: bigint): RedoLog | null;
}

/** Archived logs that the control file knows and that are there; with a current control file the online ones, too. */
export function controlFileLogs(
  database: Database,
  alsoIn: (name: LogName) => string | null = () => null,
): LogSource {
  const control = mounted(database);
  return {
    find(incarnation, thread, scn) {
      const known = control.archived.find(
        (log) =>
          log.status === 'A' &&
          log.thread === thread &&
          log.resetlogsScn === incarnation.resetlogsScn &&
          log.resetlogsAt === incarnation.resetlogsAt &&
          log.firstScn <= scn &&
          scn < log.nextScn &&
          lyingCopy(log) !== undefined,
      );
      if (known !== undefined) return readRedoLog(lyingCopy(known)!);
      const online = readOnlineLogs(database).find(
        (log) =>
          log.thread === thread &&
          log.resetlogsScn === incarnation.resetlogsScn &&
          log.firstScn <= scn &&
          (log.nextScn === null || scn < log.nextScn) &&
          control.type === 'CURRENT',
      );
      if (online !== undefined) return online;
      const elsewhere = alsoIn({
        thread,
        sequence: sequenceAt(control, incarnation, scn, thread),
        from: scn,
        incarnation,
      });
      return elsewhere === null || !existsSync(elsewhere) ? null : readRedoLog(elsewhere);
    },
  };
}

/** The number a log would have that begins at this SCN: one more than the last that is known before it. */
function sequenceAt(
  { archived, groups }: ControlFile,
  { resetlogsScn }: Incarnation,
  scn: bigint,
  thread: number,
): number {
  const logs = [
    ...archived.filter((log) => log.thread === thread && log.resetlogsScn === resetlogsScn),
    ...groups.filter((group) => group.thread === thread && group.status !== 'UNUSED'),
  ];
  const holding = logs.find(
    ({ firstScn, nextScn }) => firstScn <= scn && (nextScn === null || scn < nextScn),
  );
  if (holding !== undefined) return holding.sequence;
  const before = logs
    .filter(({ nextScn }) => nextScn !== null && nextScn <= scn)
    .map(({ sequence }) => sequence);
  return Math.max(0, ...before) + 1;
}

/** RECOVER DATABASE: applies redo to the files on disk from their headers on. Throws for a block that is corrupt. */
export function recover(database: Database, until: Until, source: LogSource): Recovery {
  const control = mounted(database);
  if (database.open !== null)
    throw new OraError(1124, 'cannot recover data file 1 - file is in use or recovery');
  const files = loadAll(control);
  checkOrphans(control, files);
  const applied: RedoLog[] = [];
  let missing: LogName | null = null;
  let at = lowestStart(files);
  const target = until !== null && 'scn' in until ? until.scn : null;
  const untilTime = until !== null && 'at' in until ? until.at : null;
  let over = until !== null && 'cancel' in until;
  if (target !== null && at >= target) over = true;
  while (!over) {
    const { incarnation, cut } = incarnationAt(control, at);
    const logs: RedoLog[] = [];
    for (const thread of threadsAt(control, at)) {
      const log = source.find(incarnation, thread, at);
      if (log !== null) logs.push(log);
      else
        missing ??= { thread, sequence: sequenceAt(control, incarnation, at, thread), from: at, incarnation };
    }
    if (missing !== null) break;
    for (const log of logs) if (!applied.some((one) => isSameLog(one, log))) applied.push(log);
    const end = leastOf([cut, target, nextChange(control, at), ...logs.map(({ nextScn }) => nextScn)]);
    const stopped = applyLogs(control, files, logs, at, end, untilTime);
    over =
      logs.every(({ nextScn }) => nextScn === null) ||
      (untilTime !== null && logs.every(({ nextAt }) => nextAt === null || untilTime < nextAt));
    const known = target !== null && target <= control.scn ? target : stopped;
    at = over ? (untilTime === null ? known : stopped) : end!;
    if (target !== null && at >= target) over = true;
  }
  finish(database, files, at, until, missing);
  return { applied, missing, reached: at };
}

/** The threads whose redo is needed at this SCN. */
function threadsAt({ threads }: ControlFile, scn: bigint): number[] {
  return threads
    .filter(
      ({ enabledFrom, disabledFrom }) => enabledFrom <= scn && (disabledFrom === null || scn < disabledFrom),
    )
    .map(({ thread }) => thread);
}

/** Where a thread is enabled or disabled next. */
function nextChange({ threads }: ControlFile, scn: bigint): bigint | null {
  const later = threads
    .flatMap(({ enabledFrom, disabledFrom }) => [enabledFrom, disabledFrom])
    .filter((one) => one !== null && one > scn);
  return leastOf(later);
}

function isSameLog(one: RedoLog, other: RedoLog): boolean {
  return (
    one.thread === other.thread && one.sequence === other.sequence && one.resetlogsScn === other.resetlogsScn
  );
}

function leastOf(values: readonly (bigint | null)[]): bigint | null {
  return values.reduce(
    (least, value) => (value === null || (least !== null && least < value) ? least : value),
    null,
  );
}

function lowestStart(files: ReadonlyMap<number, DataFile>): bigint {
  return [...files.values()].map(({ header }) => header.checkpointScn).reduce((a, b) => (a < b ? a : b));
}

/** A file of another branch cannot be recovered along this one. */
function checkOrphans(control: ControlFile, files: ReadonlyMap<number, DataFile>): void {
  const path = pathOf(control);
  for (const known of control.files) {
    const { header } = files.get(known.file)!;
    const step = path.find(
      ({ incarnation }) =>
        incarnation.resetlogsScn === header.resetlogsScn && incarnation.resetlogsAt === header.resetlogsAt,
    );
    const late = step !== undefined && step.cut !== null && header.checkpointScn > step.cut;
    if (step !== undefined && !late) continue;
    throw new OraError(
      19909,
      `datafile ${known.file} belongs to an orphan incarnation\nORA-01110: data file ${known.file}: '${known.name}'`,
    );
  }
}

/** The redo of all threads in the order of its SCNs. Answers the SCN after the last record that was applied. */
function applyLogs(
  control: ControlFile,
  files: ReadonlyMap<number, DataFile>,
  logs: readonly RedoLog[],
  from: bigint,
  end: bigint | null,
  untilTime: number | null,
): bigint {
  let after = from;
  const records = logs
    .flatMap((log) => log.records.map((redo) => ({ redo, log })))
    .sort((a, b) => (a.redo.scn < b.redo.scn ? -1 : 1));
  for (const { redo, log } of records) {
    if (redo.scn < from) continue;
    if (end !== null && redo.scn >= end) break;
    const span =
      log.nextAt === null || log.nextScn === null
        ? null
        : { scns: Number(log.nextScn - log.firstScn), milliseconds: log.nextAt - log.firstAt };
    // Times of single records are not kept: they are spread evenly over the log.
    if (untilTime !== null) {
      const at =
        span === null
          ? log.firstAt
          : log.firstAt + (Number(redo.scn - log.firstScn) / span.scns) * span.milliseconds;
      if (at >= untilTime) break;
    }
    after = redo.scn + 1n;
    const data = files.get(redo.file);
    const known = control.files.find(({ file }) => file === redo.file);
    if (data === undefined || known === undefined || redo.scn < data.header.checkpointScn) continue;
    applyRedo(data, redo, known);
  }
  return after;
}

function finish(
  database: Database,
  files: ReadonlyMap<number, DataFile>,
  at: bigint,
  until: Until,
  missing: LogName | null,
): void {
  const control = mounted(database);
  const incarnation = currentIncarnation(control);
  const complete = until === null && missing === null && control.type === 'CURRENT';
  for (const known of control.files) {
    const data = files.get(known.file)!;
    const { header } = data;
    if (at > header.checkpointScn) header.checkpointScn = at;
    if (header.backupScn === null && header.checkpointScn > header.absoluteFuzzyScn) header.fuzzy = false;
    header.resetlogsScn = incarnation.resetlogsScn;
    header.resetlogsAt = incarnation.resetlogsAt;
    if (complete) {
      known.checkpointScn = header.checkpointScn;
      known.backup = null;
    }
    writeDataFile(known.name, data);
  }
  if (at > control.scn) control.scn = at;
  if (!complete) control.recoveredTo = at;
  saveControl(database);
}

/** What RECOVER adds when it ended where the files do not agree yet. */
export function wouldFail(database: Database): OraError | null {
  const control = mounted(database);
  const fuzzy = findFuzzy(control, loadAll(control));
  if (fuzzy === null) return null;
  const name = `ORA-01110: data file ${fuzzy.file}: '${fuzzy.name}'`;
  return new OraError(
    1547,
    `warning: RECOVER succeeded but OPEN RESETLOGS would get error below\nORA-01194: file ${fuzzy.file} needs more recovery to be consistent\n${name}`,
  );
}
