const dayMs = 86_400_000;
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/**
 * Milliseconds since 1970-01-01T00:00:00Z of an ISO 8601 time with its offset
 * (`2017-03-08T17:52:00Z`, `…T19:52:00.25+02:00`, offsets `+02` and `+0200` too), else null.
 * Fractions below a millisecond are cut off. A time without an offset is no instant (A20).
 */
export function toInstant(text: string): number | null {
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59) {
    return null;
  }
  if (text[4] !== '-' || text[7] !== '-' || text[10] !== 'T' || text[13] !== ':') return null;
  if (day > daysIn(year, month)) return null;
  const rest = readSeconds(text);
  if (rest === null) return null;
  const offsetMinutes = readOffset(text, rest.next);
  if (offsetMinutes === null) return null;
  return daysSinceEpoch(year, month, day) * dayMs + (hour * 60 + minute - offsetMinutes) * 60_000 + rest.ms;
}

/** The same for what a catalog says, where a time may be unknown. */
export function instantOf(time: string | null): number | null {
  return time === null ? null : toInstant(time);
}

/** The same instant in UTC, as all output shows it. */
export function showInstant(instantMs: number): string {
  return new Date(instantMs).toISOString().replace(/\.000Z$/, 'Z');
}

function digits(text: string, from: number, count: number): number {
  let value = 0;
  for (let at = from; at < from + count; at += 1) {
    const code = text.charCodeAt(at);
    // The comparison is also false for NaN, which is what charCodeAt answers behind the end.
    if (!(code >= 48 && code <= 57)) return -1;
    value = value * 10 + (code - 48);
  }
  return value;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysIn(year: number, month: number): number {
  return month === 2 && isLeap(year) ? 29 : daysOfMonth[month - 1]!; // the month was checked
}

/** Howard Hinnant's days_from_civil: exact for every year, where Date.UTC takes 0 to 99 for 1900 to 1999. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** Seconds and their fraction, both optional, from the 17th character on. */
function readSeconds(text: string): { ms: number; next: number } | null {
  if (text[16] !== ':') return { ms: 0, next: 16 };
  const seconds = digits(text, 17, 2);
  if (seconds < 0 || seconds > 59) return null;
  if (text[19] !== '.') return { ms: seconds * 1000, next: 19 };
  let next = 20;
  let ms = 0;
  for (let weight = 100; digits(text, next, 1) >= 0; next += 1, weight = Math.floor(weight / 10)) {
    ms += digits(text, next, 1) * weight;
  }
  return next === 20 ? null : { ms: seconds * 1000 + ms, next };
}

function readOffset(text: string, from: number): number | null {
  const sign = text[from];
  if (sign === 'Z') return text.length === from + 1 ? 0 : null;
  if (sign !== '+' && sign !== '-') return null;
  const hours = digits(text, from + 1, 2);
  const colon = text[from + 3] === ':' ? 1 : 0;
  const onlyHours = text.length === from + 3;
  const minutes = onlyHours ? 0 : digits(text, from + 3 + colon, 2);
  const length = onlyHours ? from + 3 : from + 5 + colon;
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || text.length !== length) return null;
  return (sign === '-' ? -1 : 1) * (hours * 60 + minutes);
}
