/** Two hosts' clocks may differ by this much before a time counts as lying in the future. */
export const clockSkewMs = 120_000;

/** Milliseconds from one time to another; null where one of them is no time at all. */
export function elapsedMs(from: string, to: string | Date): number | null {
  const elapsed = (typeof to === 'string' ? Date.parse(to) : to.getTime()) - Date.parse(from);
  return Number.isNaN(elapsed) ? null : elapsed;
}

/** `at` lies not after `now` (but for the clocks' skew) and less than `maximumMs` before it. */
export function isYounger(at: string, maximumMs: number, now: Date): boolean {
  const age = elapsedMs(at, now);
  return age !== null && age >= -clockSkewMs && age < maximumMs;
}

/** A length of time for people: "3 h 20 min". */
export function formatLength(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 1) return `${Math.round(milliseconds / 1000)} s`;
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), minutes % 60];
  return [days > 0 ? `${days} d` : '', hours > 0 ? `${hours} h` : '', rest > 0 ? `${rest} min` : '']
    .filter((part) => part !== '')
    .join(' ');
}
