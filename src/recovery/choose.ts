import type { Backup } from './catalog.ts';
import { instantOf } from './instant.ts';

/**
 * R4 and A9 as a typed table: less redo, then better verified, then newer, then the lower label. A negative
 * answer prefers `a`. All candidates serve one target, so the least redo is the highest start.
 */
const preferences = [
  {
    rule: 'redo',
    compare: (a, b) => (a.start === b.start ? 0 : (a.start ?? -1n) > (b.start ?? -1n) ? -1 : 1),
  },
  { rule: 'grade', compare: (a, b) => (b.grade ?? -1) - (a.grade ?? -1) },
  { rule: 'age', compare: compareNewestFirst },
  { rule: 'label', compare: compareLabels },
] as const satisfies readonly { rule: string; compare: (a: Backup, b: Backup) => number }[];

export type Preference = (typeof preferences)[number]['rule'];

export function isBetter(a: Backup, b: Backup): boolean {
  return preferences.reduce((order, { compare }) => order || compare(a, b), 0) < 0;
}

/** The rule by which `chosen` came before `other`. */
export function decidingRule(chosen: Backup, other: Backup): Preference {
  return preferences.find(({ compare }) => compare(chosen, other) !== 0)!.rule; // labels always differ
}

/** Later finishedAt first, as instants; without one it comes last. */
export function compareNewestFirst(a: Backup, b: Backup): number {
  return finishedMs(b) - finishedMs(a);
}

/** By UTF-16 code unit, which is what < does; no two backups have one label. */
export function compareLabels(a: Backup, b: Backup): number {
  return a.label < b.label ? -1 : 1;
}

/** Milliseconds since 1970; a number that sorts before all for a running backup. */
export function finishedMs({ finishedAt }: Backup): number {
  return instantOf(finishedAt) ?? Number.MIN_SAFE_INTEGER;
}
