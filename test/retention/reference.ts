import type { Backup, Catalog } from '../../src/recovery/catalog.ts';
import type { Policy } from '../../src/retention/policy.ts';
import { branchOf, cutIn, pathOf, running, serves } from '../recovery/reference.ts';

/** A15 to A23 word by word, without an index; shares nothing with src/ but the types. */
const day = 86_400_000;

export interface ReferenceRetention {
  kept: string[];
  marks: Record<string, number | null>;
  deletable: string[];
}

const ended = (backup: Backup): number =>
  backup.finishedAt === null ? -Infinity : Date.parse(backup.finishedAt);

function newestFirst(a: Backup, b: Backup): number {
  return ended(b) - ended(a) || (a.label < b.label ? -1 : 1);
}

export function retain(catalog: Catalog, policy: Policy, now: number): ReferenceRetention {
  const path = pathOf(catalog, catalog.currentIncarnation);
  const onPath = (backup: Backup): boolean =>
    path.includes(backup.incarnation) &&
    Number(backup.consistentFrom) <= cutIn(catalog, path, backup.incarnation);
  const whole = (backup: Backup): boolean =>
    (backup.requires ?? []).every((label) => {
      const base = catalog.backups.find((one) => one.label === label)!;
      return base.state === 'available' && !running(base) && whole(base);
    });
  const usable = (backup: Backup): boolean =>
    whole(backup) &&
    (backup.kind === 'export' ||
      serves({ catalog, path, lost: 'online-log' }, backup, Number(backup.consistentFrom), 'archived'));
  const kept = new Set<string>();
  const finished = catalog.backups.filter((backup) => backup.state === 'available' && !running(backup));
  for (const exported of [true, false]) {
    const serving = finished
      .filter((one) => (one.kind === 'export') === exported && onPath(one))
      .sort(newestFirst);
    const counting = serving.filter(usable);
    for (const one of counting.slice(0, policy.redundancy)) kept.add(one.label);
    if (policy.windowDays > 0) {
      const from = now - policy.windowDays * day;
      for (const one of counting) if (ended(one) > from) kept.add(one.label);
      const before = counting.find((one) => ended(one) <= from);
      if (before !== undefined) kept.add(before.label);
    }
    const pool = counting.length > 0 ? counting : serving;
    const best = Math.max(...pool.map(({ grade }) => grade ?? -1));
    const bestOne = pool.find(({ grade }) => (grade ?? -1) === best);
    if (bestOne !== undefined) kept.add(bestOne.label);
    for (const one of serving) {
      if (!usable(one) && !counting.some((other) => ended(other) > ended(one))) kept.add(one.label);
    }
  }
  for (const one of catalog.backups) {
    if (one.pinned) kept.add(one.label);
    if (one.state === 'available' && running(one)) kept.add(one.label);
  }
  for (const one of finished) {
    if (!onPath(one) && policy.orphanDays > 0 && ended(one) > now - policy.orphanDays * day)
      kept.add(one.label);
  }
  let before = -1;
  while (kept.size > before) {
    before = kept.size;
    for (const one of catalog.backups)
      if (kept.has(one.label)) for (const base of one.requires ?? []) kept.add(base);
  }
  const marks: Record<string, number | null> = {};
  const gone = new Set<number>();
  for (const { id } of catalog.incarnations) {
    const mine = pathOf(catalog, id);
    const keptOnes = catalog.backups.filter(({ label, kind }) => kept.has(label) && kind !== 'export');
    const downwards = (other: number): boolean => pathOf(catalog, other).includes(id);
    const holding = keptOnes.filter((one) => {
      if (downwards(one.incarnation)) return true;
      if (!mine.includes(one.incarnation) || one.consistentFrom === null) return false;
      const child = mine[mine.indexOf(one.incarnation) + 1]!;
      return Number(one.consistentFrom) <= branchOf(catalog, child);
    });
    const own = keptOnes.some((one) => downwards(one.incarnation));
    const young = catalog.logs
      .filter(({ incarnation }) => downwards(incarnation))
      .some(({ nextTime }) => nextTime === null || Date.parse(nextTime) > now - policy.orphanDays * day);
    if (!path.includes(id) && !own && (policy.orphanDays === 0 || !young)) {
      gone.add(id);
      marks[id] = null;
    } else {
      marks[id] = holding.length === 0 ? null : Math.min(...holding.map(({ start }) => Number(start)));
    }
  }
  const name = (log: { incarnation: number; thread: number; sequence: number }): string =>
    `${log.incarnation}/${log.thread}/${log.sequence}`;
  const mayGo = (log: { incarnation: number; next: bigint }): boolean => {
    const mark = marks[log.incarnation];
    return gone.has(log.incarnation) || (typeof mark === 'number' && Number(log.next) <= mark);
  };
  const deletable = catalog.logs
    .filter((log) => catalog.logs.filter((other) => name(other) === name(log)).every(mayGo))
    .map(name);
  return { kept: [...kept].sort(), marks, deletable: [...new Set(deletable)].sort() };
}
