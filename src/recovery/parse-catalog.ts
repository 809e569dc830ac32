import { checkCatalog } from './check-catalog.ts';
import type {
  ArchivedLog,
  Backup,
  BackupKind,
  Catalog,
  ChangeWithoutRedo,
  IdleThread,
  Incarnation,
  OnlineLog,
  RecordState,
} from './catalog.ts';
import {
  readBoolean,
  readInteger,
  readList,
  readOneOf,
  readOptionalText,
  readPosition,
  readPositionOrNull,
  readRecord,
  readText,
  readTime,
  refuse,
  showValue,
  top,
  type Place,
  type RawRecord,
} from './fields.ts';
import { parseJson } from './json-text.ts';

const engines = ['oracle', 'postgres'] as const;
const kinds = ['hot', 'managed', 'quiesced', 'cold', 'export'] as const satisfies readonly BackupKind[];
const states = ['available', 'missing', 'damaged', 'expired'] as const satisfies readonly RecordState[];
const hows = [
  'NOLOGGING',
  'UNLOGGED',
  'wal_level minimal',
] as const satisfies readonly ChangeWithoutRedo['how'][];

/**
 * Reads the text of a catalog file (docs/catalog.md). Whatever is wrong is a `catalogInvalid` (exit 2) that
 * begins with its path in the file, or with line and column where the text is no JSON at all. Fields that
 * clona does not know are passed over.
 */
export function parseCatalog(text: string): Catalog {
  const root = readRecord(parseJson(text, 'the catalog'), top, 'the catalog');
  return readCatalog(root, readEach(root, 'logs', readArchivedLog));
}

/** Reads a catalog whose archived logs were read already. */
export function readCatalog(root: RawRecord, logs: ArchivedLog[]): Catalog {
  const changes = readList(root, 'changesWithoutRedo', []);
  const catalog: Catalog = {
    engine: readOneOf(root, 'engine', top, engines),
    database: readText(root, 'database', top),
    currentIncarnation: readInteger(root, 'currentIncarnation', top, 1),
    incarnations: readEach(root, 'incarnations', readIncarnation),
    backups: readEach(root, 'backups', readBackup),
    logs,
    onlineLogs: root['onlineLogs'] === undefined ? [] : readEach(root, 'onlineLogs', readOnlineLog),
    ...(changes.length > 0 && { changesWithoutRedo: readEach(root, 'changesWithoutRedo', readChange) }),
    ...(root['idleThreads'] !== undefined && { idleThreads: readEach(root, 'idleThreads', readIdle) }),
  };
  checkCatalog(catalog);
  return catalog;
}

/** Replaces the raw records one by one, so that they can be freed while the rest is still being read. */
function readEach<Result>(
  root: RawRecord,
  list: string,
  read: (record: RawRecord, place: Place) => Result,
): Result[] {
  const values = readList(root, list);
  const place = { list, index: 0 };
  for (; place.index < values.length; place.index += 1) {
    values[place.index] = read(readRecord(values[place.index], place, ''), place);
  }
  return values as Result[]; // every one was replaced above
}

function readIncarnation(record: RawRecord, place: Place): Incarnation {
  return {
    id: readInteger(record, 'id', place, 1),
    parent: record['parent'] === null ? null : readInteger(record, 'parent', place, 1),
    branchPosition: readPosition(record, 'branchPosition', place),
    openedAt: readTime(record, 'openedAt', place),
  };
}

function readBackup(record: RawRecord, place: Place): Backup {
  const kind = readOneOf(record, 'kind', place, kinds);
  const { requires, consistent } = record;
  return {
    label: readText(record, 'label', place),
    incarnation: readInteger(record, 'incarnation', place, 1),
    kind,
    start:
      kind === 'export' && (record['start'] ?? null) === null ? null : readPosition(record, 'start', place),
    consistentFrom: readPositionOrNull(record, 'consistentFrom', place),
    startedAt: readTime(record, 'startedAt', place),
    finishedAt:
      record['finishedAt'] === undefined ? refuseMissing(place) : readTime(record, 'finishedAt', place),
    device: readOptionalText(record, 'device', place),
    state: readOneOf(record, 'state', place, states),
    ownLog: readBoolean(record, 'ownLog', place),
    grade: readGrade(record, place),
    pinned: readBoolean(record, 'pinned', place),
    bytes: readOptionalInteger(record, 'bytes', place),
    ...(requires !== undefined && { requires: readLabels(requires, place) }),
    ...(consistent !== undefined && { consistent: readBoolean(record, 'consistent', place) }),
  };
}

function refuseMissing(place: Place): never {
  refuse(place, 'finishedAt', 'a time, or null for a running backup, is needed here, found nothing');
}

function readGrade(record: RawRecord, place: Place): number | null {
  const grade = readOptionalInteger(record, 'grade', place);
  if (grade !== null && grade > 6) refuse(place, 'grade', `a grade is 0 to 6, found ${grade}`);
  return grade;
}

function readOptionalInteger(record: RawRecord, field: string, place: Place): number | null {
  const value = record[field];
  return value === undefined || value === null ? null : readInteger(record, field, place, 0);
}

function readLabels(value: unknown, place: Place): string[] {
  if (!Array.isArray(value) || value.some((label) => typeof label !== 'string')) {
    refuse(place, 'requires', `a list of labels is needed here, found ${showValue(value)}`);
  }
  return value as string[]; // checked above
}

export function readArchivedLog(record: RawRecord, place: Place): ArchivedLog {
  const first = readPosition(record, 'first', place);
  const next = readPosition(record, 'next', place);
  if (first >= next) refuse(place, 'next', `${next} is not above first, ${first}`);
  return {
    incarnation: readInteger(record, 'incarnation', place, 1),
    thread: readInteger(record, 'thread', place, 0),
    sequence: readInteger(record, 'sequence', place, 0),
    first,
    next,
    firstTime: readTime(record, 'firstTime', place),
    nextTime: readTime(record, 'nextTime', place),
    state: readOneOf(record, 'state', place, states),
  };
}

/** Unlike an archived log, an online log may still be empty. */
function readOnlineLog(record: RawRecord, place: Place): OnlineLog {
  const first = readPosition(record, 'first', place);
  const end = readPosition(record, 'end', place);
  if (first > end) refuse(place, 'end', `${end} is below first, ${first}`);
  return {
    incarnation: readInteger(record, 'incarnation', place, 1),
    thread: readInteger(record, 'thread', place, 0),
    first,
    end,
    firstTime: readTime(record, 'firstTime', place),
    endTime: readTime(record, 'endTime', place),
  };
}

function readIdle(record: RawRecord, place: Place): IdleThread {
  const from = readPosition(record, 'from', place);
  const to = readPositionOrNull(record, 'to', place);
  if (to !== null && from >= to) refuse(place, 'to', `${to} is not above from, ${from}`);
  const incarnation = readInteger(record, 'incarnation', place, 1);
  return { incarnation, thread: readInteger(record, 'thread', place, 0), from, to };
}

function readChange(record: RawRecord, place: Place): ChangeWithoutRedo {
  return {
    incarnation: readInteger(record, 'incarnation', place, 1),
    position: readPositionOrNull(record, 'position', place),
    object: readText(record, 'object', place),
    how: readOneOf(record, 'how', place, hows),
  };
}
