import type {
  ArchivedLog,
  Backup,
  Catalog,
  IdleThread,
  Incarnation,
  OnlineLog,
} from '../../src/recovery/catalog.ts';
import { asPosition } from '../../src/recovery/position.ts';

/** Catalogs by hand, positions as plain numbers. */
const at = (position: number): ReturnType<typeof asPosition> => asPosition(BigInt(position));

export function inc(id: number, parent: number | null = null, branch = 1): Incarnation {
  return { id, parent, branchPosition: at(branch), openedAt: null };
}

export function bk(
  label: string,
  start: number,
  consistentFrom: number | null = start,
  more: Partial<Backup> = {},
): Backup {
  return {
    label,
    incarnation: 1,
    kind: 'managed',
    start: at(start),
    consistentFrom: consistentFrom === null ? null : at(consistentFrom),
    startedAt: null,
    finishedAt: '2024-05-01T00:00:00Z',
    device: 'disk-b',
    state: 'available',
    ownLog: false,
    grade: 1,
    pinned: false,
    bytes: null,
    ...more,
  };
}

export function log(
  sequence: number,
  first: number,
  next: number,
  more: Partial<ArchivedLog> = {},
): ArchivedLog {
  return {
    incarnation: 1,
    thread: 1,
    sequence,
    first: at(first),
    next: at(next),
    firstTime: null,
    nextTime: null,
    state: 'available',
    ...more,
  };
}

export function online(first: number, end: number, more: Partial<OnlineLog> = {}): OnlineLog {
  return {
    incarnation: 1,
    thread: 1,
    first: at(first),
    end: at(end),
    firstTime: null,
    endTime: null,
    ...more,
  };
}

export function idle(from: number, to: number | null, more: Partial<IdleThread> = {}): IdleThread {
  return { incarnation: 1, thread: 2, from: at(from), to: to === null ? null : at(to), ...more };
}

export function catalogOf(parts: Partial<Catalog>): Catalog {
  return {
    engine: 'oracle',
    database: 'ERP',
    currentIncarnation: 1,
    incarnations: [inc(1)],
    backups: [],
    logs: [],
    onlineLogs: [],
    ...parts,
  };
}

/** The worked example after the reset to `current`: 1, then 2 at 200, 3 at 400 on 2, back on 2, 4 at 300. */
export function workedExample(current: 1 | 2 | 3 | 4): Catalog {
  const all = [inc(1), inc(2, 1, 200), inc(3, 2, 400), inc(4, 2, 300)];
  return catalogOf({ currentIncarnation: current, incarnations: all.slice(0, current) });
}
